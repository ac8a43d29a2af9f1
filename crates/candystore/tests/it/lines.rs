//! Events as lines, from one store into another.

use bloodbank_bus::{HeaderValue, Properties};
use bloodbank_core::{Kind, Meta};
use candystore::{Appended, EventStore, Filter, Incoming, Position, Standing, StoredEvent};
use chrono::{DateTime, TimeDelta, Utc};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use uuid::Uuid;

use crate::databases::{Database, event, on_both, parcel};
use crate::verifying::{problems, verify};

on_both!(
    what_is_imported_twice_is_stored_once,
    lines_can_be_chosen_by_position_and_key,
    a_time_from_the_future_is_not_kept,
    large_events_come_a_few_at_a_time,
    what_this_version_does_not_know_goes_from_store_to_store,
    an_imported_envelope_beyond_its_bounds_is_malformed,
    an_imported_envelope_of_an_earlier_version_keeps_its_id,
);

async fn exported(store: &EventStore) -> Vec<StoredEvent> {
    chosen(store, 0, None, &[]).await
}

async fn chosen(
    store: &EventStore,
    after: Position,
    until: Option<Position>,
    keys: &[&str],
) -> Vec<StoredEvent> {
    let mut filter = Filter::new().with_first(after + 1);
    filter.last = until;
    filter.keys = keys.iter().map(|key| key.parse().unwrap()).collect();
    let mut pages = store.pages(filter).await.unwrap();
    let mut events = Vec::new();
    loop {
        let page = pages.next().await.unwrap();
        if page.is_empty() {
            return events;
        }
        events.extend(page);
    }
}

async fn import(store: &EventStore, lines: &[String]) -> Vec<Appended> {
    let events = lines.iter().map(|line| Incoming::from_line(line.as_bytes()).unwrap()).collect();
    store.append(events).await.unwrap()
}

fn lines(events: &[StoredEvent]) -> Vec<String> {
    events.iter().map(StoredEvent::to_line).collect()
}

async fn what_is_imported_twice_is_stored_once(database: Database) {
    let from = Database::sqlite().await.unwrap();
    let source = from.open().await;
    source.append((0..20).map(parcel).collect()).await.unwrap();
    let events = exported(&source).await;
    let store = database.open().await;
    let first = import(&store, &lines(&events)).await;
    assert_eq!(first, (1..=20).map(Appended::Stored).collect::<Vec<_>>());
    let second = import(&store, &lines(&events)).await;
    assert_eq!(second, (1..=20).map(Appended::Duplicate).collect::<Vec<_>>());
    assert_eq!(exported(&store).await, events);
}

async fn lines_can_be_chosen_by_position_and_key(database: Database) {
    let store = database.open().await;
    let keys = ["lot.parcel", "lot.session.started", "terminal.mooring.ended"];
    let mixed = |n: u32| event(keys[n as usize % 3], json!({ "n": n }), Meta::new());
    store.append((0..1_200).map(mixed).collect()).await.unwrap();
    let positions = |events: Vec<StoredEvent>| -> Vec<Position> {
        events.iter().map(|event| event.position).collect()
    };
    let some = positions(chosen(&store, 3, Some(9), &["lot.#"]).await);
    assert_eq!(some, [4, 5, 7, 8]);
    assert_eq!(positions(chosen(&store, 1_198, None, &[]).await), [1_199, 1_200]);
    assert_eq!(chosen(&store, 0, None, &["*.parcel", "terminal.#"]).await.len(), 800);
    assert_eq!(chosen(&store, 0, None, &["no.such.key"]).await, []);
    assert_eq!(chosen(&store, 9_000, Some(1), &[]).await, []);
}

async fn a_time_from_the_future_is_not_kept(database: Database) {
    let store = database.open().await;
    let future = Utc::now() + TimeDelta::days(365_000);
    store.append(vec![parcel(0).with_received(future), parcel(1)]).await.unwrap();
    let last = store.at(2).await.unwrap().unwrap();
    assert!(last.received <= Utc::now(), "{}", last.received);
}

