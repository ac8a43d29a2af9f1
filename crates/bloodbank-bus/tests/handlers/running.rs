//! Subscribers that run together, and how a process ends.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use bloodbank_bus::{AnySubscriber, InMemory, Received, RunError, SubscribeError, Subscriber};
use bloodbank_core::Code;
use bloodbank_testkit::catalog::{Any, Idle, Parcel, contracts};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::support::{Bus, on_q, parcel};

/// Set where this program is the child of a test.
const CHILD: &str = "BLOODBANK_TEST_CHILD";

/// What a child does: it handles one message, for half a second.
#[test]
fn the_child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let ended = runtime.block_on(async {
        let bus: Bus = Arc::new(InMemory::new());
        let first = on_q(&bus).on(async |_: Received<Parcel>| {
            println!("started");
            sleep(Duration::from_millis(500)).await;
            println!("finished");
        });
        let second = Subscriber::<Any>::new(bus.clone(), contracts()).queue("other");
        let second = second.bind("lot.parcel").on(async |_: Received<Parcel>| {});
        let ready = first.ready();
        let publishing = async {
            assert!(ready.await);
            parcel(&bus, 0).await;
        };
        let (ended, ()) =
            tokio::join!(bloodbank_bus::run([first.into(), second.into()]), publishing);
        ended
    });
    println!("ended: {ended:?}");
}

#[tokio::test]
async fn a_process_that_is_told_to_end_finishes_what_it_handles() {
    for signal in ["TERM", "INT"] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "running::the_child", "--nocapture"])
            .env(CHILD, "1")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = Vec::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains("started") {
                let id = child.id().unwrap().to_string();
                let kill = Command::new("kill").args([&format!("-{signal}"), &id]).status().await;
                assert!(kill.unwrap().success());
            }
            seen.push(line);
        }
        let all = seen.join("\n");
        assert!(child.wait().await.unwrap().success(), "{signal}: {all}");
        assert!(all.contains("finished") && all.contains("ended: Ok(())"), "{signal}: {all}");
    }
}

#[tokio::test]
async fn a_subscriber_is_ready_when_its_queues_are_consumed_and_not_before() {
    let bus = InMemory::new();
    let shared: Bus = Arc::new(bus.clone());
    let (sender, mut seen) = mpsc::unbounded_channel();
    let subscriber = on_q(&shared).on(move |it: Received<Parcel>| {
        sender.send(it.payload.n).unwrap();
        async {}
    });
    let ready = subscriber.ready();
    tokio::pin!(ready);
    parcel(&shared, 0).await;
    tokio::select! {
        biased;
        _ = &mut ready => panic!("nothing runs yet"),
        () = sleep(Duration::from_millis(50)) => {}
    }
    let running = tokio::spawn(subscriber.run_until(std::future::pending()));
    assert!(ready.await);
    assert_eq!(bus.unrouted(), 1, "only what came before");
    parcel(&shared, 1).await;
    assert_eq!(seen.recv().await, Some(1));
    running.abort();
}

#[tokio::test]
async fn a_subscriber_that_cannot_begin_is_never_ready_and_ends_the_others() {
    let bus: Bus = Arc::new(InMemory::new());
    let subscriber = Subscriber::<Idle>::new(bus.clone(), contracts());
    let subscriber =
        AnySubscriber::from(subscriber.on_any(async |_: Received<serde_json::Value>| {}));
    let ready = subscriber.ready();
    let works = on_q(&bus).on(async |_: Received<Parcel>| {});
    let ended = bloodbank_bus::run_until([works.into(), subscriber], std::future::pending()).await;
    assert_eq!(ended.unwrap_err().code(), Code::SubscriberSetup);
    assert!(!ready.await);
}

#[tokio::test]
async fn subscribers_that_run_together_are_all_drained_and_each_error_is_told() {
    let bus: Bus = Arc::new(InMemory::new());
    let (sender, mut seen) = mpsc::unbounded_channel();
    let works = on_q(&bus).on(move |_: Received<Parcel>| {
        let sender = sender.clone();
        async move {
            sender.send("started").unwrap();
            sleep(Duration::from_millis(300)).await;
            sender.send("finished").unwrap();
        }
    });
    let hangs = Subscriber::<Any>::new(bus.clone(), contracts()).queue("hangs").bind("lot.parcel");
    let hangs = hangs.drain(Duration::from_millis(100));
    let hangs = hangs.on(async |_: Received<Parcel>| std::future::pending::<()>().await);
    let (works_ready, hangs_ready) = (works.ready(), hangs.ready());
    let both = [works.into(), hangs.into()];
    let fails = async {
        assert!(works_ready.await && hangs_ready.await);
        parcel(&bus, 0).await;
        assert_eq!(seen.recv().await, Some("started"));
    };
    let error = bloodbank_bus::run_until(both, fails).await.unwrap_err();
    assert_eq!(seen.recv().await, Some("finished"));
    let RunError::Failed(failed) = error else { panic!("{error}") };
    let drain =
        |error: &SubscribeError| matches!(error, SubscribeError::Drain { unfinished: 1, .. });
    assert!(
        failed.len() == 1 && failed[0].service == "any" && drain(&failed[0].error),
        "{failed:?}"
    );
}
