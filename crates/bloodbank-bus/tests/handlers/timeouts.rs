//! Handlers that run long, or for ever. Time is that of tokio, which a test may let pass.
use std::sync::Arc;
use std::time::Duration;

use bloodbank_bus::{CallError, InMemory, Publisher, Received, Subscriber};
use bloodbank_testkit::catalog::{Any, CreateMooring, Parcel, contracts};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::support::{Bus, on_q, parcel};

const MINUTE: Duration = Duration::from_secs(60);

/// Tells when a handler is dropped.
struct Dropped(mpsc::UnboundedSender<&'static str>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.send("dropped").unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_is_dropped_and_its_message_is_tried_again() {
    let bus: Bus = Arc::new(InMemory::new());
    let (sender, mut seen) = mpsc::unbounded_channel();
    let subscriber = on_q(&bus).concurrency(1).timeout(MINUTE).on(move |it: Received<Parcel>| {
        let sender = sender.clone();
        async move {
            if it.attempt() == 1 {
                let _dropped = Dropped(sender.clone());
                std::future::pending::<()>().await;
            }
            assert!(it.headers()["x-bloodbank-error"].to_string().contains("not done in 60s"));
            sender.send("handled").unwrap();
        }
    });
    let done = async {
        parcel(&bus, 0).await;
        assert_eq!((seen.recv().await, seen.recv().await), (Some("dropped"), Some("handled")));
    };
    subscriber.run_until(done).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_handler_has_a_quarter_of_an_hour_unless_it_is_given_all_the_time() {
    for (limit, minutes, expected) in
        [(None, 14, "done"), (None, 16, "attempt 2"), (Some(Duration::MAX), 60 * 24, "done")]
    {
        let bus: Bus = Arc::new(InMemory::new());
        let (sender, mut seen) = mpsc::unbounded_channel();
        let mut subscriber = on_q(&bus).on(move |it: Received<Parcel>| {
            let sender = sender.clone();
            async move {
                if it.attempt() == 2 {
                    return sender.send("attempt 2").unwrap();
                }
                sleep(MINUTE * minutes).await;
                sender.send("done").unwrap();
            }
        });
        if let Some(limit) = limit {
            subscriber = subscriber.timeout(limit);
        }
        let done = async {
            parcel(&bus, 0).await;
            assert_eq!(seen.recv().await, Some(expected), "{limit:?}, {minutes} minutes");
        };
        subscriber.run_until(done).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn who_calls_a_handler_that_hangs_is_told() {
    let bus: Bus = Arc::new(InMemory::new());
    let hangs =
        async |_: Received<CreateMooring>| std::future::pending::<Result<(), String>>().await;
    let subscriber = Subscriber::<Any>::new(bus.clone(), contracts()).timeout(MINUTE).handle(hangs);
    let calling = async {
        let publisher = Publisher::<Any>::new(bus.clone(), contracts());
        let command = CreateMooring { topic: "x".into() };
        let error = publisher.call::<()>(&command).within(MINUTE * 2).await.unwrap_err();
        assert!(
            matches!(&error, CallError::Handler { reason, .. } if reason.contains("60s")),
            "{error}"
        );
    };
    subscriber.run_until(calling).await.unwrap();
}
