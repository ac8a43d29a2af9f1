//! What those who watch a service see of it: logs without payloads, and figures under known names.
#![allow(clippy::unwrap_used, clippy::panic)]

mod figures;
mod lines;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bloodbank_bus::{
    BoxFuture, Claim, Dedup, DedupError, Destination, Exchange, Headers, InMemory, NoDedup,
    Publisher, Received, RetryPolicy, Subscriber, Transport, Verbatim, Verdict,
};
use bloodbank_testkit::catalog::{Any, CreateMooring, MooringCreated, Parcel, contracts, mooring};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tracing_subscriber::filter::LevelFilter;
use uuid::Uuid;

use self::figures::Figures;
use self::lines::Lines;

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

/// Puts bytes on the exchange of events, as they are.
async fn forward(bus: &Arc<dyn Transport>, message: &Value) {
    let bytes = message.to_string().into_bytes();
    let message = Verbatim::stored("terminal.mooring.created", bytes, Headers::new());
    bus.forward(message, Destination::Exchange(Exchange::Events)).await.unwrap();
}

#[tokio::test]
async fn logs_name_the_message_and_hold_nothing_of_its_payload() {
    let _alone = ALONE.lock().await;
    let lines = Lines::default();
    let guard = lines.listen(LevelFilter::TRACE);
    work().await;
    drop(guard);
    let text = lines.text();
    for seen in ["id=", "key=terminal.mooring.created", "attempt=1", "the database is away"] {
        assert!(text.contains(seen), "no {seen}:\n{text}");
    }
    assert!(text.contains("reason=breaks-contract") && text.contains("/strategy (enum)"), "{text}");
    assert!(text.contains("reason=no-envelope"), "{text}");
    assert!(!text.contains("SECRET"), "{text}");
}

#[tokio::test]
async fn figures_have_the_names_that_users_of_faststream_know_and_say_what_happened() {
    let _alone = ALONE.lock().await;
    let values = Figures::default();
    let guard = metrics::set_default_local_recorder(&values);
    let began = Instant::now();
    work().await;
    let took = began.elapsed().as_secs_f64();
    drop(guard);
    let mut values = values.all();
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
    take("bloodbank_oldest_handler_seconds{handler=q}");
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

fn on_parcels(bus: &Arc<dyn Transport>) -> Subscriber<Any> {
    Subscriber::<Any>::new(bus.clone(), contracts()).queue("q").bind("lot.parcel")
}

#[tokio::test]
async fn at_warn_each_line_names_its_message_and_no_error_ends_a_line() {
    let _alone = ALONE.lock().await;
    let lines = Lines::default();
    let guard = lines.listen(LevelFilter::WARN);
    let bus: Arc<dyn Transport> = Arc::new(InMemory::new());
    let (sender, mut seen) = mpsc::unbounded_channel();
    let forged = |n: u32| format!("{n}: no\r\nERROR all is lost \u{1b}[2J\u{2028}");
    let policy = RetryPolicy::ladder([Duration::from_millis(10)]);
    let subscriber = on_parcels(&bus).retry(policy).on(move |it: Received<Parcel>| {
        sender.send((it.payload.n, it.attempt())).unwrap();
        async move {
            match it.payload.n {
                0 => Err::<(), _>(Verdict::Retry(forged(0))),
                1 => Err(Verdict::Park(forged(1))),
                2 => Err(Verdict::Drop(forged(2))),
                _ => panic!("{}", forged(3)),
            }
        }
    });
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    let mut ids = Vec::new();
    let doing = async {
        for n in 0..4 {
            ids.push(publisher.publish(&Parcel { n }).await.unwrap().id);
        }
        let message = Verbatim::stored("lot.parcel", *b"none", Headers::new());
        bus.forward(message, Destination::queue("q")).await.unwrap();
        let mut done = Vec::new();
        // Two of them twice.
        while done.len() < 6 {
            done.push(seen.recv().await.unwrap());
        }
    };
    subscriber.run_until(doing).await.unwrap();
    drop(guard);
    let text = lines.text();
    for line in text.lines() {
        assert!(line.starts_with(" WARN handle{") || line.starts_with("ERROR handle{"), "{text}");
        assert!(line.contains("key=lot.parcel") && line.contains("queue=q"), "{line}");
        assert!(line.contains("reason=no-envelope") || line.contains("id="), "{line}");
    }
    for (id, lines) in ids.iter().zip([2, 1, 1, 2]) {
        let named = text.lines().filter(|line| line.contains(&format!("id={id}"))).count();
        assert_eq!(named, lines, "{text}");
    }
    assert!(!text.contains(['\r', '\u{1b}', '\u{2028}']), "{text}");
}

/// The lines that a service logs when it begins with these handlers, of idempotency keys.
async fn told_of_keys(with: impl FnOnce(Subscriber<Any>) -> Subscriber<Any>) -> usize {
    let lines = Lines::default();
    let guard = lines.listen(LevelFilter::INFO);
    let bus: Arc<dyn Transport> = Arc::new(InMemory::new());
    with(on_parcels(&bus).skip_others()).run_until(std::future::ready(())).await.unwrap();
    drop(guard);
    let text = lines.text();
    let told: Vec<&str> = text.lines().filter(|line| line.contains("idempotency key")).collect();
    assert!(told.iter().all(|line| line.contains("RedisDedup") && line.contains("any")), "{text}");
    told.len()
}

/// A memory that others share.
struct Shared;

impl Dedup for Shared {
    fn begin<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Claim, DedupError>> {
        NoDedup.begin(name)
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn finish<'a>(
        &'a self,
        name: &'a str,
        answer: Option<Arc<[u8]>>,
    ) -> BoxFuture<'a, Result<(), DedupError>> {
        NoDedup.finish(name, answer)
    }

    fn release<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), DedupError>> {
        NoDedup.release(name)
    }
}

