//! What lies in quarantine.

use bloodbank_core::{Envelope, Kind, Meta};
use candystore::{Appended, Difference, Incoming, Prune, Retried};
use serde_json::json;
use uuid::Uuid;

use crate::databases::{Database, event, on_both};
use crate::raw::change;

on_both!(
    quarantine_lists_what_came_and_in_what_it_differs,
    who_said_it_and_why_are_part_of_what_was_said,
    quarantine_is_emptied,
);

async fn quarantine_lists_what_came_and_in_what_it_differs(database: Database) {
    let store = database.open().await;
    let id = Uuid::now_v7();
    let said = |key: &str, n| event(key, json!({ "n": n }), Meta::new().with_id(id));
    let mut command = said("lot.parcel", 1);
    command.kind = Kind::Command;
    let headers = [("x-mine".to_owned(), "1".into())].into();
    let batch = vec![
        said("lot.parcel", 1),
        said("lot.parcel", 2).with_headers(headers),
        said("lot.session.started", 1),
        command,
        said("lot.session.started", 3),
    ];
    let appended = store.append(batch.clone()).await.unwrap();
    assert_eq!(appended[1..], [Appended::Conflict(1); 4]);
    let all = store.quarantined(0, 10).await.unwrap();
    let differences: Vec<_> =
        all.iter().map(|one| one.difference.map(|d| (d.kind, d.key, d.data))).collect();
    let expected =
        [(false, false, true), (false, true, false), (true, false, false), (false, true, true)];
    assert_eq!(differences, expected.map(Some));
    let same = |one: &candystore::Quarantined, incoming: &Incoming| {
        (one.id, one.position, one.kind) == (id, 1, incoming.kind)
            && *one.key == *incoming.key
            && (&one.body, &one.headers) == (&incoming.body, &incoming.headers)
    };
    assert!(all.iter().zip(&batch[1..]).all(|(one, incoming)| same(one, incoming)));
    assert!(all.is_sorted_by_key(|one| one.received));
    assert_eq!(store.quarantined(1, 2).await.unwrap(), all[1..3]);
    assert_eq!(store.quarantined(4, 10).await.unwrap(), []);
    change(&database, "DELETE FROM events").await;
    assert_eq!(store.quarantined(3, 1).await.unwrap()[0].difference, None, "nothing to compare");
}

async fn who_said_it_and_why_are_part_of_what_was_said(database: Database) {
    let store = database.open().await;
    let (id, other) = (Uuid::now_v7(), Uuid::now_v7());
    let meta = || Meta::new().with_id(id);
    let said = |source: &str, meta: Meta| {
        let envelope = Envelope::new("lot.parcel", source, json!({}), meta);
        Incoming::new(Kind::Event, "lot.parcel", envelope.to_bytes().unwrap())
    };
    store.append(vec![said("ada", meta())]).await.unwrap();
    // When it was said is no part of it.
    assert_eq!(store.append(vec![said("ada", meta())]).await.unwrap(), [Appended::Duplicate(1)]);
    let others = vec![
        said("bob", meta()),
        said("ada", meta().with_correlation_id(other)),
        said("ada", meta().with_causation_id(other)),
        said("ada", meta().with_session_id("s")),
    ];
    assert_eq!(store.append(others).await.unwrap(), [Appended::Conflict(1); 4]);
    let all = store.quarantined(0, 10).await.unwrap();
    let differences = all.iter().map(|one| one.difference.unwrap());
    let which =
        |d: Difference| [d.kind, d.key, d.data, d.source, d.correlation, d.causation, d.session];
    let which: Vec<_> = differences.map(|d| which(d).iter().position(|is| *is)).collect();
    assert_eq!(which, [3, 4, 5, 6].map(Some));
}

async fn quarantine_is_emptied(database: Database) {
    let store = database.open().await;
    let (one, two) = (Uuid::now_v7(), Uuid::now_v7());
    let said = |id, n| event("lot.parcel", json!({ "n": n }), Meta::new().with_id(id));
    store.append(vec![said(one, 1), said(two, 1), said(one, 2), said(two, 2)]).await.unwrap();
    store.append(vec![said(two, 3)]).await.unwrap();
    let retried = store.retry_quarantined(1).await.unwrap();
    assert_eq!(retried, Retried::Conflict(1), "the event that has its id is still there");
    assert_eq!(store.quarantined(0, 9).await.unwrap().len(), 3);
    let plan = Prune::new(Vec::new()).with_keep(1);
    store.prune(&store.plan_prune(plan).await.unwrap(), |_| {}).await.unwrap();
    assert_eq!(store.retry_quarantined(1).await.unwrap(), Retried::Stored(3));
    assert_eq!(store.retry_quarantined(1).await.unwrap(), Retried::Missing);
    let stored = String::from_utf8(store.at(3).await.unwrap().unwrap().body.to_vec()).unwrap();
    assert!(stored.contains("\"n\":2"), "{stored}");
    assert_eq!(store.drop_quarantined(vec![2, 3, 99]).await.unwrap(), 2);
    assert_eq!(store.quarantined(0, 9).await.unwrap(), []);
}
