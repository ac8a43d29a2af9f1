//! How much of what there is.

use bloodbank_core::{Envelope, Kind, Meta};
use candystore::{By, EventStore, Incoming, Prune};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use uuid::Uuid;

use crate::databases::{Database, event, on_both, parcel};
use crate::raw::change;
use crate::verifying::{problems, verify};

on_both!(
    groups_add_up_to_what_is_stored,
    totals_count_what_was_not_stored_too,
    any_range_counts_the_events_in_it,
    whole_hours_are_counted_without_their_events,
    figures_that_are_wrong_are_found,
    the_last_events_are_counted_when_somebody_asks,
    figures_of_two_writers_are_right_at_every_moment,
    an_event_that_cannot_be_counted_keeps_nobody_from_storing,
);

/// More events than are left without figures.
const MANY: u32 = 4_096;

async fn groups_add_up_to_what_is_stored(database: Database) {
    let store = database.open().await;
    let said = |source: &str, key: &str, seconds| {
        let meta = Meta::new().with_timestamp(Utc::now() - TimeDelta::seconds(seconds));
        let envelope = Envelope::new(key, source, json!({}), meta);
        Incoming::new(Kind::Event, key, envelope.to_bytes().unwrap())
    };
    let batch = vec![
        said("ada", "lot.parcel", 10),
        said("bob", "lot.parcel", 20),
        said("ada", "no.such.key", 60),
        Incoming::new(Kind::Event, "no.such.key", *b"12345"),
    ];
    let sizes: Vec<u64> = batch.iter().map(|event| event.body.len() as u64).collect();
    store.append(batch).await.unwrap();
    let groups = store.stats(None, None, By::Key).await.unwrap();
    assert_eq!(groups.len(), 2);
    assert_eq!(groups[0].key.as_deref(), Some("lot.parcel"));
    assert_eq!((groups[0].start, &groups[0].source), (None, &None));
    let numbers = |n: usize| (groups[n].count, groups[n].bytes, groups[n].not_valid());
    assert_eq!(numbers(0), (2, sizes[0] + sizes[1], 0));
    assert_eq!(numbers(1), (2, sizes[2] + 5, 2));
    assert_eq!((groups[1].unknown, groups[1].malformed, groups[1].invalid), (1, 1, 0));
    let latency = groups[0].latency.unwrap();
    assert_eq!((latency.mean.num_seconds(), latency.max.num_seconds()), (15, 20));
    assert!((8..=12).contains(&latency.p50.num_seconds()), "{latency:?}");
    assert!((16..=20).contains(&latency.p99.num_seconds()), "{latency:?}");
    let latency = groups[1].latency.unwrap();
    assert_eq!(latency.mean.num_seconds(), 60, "only of what has a time");
    let by_source = store.stats(None, None, By::Source).await.unwrap();
    let counts: Vec<_> =
        by_source.iter().map(|g| (g.source.as_deref().unwrap(), g.count)).collect();
    assert_eq!(counts, [("", 1), ("ada", 2), ("bob", 1)]);
    assert_eq!(by_source[0].latency, None);
    let each = store.stats(None, None, By::Each).await.unwrap();
    assert_eq!(each.iter().map(|group| group.count).sum::<u64>(), 4);
    assert_eq!(each.len(), 4);
    let received = store.at(1).await.unwrap().unwrap().received;
    assert_eq!(each[0].start.unwrap().timestamp() / 60, received.timestamp() / 60);
    let by_minute = store.stats(Some(received), None, By::Minute).await.unwrap();
    assert_eq!(by_minute.iter().map(|group| group.count).sum::<u64>(), 4);
    assert_eq!(store.stats(None, Some(received), By::Each).await.unwrap(), []);
}

