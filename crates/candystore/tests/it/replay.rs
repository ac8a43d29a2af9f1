//! Sending events of the past again.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bloodbank_amqp::{Amqp, AmqpConfig};
use bloodbank_bus::{
    Delivery, Exchange, InMemory, Queue, Received, Settlement, Subscriber, Subscription, Topology,
    Transport, headers,
};
use bloodbank_core::{Contracts, Kind, Meta};
use bloodbank_testkit::Broker;
use bloodbank_testkit::catalog::{Any, Parcel, contracts, mooring, queue};
use candystore::{
    EventStore, Filter, Incoming, Pace, Replay, ReplayError, ReplayOptions, ReplayPlan, ReplayRun,
    ReplayState, ReplayTarget, StoreOptions,
};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::databases::{Database, event, large, on_both, parcel};
use crate::raw::change;

on_both!(
    events_come_again_as_they_were_and_commands_do_not,
    a_plan_counts_and_names_what_breaks_its_contract_and_sends_nothing,
    what_breaks_its_contract_is_refused_or_skipped,
    a_replay_that_was_cancelled_goes_on_with_the_rest,
    a_replay_whose_process_was_killed_goes_on_where_it_was_saved,
    the_record_says_who_sent_what_where,
    large_events_are_all_planned_and_sent_in_order,
);

/// How long anything may take that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A bus in memory with a queue `q` that hears replays of everything.
async fn bus() -> (InMemory, Arc<dyn Transport>) {
    bloodbank_testkit::catalog::bus([queue("q", &["#"]).hear_replays()]).await
}

pub(crate) fn options() -> ReplayOptions {
    ReplayOptions::new("ada@here")
}

async fn plan(store: &EventStore) -> ReplayPlan {
    store.plan_replay(Filter::new()).await.unwrap()
}

pub(crate) async fn begin(
    store: &EventStore,
    bus: &Arc<dyn Transport>,
    options: ReplayOptions,
) -> Result<Replay, ReplayError> {
    Replay::begin(store.clone(), bus.clone(), &plan(store).await, options).await
}

/// Replays everything, to the end.
pub(crate) async fn replay(
    store: &EventStore,
    bus: &Arc<dyn Transport>,
    options: ReplayOptions,
) -> Result<ReplayRun, ReplayError> {
    let replay = begin(store, bus, options).await?;
    timeout(PATIENCE, replay.run_until(pending())).await.expect("an end")
}

/// What lies in a queue now; it is taken out.
pub(crate) async fn take(bus: &dyn Transport, queue: &str) -> Vec<Delivery> {
    let mut deliveries = bus.subscribe(Subscription::browse(queue)).await.unwrap();
    let mut taken = Vec::new();
    while let Some(delivery) = deliveries.recv().await {
        bus.settle(&delivery, Settlement::Ack).await.unwrap();
        taken.push(delivery);
    }
    taken
}

pub(crate) fn positions(deliveries: &[Delivery]) -> Vec<u64> {
    deliveries
        .iter()
        .map(|d| headers::count(&d.headers, headers::POSITION).unwrap().into())
        .collect()
}

pub(crate) fn parcels(count: u32) -> Vec<Incoming> {
    (0..count).map(parcel).collect()
}

/// A mooring whose contract takes no 99 rounds.
fn invalid() -> Incoming {
    let mut bad = json!(mooring("x"));
    bad["max_rounds"] = json!(99);
    event("terminal.mooring.created", bad, Meta::new())
}

async fn events_come_again_as_they_were_and_commands_do_not(database: Database) {
    let ((memory, bus), store) = (bus().await, database.open().await);
    let headed = parcel(1).with_headers([("x-mine".to_owned(), "ä".into())].into());
    // Nobody would write it like this again.
    let mut spaced = parcel(2);
    spaced.body = [b" \n".as_slice(), &spaced.body].concat().into();
    let mut command = event("terminal.mooring.create", json!({"topic": "x"}), Meta::new());
    command.kind = Kind::Command;
    let events = vec![parcel(0), headed, command, spaced];
    store.append(events.clone()).await.unwrap();
    let run = replay(&store, &bus, options()).await.unwrap();
    assert_eq!((run.state, run.sent, run.reached), (ReplayState::Done, 3, 4));
    assert_eq!(memory.depth("q"), 3);
    let heard = take(&*bus, "q").await;
    assert_eq!(positions(&heard), [1, 2, 4]);
    for (delivery, sent) in heard.iter().zip([&events[0], &events[1], &events[3]]) {
        assert_eq!((&delivery.key, &delivery.body), (&sent.key, &sent.body));
        let mut expected = sent.headers.clone();
        let position = delivery.headers[headers::POSITION].clone();
        expected.insert(headers::REPLAY.to_owned(), run.id.to_string().into());
        expected.insert(headers::POSITION.to_owned(), position);
        assert_eq!(delivery.headers, expected);
    }
    assert_eq!(store.position().await.unwrap(), 4, "nothing is appended");
    let only = Filter::new().with_kind(Kind::Command);
    assert_eq!(store.plan_replay(only).await, Err(ReplayError::Commands));
}

