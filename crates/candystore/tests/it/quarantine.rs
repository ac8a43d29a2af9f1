//! What lies in quarantine.

use bloodbank_core::{Kind, Meta};
use candystore::{Appended, Incoming};
use serde_json::json;
use uuid::Uuid;

use crate::databases::{Database, event, on_both};
use crate::raw::change;

on_both!(quarantine_lists_what_came_and_in_what_it_differs);

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