async fn totals_count_what_was_not_stored_too(database: Database) {
    let store = database.open().await;
    let empty = store.totals().await.unwrap();
    assert_eq!((empty.events, empty.commands, empty.first, empty.last), (0, 0, None, None));
    let id = Uuid::now_v7();
    let same = |n| event("lot.parcel", json!({ "n": n }), Meta::new().with_id(id));
    let command = event("terminal.mooring.create", json!({}), Meta::new());
    let command = Incoming::new(Kind::Command, command.key.clone(), command.body.clone());
    let broken = Incoming::new(Kind::Event, "lot.parcel", *b"x");
    store.append(vec![parcel(0), same(1), same(1), same(2), command, broken]).await.unwrap();
    let totals = store.totals().await.unwrap();
    assert_eq!((totals.events, totals.commands, totals.not_valid), (3, 1, 1));
    assert_eq!((totals.duplicates, totals.quarantined), (1, 1));
    let end = |end: Option<(u64, _)>| end.unwrap().0;
    assert_eq!((end(totals.first), end(totals.last)), (1, 4));
    assert!(totals.size > 4_096 && totals.size < 10_000_000, "{}", totals.size);
}

/// Events of three days, 17 minutes apart, of two keys and three sources.
async fn seeded(database: &Database) -> (EventStore, Vec<DateTime<Utc>>) {
    let store = database.open().await;
    let start: DateTime<Utc> = "2026-01-30T21:13:00Z".parse().unwrap();
    let times: Vec<_> = (0..300).map(|n| start + TimeDelta::minutes(17 * n)).collect();
    let of = |(n, received): (usize, &DateTime<Utc>)| {
        let key = ["lot.parcel", "no.such.key"][n % 2];
        let meta = Meta::new().with_timestamp(*received - TimeDelta::milliseconds(n as i64));
        let envelope = Envelope::new(key, ["ada", "bob", "eve"][n % 3], json!({ "n": n }), meta);
        Incoming::new(Kind::Event, key, envelope.to_bytes().unwrap()).with_received(*received)
    };
    let events: Vec<_> = times.iter().enumerate().map(of).collect();
    for batch in events.chunks(70) {
        store.append(batch.to_vec()).await.unwrap();
    }
    (store, times)
}

