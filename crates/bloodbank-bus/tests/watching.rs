//! What those who watch a service see of it: logs without payloads, and figures under known names.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bloodbank_bus::{
    Destination, Exchange, Headers, InMemory, Publisher, Received, RetryPolicy, Subscriber,
    Transport, Verbatim,
};
use bloodbank_testkit::catalog::{
    Any, CountShips, CountShipsReply, CreateMooring, MooringCreated, contracts, mooring,
};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use serde_json::{Value, json};
use uuid::Uuid;

/// One at a time: where one test logs and the other does not, tracing may take the wrong one's word.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Publishes one event that fails once and a second copy of it, one that breaks its contract, one that
/// is none, and a command that nobody takes.
async fn work() {
    let bus: Arc<dyn Transport> = Arc::new(InMemory::new());
    let (sender, mut handled) = tokio::sync::mpsc::unbounded_channel();
    let subscriber = Subscriber::<Any>::new(bus.clone(), contracts())
        .queue("q")
        .bind("terminal.mooring.created")
        .retry(RetryPolicy::ladder([Duration::from_millis(10)]))
        .on(move |received: Received<MooringCreated>| {
            let attempt = received.attempt();
            sender.send(attempt).unwrap();
            async move { if attempt == 1 { Err("the database is away") } else { Ok(()) } }
        });
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    let done = async {
        let receipt = publisher.publish(&mooring("SECRET-TOPIC")).await.unwrap();
        let mut data = serde_json::to_value(mooring("fine")).unwrap();
        data["strategy"] = json!("SECRET-STRATEGY");
        let mut sent = json!({
            "id": Uuid::now_v7(), "event_type": "terminal.mooring.created", "source": "s",
            "timestamp": "2026-01-31T12:00:00Z", "data": data,
        });
        forward(&bus, &sent).await;
        sent["timestamp"] = json!("SECRET-TIME");
        forward(&bus, &sent).await;
        assert_eq!((handled.recv().await, handled.recv().await), (Some(1), Some(2)));
        sent["timestamp"] = json!("2026-01-31T12:00:00Z");
        sent["id"] = json!(receipt.id);
        sent["data"] = serde_json::to_value(mooring("SECRET-TOPIC")).unwrap();
        forward(&bus, &sent).await;
        publisher.send(&CreateMooring { topic: "nobody takes it".into() }).await.unwrap_err();
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    subscriber.run_until(done).await.unwrap();
}

/// Calls somebody whose answer breaks its contract.
async fn call() {
    let bus: Arc<dyn Transport> = Arc::new(InMemory::new());
    let subscriber =
        Subscriber::<Any>::new(bus.clone(), contracts()).handle(|_: Received<CountShips>| async {
            let harbour_master = Some("SECRET-MASTER".to_owned());
            Ok::<_, String>(CountShipsReply { ships: 3, harbour_master })
        });
    let publisher = Publisher::<Any>::new(bus, contracts());
    let done = async {
        publisher.call(&CountShips { quay: "SECRET-QUAY".into() }).await.unwrap_err();
    };
    subscriber.run_until(done).await.unwrap();
}

/// Puts bytes on the exchange of events, as they are.
async fn forward(bus: &Arc<dyn Transport>, message: &Value) {
    let bytes = message.to_string().into_bytes();
    let message = Verbatim::stored("terminal.mooring.created", bytes, Headers::new());
    bus.forward(message, Destination::Exchange(Exchange::Events)).await.unwrap();
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
    call().await;
    drop(guard);
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    for seen in ["id=", "key=terminal.mooring.created", "attempt=1", "the database is away"] {
        assert!(text.contains(seen), "no {seen}:\n{text}");
    }
    assert!(text.contains("reason=breaks-contract") && text.contains("/strategy (enum)"), "{text}");
    assert!(text.contains("reason=no-envelope"), "{text}");
    let broken = "the answer breaks its contract error=\"1 fault, at /harbour_master (maxLength)\"";
    assert!(text.contains(broken), "{text}");
    assert!(!text.contains("SECRET"), "{text}");
}

/// Keeps every value, under the name of what it is a value of.
#[derive(Default)]
struct Values(Mutex<BTreeMap<String, Arc<Kept>>>);

/// The values of one figure, in the order in which they came; a counter has the steps.
#[derive(Default)]
struct Kept(Mutex<Vec<f64>>);

impl Kept {
    fn push(&self, value: f64) {
        self.0.lock().unwrap().push(value);
    }

    /// The sum so far, for what counts up and down.
    fn add(&self, step: f64) {
        let mut values = self.0.lock().unwrap();
        let sum = values.last().unwrap_or(&0.0) + step;
        values.push(sum);
    }
}

impl CounterFn for Kept {
    fn increment(&self, value: u64) {
        self.add(value as f64);
    }

    fn absolute(&self, value: u64) {
        self.push(value as f64);
    }
}

impl GaugeFn for Kept {
    fn increment(&self, value: f64) {
        self.add(value);
    }

    fn decrement(&self, value: f64) {
        self.add(-value);
    }

    fn set(&self, value: f64) {
        self.push(value);
    }
}

impl HistogramFn for Kept {
    fn record(&self, value: f64) {
        self.push(value);
    }
}

impl Values {
    /// What is kept of `name{label=value,…}`.
    fn of(&self, key: &Key) -> Arc<Kept> {
        let labels = key.labels().map(|label| format!("{}={}", label.key(), label.value()));
        let labels: Vec<String> = labels.collect();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        self.0.lock().unwrap().entry(name).or_default().clone()
    }
}

impl Recorder for Values {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.of(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.of(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.of(key))
    }
}

#[tokio::test]
async fn figures_have_the_names_that_users_of_faststream_know_and_say_what_happened() {
    let _alone = ALONE.lock().await;
    let values = Values::default();
    let guard = metrics::set_default_local_recorder(&values);
    let began = Instant::now();
    work().await;
    let took = began.elapsed().as_secs_f64();
    drop(guard);
    let mut values: BTreeMap<String, Vec<f64>> = values
        .0
        .into_inner()
        .unwrap()
        .into_iter()
        .map(|(name, kept)| (name, kept.0.lock().unwrap().clone()))
        .collect();
    let mut take = |name: &str| values.remove(name).unwrap_or_else(|| panic!("{name} is missing"));

    let counters = [
        ("published_messages_total{destination=bloodbank.events.v1,status=success}", 1.0),
        ("published_messages_total{destination=bloodbank.commands.v1,status=error}", 1.0),
        // Twice what fails once, its copy, and two that are parked.
        ("received_messages_total{handler=q}", 5.0),
        ("received_processed_messages_total{handler=q,status=acked}", 1.0),
        ("received_processed_messages_total{handler=q,status=retried}", 1.0),
        ("received_processed_messages_total{handler=q,status=parked}", 2.0),
        ("received_processed_messages_total{handler=q,status=skipped}", 1.0),
        ("parked_total{handler=q,reason=breaks-contract}", 1.0),
        ("parked_total{handler=q,reason=no-envelope}", 1.0),
        ("retries_total{handler=q}", 1.0),
        ("duplicates_total{handler=q}", 1.0),
    ];
    for (name, expected) in counters {
        let steps = take(&format!("bloodbank_{name}"));
        assert_eq!(steps.last(), Some(&expected), "{name}: {steps:?}");
    }

    let in_process = take("bloodbank_received_messages_in_process{handler=q}");
    assert_eq!(in_process, [1.0, 0.0].repeat(5), "one at a time, and none in the end");
    let lag = take("bloodbank_consumer_lag_seconds{handler=q}");
    let old = |lag: &&f64| **lag > 24.0 * 3_600.0;
    assert_eq!((lag.len(), lag.iter().filter(old).count()), (4, 2), "two of January: {lag:?}");

    let sizes = take("bloodbank_received_messages_size_bytes{handler=q}");
    assert!(
        sizes.len() == 5 && sizes.iter().all(|size| (200.0..600.0).contains(size)),
        "{sizes:?}"
    );
    for (name, count) in [
        ("received_processed_messages_duration_seconds{handler=q}", 5),
        ("published_messages_duration_seconds{destination=bloodbank.events.v1}", 1),
        ("published_messages_duration_seconds{destination=bloodbank.commands.v1}", 1),
    ] {
        let durations = take(&format!("bloodbank_{name}"));
        assert_eq!(durations.len(), count, "{name}");
        assert!(durations.iter().all(|time| *time > 0.0 && *time < took), "{name}: {durations:?}");
    }
    assert_eq!(values.keys().collect::<Vec<_>>(), Vec::<&String>::new(), "nothing else is counted");
}
