//! How a subscriber and a bus are doing.

use std::sync::Arc;
use std::time::Duration;

use bloodbank_bus::{BusStatus, InMemory, Phase, Received, Transport, TransportError};
use bloodbank_testkit::catalog::Parcel;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::support::{Bus, on_q, parcel};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_subscriber_tells_where_it_stands_and_what_it_handles() {
    let bus: Bus = Arc::new(InMemory::new());
    let (sender, mut started) = mpsc::unbounded_channel();
    let subscriber = on_q(&bus).concurrency(2).on(move |_: Received<Parcel>| {
        sender.send(()).unwrap();
        sleep(SECOND * 20)
    });
    let watch = subscriber.watch();
    assert_eq!((watch.status().phase, watch.status().queues.len()), (Phase::Starting, 0));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let ready = subscriber.ready();
    let running = tokio::spawn(subscriber.run_until(async { stopped.await.unwrap() }));
    assert!(ready.await);
    let status = watch.status();
    assert_eq!((status.service, status.phase), ("any", Phase::Running));
    assert_eq!((&*status.queues[0].queue, status.queues[0].oldest_handler), ("q", None));
    // Two are handled, one waits for its place.
    for n in 0..3 {
        parcel(&bus, n).await;
    }
    started.recv().await;
    started.recv().await;
    sleep(SECOND * 5).await;
    let queue = watch.status().queues.remove(0);
    assert_eq!(queue.handling, 2);
    let age = queue.oldest_handler.unwrap();
    assert!((SECOND * 5..SECOND * 6).contains(&age), "{age:?}");
    stop.send(()).unwrap();
    sleep(SECOND).await;
    assert_eq!(watch.status().phase, Phase::Draining);
    assert_eq!(watch.status().queues[0].handling, 2);
    running.await.unwrap().unwrap();
    assert_eq!((watch.status().phase, watch.status().queues.len()), (Phase::Ended, 0));
}

#[tokio::test]
async fn a_subscriber_that_was_dropped_has_ended() {
    let bus: Bus = Arc::new(InMemory::new());
    let subscriber = on_q(&bus).on(async |_: Received<Parcel>| {});
    let watch = subscriber.watch();
    let ready = subscriber.ready();
    let running = tokio::spawn(subscriber.run_until(std::future::pending()));
    assert!(ready.await);
    running.abort();
    running.await.unwrap_err();
    assert_eq!(watch.status().phase, Phase::Ended);
}

#[tokio::test]
async fn a_probe_is_answered_by_a_code_and_what_is_the_matter() {
    let bus = InMemory::new();
    let shared: Bus = Arc::new(bus.clone());
    let subscriber = on_q(&shared).on(async |_: Received<Parcel>| {});
    let watch = subscriber.watch();
    let probe = || {
        let answer = BusStatus::new(bus.trouble(), vec![watch.status()]).probe();
        (answer.code, serde_json::from_str::<Value>(&answer.body).unwrap())
    };
    let (code, body) = probe();
    assert_eq!((code, &body["ready"]), (503, &json!(false)));
    let probing = async {
        let (code, body) = probe();
        let expected = json!({
            "ready": true,
            "transport": {"works": true},
            "subscribers": [{
                "service": "any",
                "phase": "running",
                "queues": [{"queue": "q", "handling": 0, "oldest_handler_seconds": null}],
            }],
        });
        assert_eq!((code, body), (200, expected));
        bus.close().await;
        let (code, body) = probe();
        assert_eq!((code, &body["transport"]["code"]), (503, &json!("bus-closed")));
        assert_eq!(bus.trouble().unwrap().error, TransportError::Closed);
    };
    // The end of the transport ends it, too.
    let _ = subscriber.run_until(probing).await;
    assert_eq!(probe().1["subscribers"][0]["phase"], "ended");
}