async fn a_plan_counts_and_names_what_breaks_its_contract_and_sends_nothing(database: Database) {
    let ((memory, _bus), store) = (bus().await, database.open().await);
    assert_eq!(plan(&store).await.count, 0);
    let garbage = Incoming::new(Kind::Event, "lot.parcel", *b"\xff");
    let other = event("no.such.key", json!({}), Meta::new());
    store.append(vec![parcel(0), invalid(), parcel(1), garbage, other]).await.unwrap();
    let plan = plan(&store).await;
    assert_eq!((plan.count, plan.unfit), (5, 3));
    let keys = [("lot.parcel", 3), ("no.such.key", 1), ("terminal.mooring.created", 1)];
    assert_eq!(plan.keys, BTreeMap::from(keys.map(|(key, count)| (key.to_owned(), count))));
    let named: Vec<u64> = plan.unfit_named.iter().map(|unfit| unfit.position).collect();
    assert_eq!(named, [2, 4, 5]);
    let said = &plan.unfit_named[0].violation;
    assert_eq!(said, "/max_rounds  expected at most 10, found 99");
    let ends = (plan.first.unwrap(), plan.last.unwrap());
    assert_eq!((ends.0.position, ends.1.position, &*ends.1.key), (1, 5, "no.such.key"));
    // What comes later is no part of it.
    store.append(vec![parcel(2)]).await.unwrap();
    assert_eq!(store.plan_replay(plan.filter).await.unwrap().count, 5);
    assert_eq!(memory.depth("q"), 0);
    let many = Filter::new().with_key("lot.#".parse().unwrap()).with_first(2).with_last(3);
    assert_eq!(store.plan_replay(many).await.unwrap().count, 1);
}

async fn what_breaks_its_contract_is_refused_or_skipped(database: Database) {
    let ((memory, bus), store) = (bus().await, database.open().await);
    store.append(vec![parcel(0), invalid(), parcel(1), invalid()]).await.unwrap();
    let refused = replay(&store, &bus, options()).await.unwrap_err();
    let ReplayError::Unfit { count, first } = refused else { panic!("{refused}") };
    assert_eq!((count, first.position), (2, 2));
    assert_eq!(memory.depth("q"), 0);
    assert_eq!(store.replays(9).await.unwrap(), [], "there was no replay");
    let run = replay(&store, &bus, options().with_skip_invalid(true)).await.unwrap();
    assert_eq!((run.state, run.sent, run.skipped, run.reached), (ReplayState::Done, 2, 2, 4));
    assert_eq!(positions(&take(&*bus, "q").await), [1, 3]);
}

async fn a_replay_that_was_cancelled_goes_on_with_the_rest(database: Database) {
    let ((_memory, bus), store) = (bus().await, database.open().await);
    store.append(parcels(60)).await.unwrap();
    let slow = begin(&store, &bus, options().with_pace(Pace::Rate(50.0))).await.unwrap();
    let mut progress = slow.progress();
    let some = async move {
        progress.wait_for(|run| run.sent >= 5).await.unwrap();
    };
    let run = timeout(PATIENCE, slow.run_until(some)).await.expect("an end").unwrap();
    assert_eq!(run.state, ReplayState::Cancelled);
    assert!((5..60).contains(&run.sent), "{run:?}");
    let first = positions(&take(&*bus, "q").await);
    assert_eq!(first, (1..=run.reached).collect::<Vec<_>>());
    // Another process has only what is stored.
    let store = database.open().await;
    let mut saved = store.replay(run.id).await.unwrap().unwrap();
    assert_eq!((saved.state, saved.reached, saved.sent), (run.state, run.reached, run.sent));
    saved.options.pace = Pace::Full;
    // It ends where it was to end when it was planned.
    store.append(vec![parcel(99)]).await.unwrap();
    let rest = Replay::resume(store.clone(), bus.clone(), saved).await.unwrap();
    let done = timeout(PATIENCE, rest.run_until(pending())).await.expect("an end").unwrap();
    assert_eq!((done.id, done.state, done.sent), (run.id, ReplayState::Done, 60));
    let rest = take(&*bus, "q").await;
    assert_eq!(positions(&rest), (run.reached + 1..=60).collect::<Vec<_>>());
    assert_eq!(rest[0].headers[headers::REPLAY], run.id.to_string());
    let over = Replay::resume(store, bus, done).await.err().unwrap();
    assert_eq!(over, ReplayError::Over { id: run.id });
}