#[tokio::test]
async fn a_service_of_commands_without_a_shared_memory_says_what_its_keys_are_worth() {
    let _alone = ALONE.lock().await;
    let event = async |_: Received<Parcel>| {};
    let command = async |_: Received<CreateMooring>| Ok::<_, String>(());
    assert_eq!(told_of_keys(|it| it.on(event).handle(command)).await, 1);
    assert_eq!(told_of_keys(|it| it.on(event)).await, 0);
    assert_eq!(told_of_keys(|it| it.on(event).handle(command).dedup(Shared)).await, 0);
}

/// A memory that is away for the first questions.
struct Away(AtomicUsize);

impl Away {
    fn answer<'a, T: Send + 'a>(&'a self, answer: T) -> BoxFuture<'a, Result<T, DedupError>> {
        let left = self.0.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
        let away = DedupError { reason: "it is\naway".to_owned() };
        Box::pin(std::future::ready(if left.is_ok() { Err(away) } else { Ok(answer) }))
    }
}

impl Dedup for Away {
    fn begin<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Claim, DedupError>> {
        self.answer(Claim::New)
    }

    fn finish<'a>(
        &'a self,
        _: &'a str,
        _: Option<Arc<[u8]>>,
    ) -> BoxFuture<'a, Result<(), DedupError>> {
        self.answer(())
    }

    fn release<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), DedupError>> {
        self.answer(())
    }
}

#[tokio::test]
async fn a_memory_that_is_away_is_told_of_once_and_once_when_it_is_back() {
    let _alone = ALONE.lock().await;
    let lines = Lines::default();
    let guard = lines.listen(LevelFilter::INFO);
    let bus: Arc<dyn Transport> = Arc::new(InMemory::new());
    let (sender, mut seen) = mpsc::unbounded_channel();
    let subscriber = on_parcels(&bus).dedup(Away(AtomicUsize::new(7)));
    let subscriber = subscriber.on(move |_: Received<Parcel>| {
        sender.send(()).unwrap();
        async {}
    });
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    let doing = async {
        for n in 0..10 {
            publisher.publish(&Parcel { n }).await.unwrap();
            seen.recv().await.unwrap();
        }
    };
    subscriber.run_until(doing).await.unwrap();
    drop(guard);
    let text = lines.text();
    let count = |word: &str| text.lines().filter(|line| line.contains(word)).count();
    assert_eq!((count("may be handled twice"), count("reached again")), (1, 1), "{text}");
    assert_eq!(text.lines().count(), 2, "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_runs_long_is_named_again_and_again_and_has_a_figure() {
    let _alone = ALONE.lock().await;
    let (lines, figures) = (Lines::default(), Figures::default());
    let logging = lines.listen(LevelFilter::WARN);
    let counting = metrics::set_default_local_recorder(&figures);
    let bus: Arc<dyn Transport> = Arc::new(InMemory::new());
    let (sender, mut done) = mpsc::unbounded_channel();
    let subscriber = on_parcels(&bus).concurrency(1).on(move |it: Received<Parcel>| {
        let sender = sender.clone();
        async move {
            // The second one is too quick to be named.
            sleep(Duration::from_secs(if it.payload.n == 0 { 200 } else { 20 })).await;
            sender.send(()).unwrap();
        }
    });
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    let id = Uuid::now_v7();
    let doing = async {
        publisher.publish(&Parcel { n: 0 }).id(id).await.unwrap();
        publisher.publish(&Parcel { n: 1 }).await.unwrap();
        done.recv().await;
        done.recv().await;
        sleep(Duration::from_secs(5)).await;
    };
    subscriber.run_until(doing).await.unwrap();
    drop((logging, counting));
    let text = lines.text();
    let named: Vec<&str> = text.lines().filter(|line| line.contains("still running")).collect();
    let id = format!("id={id}");
    for (line, age) in named.iter().zip([30, 60, 120]) {
        for word in [&*id, "key=lot.parcel", "queue=\"q\""] {
            assert!(line.contains(word), "{word}: {line}");
        }
        let seconds: u32 = line.split("seconds=").nth(1).unwrap().parse().unwrap();
        assert!((age..age + 5).contains(&seconds), "{age}: {line}");
    }
    assert_eq!(named.len(), 3, "{text}");
    let oldest = &figures.all()["bloodbank_oldest_handler_seconds{handler=q}"];
    let most = oldest.iter().copied().fold(0.0, f64::max);
    assert!((195.0..=200.0).contains(&most), "{most}");
    assert_eq!(oldest.last(), Some(&0.0), "none runs in the end");
}