async fn large_events_come_a_few_at_a_time(database: Database) {
    let store = database.open().await;
    let text = "x".repeat(3_000_000);
    for n in 0..5 {
        let large = event("lot.parcel", json!({ "n": n, "text": text }), Meta::new());
        store.append(vec![large, parcel(n)]).await.unwrap();
    }
    let mut pages = store.pages(Filter::new()).await.unwrap();
    let mut counts = Vec::new();
    loop {
        let page = pages.next().await.unwrap();
        if page.is_empty() {
            break;
        }
        counts.push(page.len());
    }
    assert_eq!(counts, [3, 4, 3]);
}

/// An envelope with this field besides.
fn with_field(name: &str, value: serde_json::Value) -> Incoming {
    let mut envelope: serde_json::Value = serde_json::from_slice(&parcel(1).body).unwrap();
    envelope[name] = value;
    Incoming::new(Kind::Event, "lot.parcel", envelope.to_string().into_bytes())
}

async fn what_this_version_does_not_know_goes_from_store_to_store(database: Database) {
    let from = Database::sqlite().await.unwrap();
    let source = from.open().await;
    let mut properties = Properties::default();
    properties.priority = Some(9);
    properties.kind = Some("lot.parcel".to_owned());
    let list = HeaderValue::List(vec![HeaderValue::I8(1), HeaderValue::Time(7)]);
    let incoming = with_field("tenant", json!({"name": "x", "quota": 1.5}))
        .with_headers([("x-list".to_owned(), list)].into())
        .with_properties(properties.boxed());
    source.append(vec![incoming.clone()]).await.unwrap();
    let store = database.open().await;
    import(&store, &lines(&exported(&source).await)).await;
    for store in [&source, &store] {
        let stored = store.at(1).await.unwrap().unwrap();
        assert_eq!(stored.standing, Standing::Valid, "{:?}", stored.violation);
        assert_eq!((&stored.body, &stored.headers), (&incoming.body, &incoming.headers));
        // What only repeats the envelope is not kept.
        let kept = stored.properties.unwrap();
        assert_eq!((kept.priority, kept.kind), (Some(9), None));
        let envelope = bloodbank_core::Envelope::from_bytes(&stored.body).unwrap();
        assert_eq!(envelope.extra["tenant"], json!({"name": "x", "quota": 1.5}));
    }
    assert_eq!(problems(&verify(&store).await), [""; 0]);
}

async fn an_imported_envelope_beyond_its_bounds_is_malformed(database: Database) {
    let from = Database::sqlite().await.unwrap();
    let source = from.open().await;
    let fields = [("source", json!("")), ("data", json!([])), ("traceparent", json!("00"))];
    let events = fields.iter().map(|(name, value)| with_field(name, value.clone())).collect();
    source.append(events).await.unwrap();
    let store = database.open().await;
    import(&store, &lines(&exported(&source).await)).await;
    for (position, (name, _)) in (1..).zip(fields) {
        let stored = store.at(position).await.unwrap().unwrap();
        let violation = stored.violation.unwrap();
        let said = format!("not an envelope as its schema wants it: (envelope)/{name}  expected ");
        assert_eq!(stored.standing, Standing::Malformed);
        assert!(violation.starts_with(&said), "{violation}");
    }
}

