//! How much of what there is.

use bloodbank_core::{Envelope, Kind, Meta};
use candystore::{By, Incoming};
use chrono::{TimeDelta, Utc};
use serde_json::json;
use uuid::Uuid;

use crate::databases::{Database, event, on_both, parcel};

on_both!(groups_add_up_to_what_is_stored, totals_count_what_was_not_stored_too);

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
    assert_eq!((groups[0].minute, &groups[0].source), (None, &None));
    let numbers = |n: usize| (groups[n].count, groups[n].bytes, groups[n].not_valid);
    assert_eq!(numbers(0), (2, sizes[0] + sizes[1], 0));
    assert_eq!(numbers(1), (2, sizes[2] + 5, 2));
    let seconds = |latency: Option<TimeDelta>| latency.unwrap().num_seconds();
    assert_eq!(seconds(groups[0].mean_latency), 15);
    assert_eq!(seconds(groups[0].max_latency), 20);
    assert_eq!(seconds(groups[1].mean_latency), 60, "only of what has a time");
    let by_source = store.stats(None, None, By::Source).await.unwrap();
    let counts: Vec<_> =
        by_source.iter().map(|g| (g.source.as_deref().unwrap(), g.count)).collect();
    assert_eq!(counts, [("", 1), ("ada", 2), ("bob", 1)]);
    assert_eq!(by_source[0].mean_latency, None);
    let each = store.stats(None, None, By::Each).await.unwrap();
    assert_eq!(each.iter().map(|group| group.count).sum::<u64>(), 4);
    assert_eq!(each.len(), 4);
    let received = store.at(1).await.unwrap().unwrap().received;
    assert_eq!(each[0].minute.unwrap().timestamp() / 60, received.timestamp() / 60);
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