async fn a_replay_whose_process_was_killed_goes_on_where_it_was_saved(database: Database) {
    let ((_memory, bus), store) = (bus().await, database.open().await);
    store.append(parcels(200)).await.unwrap();
    let slow = begin(&store, &bus, options().with_pace(Pace::Rate(50.0))).await.unwrap();
    let id = slow.progress().borrow().id;
    let running = tokio::spawn(slow.run_until(pending()));
    let saved = timeout(PATIENCE, async {
        loop {
            let saved = store.replay(id).await.unwrap().unwrap();
            if saved.reached > 0 {
                return saved;
            }
            sleep(Duration::from_millis(20)).await;
        }
    });
    let mut saved = saved.await.expect("it is saved while it runs");
    running.abort();
    assert_eq!((saved.state, saved.sent), (ReplayState::Running, saved.reached));
    let first = positions(&take(&*bus, "q").await);
    assert!(first.len() as u64 >= saved.reached, "{first:?}");
    // It is taken for dead a while after its last sign of life; whoever resumes waits for that.
    change(&database, "UPDATE replays SET updated = updated - 9000000").await;
    saved.updated -= chrono::TimeDelta::seconds(9);
    assert!(saved.lease() > Duration::ZERO);
    saved.options.pace = Pace::Full;
    let rest = Replay::resume(store, bus.clone(), saved.clone()).await.unwrap();
    let done = timeout(PATIENCE, rest.run_until(pending())).await.expect("an end").unwrap();
    assert_eq!((done.state, done.sent), (ReplayState::Done, 200));
    let rest = positions(&take(&*bus, "q").await);
    assert_eq!(rest, (saved.reached + 1..=200).collect::<Vec<_>>());
}

async fn the_record_says_who_sent_what_where(database: Database) {
    let ((_memory, bus), store) = (bus().await, database.open().await);
    store.append(parcels(3)).await.unwrap();
    let filter = Filter::new().with_key("lot.#".parse().unwrap()).with_first(2);
    let plan = store.plan_replay(filter).await.unwrap();
    let into =
        options().with_target(ReplayTarget::Queue("q".to_owned())).with_pace(Pace::Speed(10.0));
    let replay = Replay::begin(store.clone(), bus.clone(), &plan, into.clone()).await.unwrap();
    let running = store.replays(9).await.unwrap().remove(0);
    assert_eq!((running.state, running.finished), (ReplayState::Running, None));
    let resumed = Replay::resume(store.clone(), bus.clone(), running);
    let (busy, run) = tokio::join!(resumed, replay.run_until(pending()));
    let (busy, run) = (busy.err().unwrap(), run.unwrap());
    assert_eq!(busy, ReplayError::Running { id: run.id });
    let nowhere = options().with_target(ReplayTarget::Queue("nowhere".to_owned()));
    let failed = Replay::begin(store.clone(), bus, &plan, nowhere).await.unwrap();
    let error = failed.run_until(pending()).await.unwrap_err();
    let runs = store.replays(9).await.unwrap();
    assert_eq!((runs.len(), runs[0].state, runs[0].retries), (2, ReplayState::Failed, 0));
    assert_eq!(runs[0].error, Some(error.to_string()));
    assert_eq!(error.to_string(), "there is no queue `nowhere`: it was not declared");
    let stored = &runs[1];
    assert_eq!((stored.id, stored.state), (run.id, ReplayState::Done));
    assert_eq!((&stored.options, &stored.filter), (&into, &plan.filter));
    assert_eq!((stored.planned, stored.sent, stored.reached), (2, 2, 3));
    assert_eq!((stored.first, stored.last), (Some(2), Some(3)));
    assert!(stored.started <= stored.updated && stored.finished.is_some());
    assert_eq!(store.replays(1).await.unwrap().len(), 1);
}