async fn an_imported_envelope_of_an_earlier_version_keeps_its_id(database: Database) {
    let (id, cause) = (Uuid::now_v7(), Uuid::now_v7());
    let mut envelope: serde_json::Value = serde_json::from_slice(&parcel(1).body).unwrap();
    envelope["id"] = json!(id.simple().to_string());
    envelope["causation_id"] = json!(cause.simple().to_string());
    envelope["timestamp"] = json!("2026-01-31 12:00:00Z");
    let old = Incoming::new(Kind::Event, "lot.parcel", envelope.to_string().into_bytes());
    let from = Database::sqlite().await.unwrap();
    let source = from.open().await;
    // What comes from a queue today has to be as the schema of envelopes says.
    source.append(vec![old.clone(), old.with_received(Utc::now())]).await.unwrap();
    let events = exported(&source).await;
    assert_eq!(events[0].standing, Standing::Malformed);
    let store = database.open().await;
    import(&store, &lines(&events[1..])).await;
    let time = "2026-01-31T12:00:00Z".parse::<DateTime<Utc>>().unwrap();
    for stored in [&events[1], &store.at(1).await.unwrap().unwrap()] {
        assert_eq!(stored.standing, Standing::Valid, "{:?}", stored.violation);
        assert_eq!((stored.id, stored.causation_id), (id, Some(cause)));
        assert_eq!(stored.timestamp, Some(time));
    }
    assert_eq!(problems(&verify(&store).await), [""; 0]);
}

/// An odd event: an envelope with odd texts in it, or bytes that are none.
fn odd() -> impl Strategy<Value = Incoming> {
    let body = prop_oneof![
        vec(any::<u8>(), 0..60).prop_map(|bytes| ("lot.parcel".to_owned(), bytes)),
        any::<String>().prop_map(|text| ("odd.key".to_owned(), text.into_bytes())),
        (any::<String>(), any::<Option<String>>(), any::<String>()).prop_map(envelope),
    ];
    let value = prop_oneof![
        any::<String>().prop_map(HeaderValue::Text),
        any::<u64>().prop_map(HeaderValue::Time),
        any::<f64>().prop_map(HeaderValue::F64),
    ];
    let headers = btree_map("\\$?\\PC{0,4}", value, 0..3);
    let properties = (any::<Option<u8>>(), any::<Option<String>>()).prop_map(|(priority, kind)| {
        let mut properties = Properties::default();
        (properties.priority, properties.kind) = (priority, kind);
        properties.boxed()
    });
    let kind = prop_oneof![Just(Kind::Event), Just(Kind::Command)];
    (body, headers, properties, kind, 0..i64::from(u32::MAX)).prop_map(
        |((key, body), headers, properties, kind, seconds)| {
            let received = DateTime::from_timestamp(seconds % 1_700_000_000, 123_456_000).unwrap();
            let incoming = Incoming::new(kind, key, body).with_headers(headers);
            incoming.with_properties(properties).with_received(received)
        },
    )
}

fn envelope((source, session, text): (String, Option<String>, String)) -> (String, Vec<u8>) {
    let mut meta = Meta::new().with_correlation_id(Uuid::now_v7());
    if let Some(session) = session {
        meta = meta.with_session_id(session);
    }
    let data = json!({ "text": text });
    let envelope = bloodbank_core::Envelope::new("lot.parcel", source, data, meta);
    ("lot.parcel".to_owned(), envelope.to_bytes().unwrap())
}

/// Each case looks only at what it has appended itself.
async fn between_databases(from: Database, to: Database) {
    let (source, target) = (from.open().await, to.open().await);
    let config = Config { cases: 40, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let runtime = tokio::runtime::Handle::current();
    let strategy = vec(odd(), 1..8);
    let run = tokio::task::block_in_place(|| {
        runner.run(&strategy, |batch| {
            runtime.block_on(async {
                let before = source.position().await.unwrap();
                source.append(batch).await.unwrap();
                let events = chosen(&source, before, None, &[]).await;
                let there = target.position().await.unwrap();
                import(&target, &lines(&events)).await;
                let arrived = chosen(&target, there, None, &[]).await;
                assert_eq!(arrived, events);
            });
            Ok(())
        })
    });
    run.unwrap();
    for store in [source, target] {
        assert_eq!(problems(&verify(&store).await), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_sqlite_holds_is_the_same_on_postgresql() {
    let Some(postgres) = Database::postgres().await else { return };
    between_databases(Database::sqlite().await.unwrap(), postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_postgresql_holds_is_the_same_on_sqlite() {
    let Some(postgres) = Database::postgres().await else { return };
    between_databases(postgres, Database::sqlite().await.unwrap()).await;
}