async fn counts(
    store: &EventStore,
    range: (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
    by: By,
) -> Vec<u64> {
    let groups = store.stats(range.0, range.1, by).await.unwrap();
    groups.iter().map(|group| group.count).collect()
}

async fn any_range_counts_the_events_in_it(database: Database) {
    let (store, times) = seeded(&database).await;
    let time = |text: &str| Some(text.parse::<DateTime<Utc>>().unwrap());
    for range in [
        (None, None),
        (time("2026-01-30T22:20:00Z"), None),
        (None, time("2026-02-02T03:00:00Z")),
        (time("2026-01-30T22:20:00Z"), time("2026-02-02T03:40:00Z")),
        (time("2026-01-31T00:00:00Z"), time("2026-02-01T00:00:00Z")),
        (time("2026-01-31T11:05:00Z"), time("2026-01-31T11:55:00Z")),
        (time("2026-01-31T11:05:00Z"), time("2026-01-31T12:55:00Z")),
        (time("2027-01-01T00:00:00Z"), None),
    ] {
        let is_in = |at: &DateTime<Utc>| {
            range.0.is_none_or(|since| *at >= since) && range.1.is_none_or(|until| *at < until)
        };
        let expected = times.iter().filter(|at| is_in(at)).count() as u64;
        for by in [By::Each, By::Minute, By::Hour, By::Day, By::Key, By::Source] {
            let found = counts(&store, range, by).await;
            assert_eq!(found.iter().sum::<u64>(), expected, "{range:?} {by:?}");
        }
    }
    let days = store.stats(None, None, By::Day).await.unwrap();
    let starts: Vec<_> = days.iter().map(|day| day.start.unwrap().to_rfc3339()).collect();
    assert_eq!(starts[..2], ["2026-01-30T00:00:00+00:00", "2026-01-31T00:00:00+00:00"]);
    let hours = store.stats(None, None, By::Hour).await.unwrap();
    assert!(hours.iter().all(|hour| hour.start.unwrap().timestamp() % 3_600 == 0));
    let latency = store.stats(None, None, By::Source).await.unwrap()[0].latency.unwrap();
    let millis = [latency.p50, latency.p95, latency.p99].map(|time| time.num_milliseconds());
    for (found, exact) in millis.into_iter().zip([147, 282, 294]) {
        assert!((found - exact).abs() * 5 <= exact, "{found} for {exact}");
    }
}

async fn whole_hours_are_counted_without_their_events(database: Database) {
    let (store, _) = seeded(&database).await;
    store.append((0..MANY).map(parcel).collect()).await.unwrap();
    let totals = store.totals().await.unwrap();
    let groups = store.stats(None, None, By::Key).await.unwrap();
    change(&database, "DELETE FROM events").await;
    assert_eq!(store.stats(None, None, By::Key).await.unwrap(), groups);
    assert_eq!(store.totals().await.unwrap().events, totals.events);
    assert_eq!(counts(&store, (None, None), By::Minute).await, [0; 0]);
}

async fn figures_that_are_wrong_are_found(database: Database) {
    let (store, _) = seeded(&database).await;
    let plan = Prune::new(vec!["lot.parcel".parse().unwrap()]).with_keep(10);
    store.prune(&store.plan_prune(plan).await.unwrap(), |_| {}).await.unwrap();
    assert_eq!(counts(&store, (None, None), By::Key).await, [10, 150]);
    assert_eq!(problems(&verify(&store).await), [""; 0]);
    let wrong = "UPDATE summaries SET bytes = bytes + 1 WHERE start >= 1769817600000000 \
         AND start < 1769904000000000 AND hours = 24";
    change(&database, wrong).await;
    let found = problems(&verify(&store).await);
    assert_eq!(found, ["the figures of 2026-01-31 are not those of its events"]);
    change(&database, "DELETE FROM summaries WHERE hours = 1 AND start >= 1769904000000000").await;
    assert!(verify(&store).await.found >= 2);
}

async fn the_last_events_are_counted_when_somebody_asks(database: Database) {
    let (store, _) = seeded(&database).await;
    let answers = async || {
        let mut groups = Vec::new();
        for by in [By::Each, By::Minute, By::Hour, By::Day, By::Key, By::Source] {
            groups.push(store.stats(None, None, by).await.unwrap());
        }
        (store.totals().await.unwrap(), groups)
    };
    let before = answers().await;
    assert_eq!(before.0.events, 300);
    // To store a few events is not to write their figures.
    change(&database, "DELETE FROM summaries").await;
    let after = answers().await;
    assert_eq!((after.0.events, after.0.not_valid, after.1), (300, 150, before.1));
    assert_eq!(problems(&verify(&store).await), [""; 0]);
    change(&database, "UPDATE head SET counted = 100").await;
    let found = problems(&verify(&store).await);
    assert_eq!(found[0], "the figures of 2026-01-30 are not those of its events");
    change(&database, "UPDATE head SET counted = 301").await;
    let found = problems(&verify(&store).await);
    assert!(found[0].contains("figures count what is behind the last event"), "{found:?}");
}

async fn figures_of_two_writers_are_right_at_every_moment(database: Database) {
    let stores = [database.open().await, database.open().await];
    let (mut stored, mut pruned) = (0, 0);
    for (step, size) in (0..).zip([900, 1, 1_400, 700, 2_500, 3, 1_200, 5_000, 1]) {
        let [store, other] = [&stores[step % 2], &stores[(step + 1) % 2]];
        store.append((0..size).map(parcel).collect()).await.unwrap();
        stored += u64::from(size);
        if step % 3 == 2 {
            let plan = Prune::new(vec!["lot.parcel".parse().unwrap()]).with_keep(800);
            let plan = other.plan_prune(plan).await.unwrap();
            pruned += other.prune(&plan, |_| {}).await.unwrap().events;
        }
        for store in &stores {
            assert_eq!(store.totals().await.unwrap().events, stored - pruned);
            assert_eq!(counts(store, (None, None), By::Key).await, [stored - pruned]);
            assert_eq!(problems(&verify(store).await), [""; 0]);
        }
    }
    assert!(pruned > 0);
}

async fn an_event_that_cannot_be_counted_keeps_nobody_from_storing(database: Database) {
    let store = database.open().await;
    store.append((0..3).map(parcel).collect()).await.unwrap();
    change(&database, "UPDATE events SET standing = 'rumour' WHERE position = 2").await;
    assert_eq!(store.totals().await.unwrap().events, 2);
    // One that has to read what the other has stored.
    let other = database.open().await;
    other.append((0..MANY).map(parcel).collect()).await.unwrap();
    assert_eq!(other.totals().await.unwrap().events, 2 + u64::from(MANY));
    let found = problems(&verify(&other).await);
    assert_eq!(found, ["2: it cannot be read: column `standing`"]);
}