async fn large_events_are_all_planned_and_sent_in_order(database: Database) {
    let ((_memory, bus), store) = (bus().await, database.open().await);
    for part in 0..2 {
        store.append((0..10).map(|n| large(10 * part + n)).collect()).await.unwrap();
    }
    assert_eq!(plan(&store).await.count, 20);
    let run = replay(&store, &bus, options()).await.unwrap();
    assert_eq!((run.state, run.sent), (ReplayState::Done, 20));
    assert_eq!(positions(&take(&*bus, "q").await), (1..=20).collect::<Vec<_>>());
}

async fn sqlite() -> (Database, EventStore) {
    let database = Database::sqlite().await.unwrap();
    let store = database.open().await;
    (database, store)
}

#[tokio::test]
async fn the_contracts_of_today_are_asked_not_those_of_the_past() {
    let (database, store) = sqlite().await;
    store.append(vec![parcel(0), event("a.b", json!({}), Meta::new())]).await.unwrap();
    assert_eq!(plan(&store).await.unfit_named[0].position, 2);
    let bundle = json!({
        "contracts": [{
            "kind": "event", "keys": ["a.b"], "version": 1, "schema_id": "x:a", "title": "a",
            "rust_type": "T", "definition": "anything",
        }],
        "services": [],
        "$defs": {"anything": true},
    });
    let today = Contracts::from_json(&bundle.to_string()).unwrap();
    let store = EventStore::open(StoreOptions::new(database.url.clone()), today).await.unwrap();
    assert_eq!(plan(&store).await.unfit_named[0].position, 1);
}

#[tokio::test]
async fn a_replay_that_nobody_hears_says_what_to_do() {
    let (_database, store) = sqlite().await;
    let (memory, bus) = bloodbank_testkit::catalog::bus([queue("q", &["#"])]).await;
    store.append(parcels(3)).await.unwrap();
    let error = replay(&store, &bus, options()).await.unwrap_err();
    assert_eq!(error, ReplayError::Nobody { key: "lot.parcel".to_owned() });
    assert!(error.to_string().contains("nobody hears replays of `lot.parcel`"), "{error}");
    let record = store.replays(1).await.unwrap().remove(0);
    assert_eq!((record.reached, record.retries), (0, 0));
    assert_eq!(record.error, Some(error.to_string()));
    assert_eq!(memory.depth("q"), 0);
    // Only who says so sends it to everybody.
    replay(&store, &bus, options().with_target(ReplayTarget::Live)).await.unwrap();
    assert_eq!(memory.depth("q"), 3);
}

