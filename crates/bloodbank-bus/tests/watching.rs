//! What those who watch a service see of it: logs without payloads, and figures under known names.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bloodbank_bus::{
    Destination, Exchange, Headers, InMemory, Publisher, Received, RetryPolicy, Subscriber,
    Transport, Verbatim,
};
use bloodbank_testkit::catalog::{Any, MeetingCreated, contracts, meeting};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use serde_json::json;

/// One at a time: where one test logs and the other does not, tracing may take the wrong one's word.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Publishes one event that fails once, one that breaks its contract, and one that is none.
async fn work() {
    let bus: Arc<dyn Transport> = Arc::new(InMemory::new());
    let (sender, mut handled) = tokio::sync::mpsc::unbounded_channel();
    let subscriber = Subscriber::<Any>::new(bus.clone(), contracts())
        .queue("q")
        .bind("theboard.meeting.created")
        .retry(RetryPolicy::ladder([Duration::from_millis(10)]))
        .on(move |received: Received<MeetingCreated>| {
            let attempt = received.attempt();
            sender.send(attempt).unwrap();
            async move { if attempt == 1 { Err("the database is away") } else { Ok(()) } }
        });
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    let done = async {
        let receipt = publisher.publish(&meeting("SECRET-TOPIC")).await.unwrap();
        let mut data = serde_json::to_value(meeting("fine")).unwrap();
        data["strategy"] = json!("SECRET-STRATEGY");
        let mut broken = json!({
            "id": receipt.id, "event_type": "theboard.meeting.created", "source": "s",
            "timestamp": "2026-01-31T12:00:00Z", "data": data,
        });
        for spoil in [false, true] {
            if spoil {
                broken["timestamp"] = json!("SECRET-TIME");
            }
            let bytes = broken.to_string().into_bytes();
            let message = Verbatim::stored("theboard.meeting.created", bytes, Headers::new());
            bus.forward(message, Destination::Exchange(Exchange::Events)).await.unwrap();
        }
        assert_eq!((handled.recv().await, handled.recv().await), (Some(1), Some(2)));
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    subscriber.dedup(bloodbank_bus::NoDedup).run_until(done).await.unwrap();
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn logs_name_the_message_and_hold_nothing_of_its_payload() {
    let _alone = ALONE.lock().await;
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    work().await;
    drop(guard);
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    for seen in ["id=", "key=theboard.meeting.created", "attempt=1", "the database is away"] {
        assert!(text.contains(seen), "no {seen}:\n{text}");
    }
    assert!(text.contains("reason=breaks-contract") && text.contains("/strategy (enum)"), "{text}");
    assert!(text.contains("reason=no-envelope"), "{text}");
    assert!(!text.contains("SECRET"), "{text}");
}

/// Notes which names are registered.
#[derive(Default)]
struct Names(Mutex<BTreeSet<String>>);

impl Names {
    fn note(&self, key: &Key) {
        self.0.lock().unwrap().insert(key.name().to_owned());
    }
}

impl Recorder for Names {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.note(key);
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.note(key);
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.note(key);
        Histogram::noop()
    }
}

#[tokio::test]
async fn figures_have_the_names_that_users_of_faststream_know() {
    let _alone = ALONE.lock().await;
    let names = Names::default();
    let guard = metrics::set_default_local_recorder(&names);
    work().await;
    drop(guard);
    let names = names.0.into_inner().unwrap();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let expected = [
        "bloodbank_consumer_lag_seconds",
        "bloodbank_duplicates_total",
        "bloodbank_parked_total",
        "bloodbank_published_messages_duration_seconds",
        "bloodbank_published_messages_total",
        "bloodbank_received_messages_in_process",
        "bloodbank_received_messages_size_bytes",
        "bloodbank_received_messages_total",
        "bloodbank_received_processed_messages_duration_seconds",
        "bloodbank_received_processed_messages_total",
        "bloodbank_retries_total",
    ];
    assert_eq!(names, expected);
}