#[tokio::test]
async fn a_replay_keeps_to_its_rate_and_to_its_time_scale() {
    let (_database, store) = sqlite().await;
    let (_memory, bus) = bus().await;
    let began: chrono::DateTime<chrono::Utc> = "2026-01-31T12:00:00Z".parse().unwrap();
    let events = (0..21).map(|n| {
        let mut envelope =
            bloodbank_core::Envelope::new("lot.parcel", "test", json!({ "n": n }), Meta::new());
        envelope.timestamp = began + chrono::TimeDelta::seconds(n);
        Incoming::new(Kind::Event, "lot.parcel", envelope.to_bytes().unwrap())
    });
    store.append(events.collect()).await.unwrap();
    for (pace, least) in [(Pace::Rate(50.0), 400), (Pace::Speed(40.0), 500)] {
        let began = Instant::now();
        let run = replay(&store, &bus, options().with_pace(pace)).await.unwrap();
        assert_eq!(run.sent, 21);
        assert!(began.elapsed() >= Duration::from_millis(least), "{:?}", began.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_holds_a_replay_up_and_costs_nothing() {
    let (_database, store) = sqlite().await;
    // A queue that gets nothing but replays holds them up.
    let small = Queue::new("q").bind(Exchange::Replay, "#".parse().unwrap()).with_max_len(50);
    let (_memory, bus) = bloodbank_testkit::catalog::bus([small]).await;
    store.append(parcels(500)).await.unwrap();
    let running = tokio::spawn(begin(&store, &bus, options()).await.unwrap().run_until(pending()));
    let mut taken = Vec::new();
    while !running.is_finished() {
        taken.extend(positions(&take(&*bus, "q").await));
        sleep(Duration::from_millis(20)).await;
    }
    taken.extend(positions(&take(&*bus, "q").await));
    let run = running.await.unwrap().unwrap();
    assert_eq!((run.state, run.sent), (ReplayState::Done, 500));
    assert!(run.retries > 0, "the queue was never full");
    taken.sort_unstable();
    taken.dedup();
    assert_eq!(taken, (1..=500).collect::<Vec<_>>());
}

/// A subscriber that tells which event it has handled, of which replay.
pub(crate) struct Listener {
    calls: mpsc::UnboundedReceiver<(u32, Option<String>)>,
    _stop: oneshot::Sender<()>,
}

impl Listener {
    pub(crate) async fn start(bus: &Arc<dyn Transport>) -> Self {
        let hears = queue("q", &["lot.parcel"]).hear_replays();
        bus.declare(&Topology::new().with_parked_queue(hears)).await.unwrap();
        let (sender, calls) = mpsc::unbounded_channel();
        let subscriber = Subscriber::<Any>::new(bus.clone(), contracts()).hear_replays();
        let subscriber = subscriber.queue("q").bind("lot.parcel").concurrency(1);
        let (_stop, stopped) = oneshot::channel::<()>();
        let subscriber = subscriber.on(move |received: Received<Parcel>| {
            sender.send((received.payload.n, received.replay().map(str::to_owned))).unwrap();
            async {}
        });
        tokio::spawn(subscriber.run_until(async {
            // An error means that the test is over.
            let _ = stopped.await;
        }));
        Listener { calls, _stop }
    }

    /// The numbers of the next ones, which are all of this replay.
    pub(crate) async fn take(&mut self, count: usize, replay: Uuid) -> Vec<u32> {
        let mut numbers = Vec::new();
        while numbers.len() < count {
            let call = timeout(PATIENCE, self.calls.recv()).await.expect("a call").unwrap();
            assert_eq!(call.1, Some(replay.to_string()));
            numbers.push(call.0);
        }
        numbers
    }

    pub(crate) async fn hears_nothing_more(&mut self) {
        let more = timeout(Duration::from_millis(300), self.calls.recv()).await;
        assert!(more.is_err(), "{more:?}");
    }
}

async fn connect(url: &str) -> (Amqp, Arc<dyn Transport>) {
    let mut config = AmqpConfig::from_urls(url).unwrap();
    // Shorter than a broker takes to start.
    config.deadline = Duration::from_secs(1);
    let amqp = Amqp::connect(config).await.unwrap();
    (amqp.clone(), Arc::new(amqp))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_replay_is_handled_once_on_a_broker() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let (amqp, bus) = connect(&Broker::shared().await.fresh_url()).await;
    let (_database, store) = sqlite().await;
    store.append(parcels(1_000)).await.unwrap();
    let mut listener = Listener::start(&bus).await;
    for _ in 0..2 {
        let run = replay(&store, &bus, options()).await.unwrap();
        let numbers = listener.take(1_000, run.id).await;
        assert_eq!(numbers, (0..1_000).collect::<Vec<_>>(), "in order");
        // The same events of the same replay once more.
        let mut again = run;
        (again.state, again.reached) = (ReplayState::Cancelled, 990);
        let again = Replay::resume(store.clone(), bus.clone(), again).await.unwrap();
        assert_eq!(again.run_until(pending()).await.unwrap().sent, 1_010);
        listener.hears_nothing_more().await;
    }
    amqp.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_killed_costs_no_replayed_event_and_doubles_none() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let broker = Broker::start().await;
    let (amqp, bus) = connect(&broker.fresh_url()).await;
    let (_database, store) = sqlite().await;
    store.append(parcels(4_000)).await.unwrap();
    let mut listener = Listener::start(&bus).await;
    let paced = options().with_pace(Pace::Rate(2_000.0));
    let replay = begin(&store, &bus, paced).await.unwrap();
    let mut progress = replay.progress();
    let id = progress.borrow().id;
    let running = tokio::spawn(replay.run_until(pending()));
    progress.wait_for(|run| run.sent > 500).await.unwrap();
    tokio::task::block_in_place(|| broker.kill());
    broker.restart().await;
    let mut numbers = listener.take(4_000, id).await;
    let run = timeout(PATIENCE, running).await.expect("an end").unwrap().unwrap();
    assert_eq!((run.sent, run.reached), (4_000, 4_000));
    assert!(run.retries > 0, "{run:?}");
    listener.hears_nothing_more().await;
    numbers.sort_unstable();
    assert_eq!(numbers, (0..4_000).collect::<Vec<_>>());
    amqp.close().await;
}
