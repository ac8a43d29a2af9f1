//! Appending.

use bloodbank_core::{Kind, Meta};
use bloodbank_testkit::catalog::mooring;
use candystore::{Appended, Incoming, Standing};
use serde_json::json;
use uuid::Uuid;

use crate::databases::{Database, event, on_both, parcel};

on_both!(
    an_event_comes_back_as_it_came,
    positions_count_up_without_gaps,
    the_same_event_again_is_a_duplicate,
    the_same_id_with_other_contents_goes_to_quarantine,
    what_breaks_its_contract_is_stored_and_marked,
);

async fn an_event_comes_back_as_it_came(database: Database) {
    let store = database.open().await;
    let first = Uuid::now_v7();
    let meta = Meta::new().with_session_id("s1").with_correlation_id(first);
    let incoming = event("terminal.mooring.created", json!(mooring("Budget")), meta);
    let headers = [("x-mine".to_owned(), "ä\"\n".into())].into();
    let incoming = incoming.with_headers(headers);
    let appended = store.append(vec![incoming.clone()]).await.unwrap();
    assert_eq!(appended, [Appended::Stored(1)]);
    let stored = store.at(1).await.unwrap().unwrap();
    assert_eq!(store.get(stored.id).await.unwrap().as_ref(), Some(&stored));
    assert_eq!((&stored.body, &stored.headers), (&incoming.body, &incoming.headers));
    assert_eq!((&*stored.key, &*stored.source), ("terminal.mooring.created", "test"));
    assert_eq!((stored.correlation_id, stored.causation_id), (Some(first), None));
    assert_eq!((stored.session_id.as_deref(), stored.kind), (Some("s1"), Kind::Event));
    assert_eq!((stored.standing, stored.violation), (Standing::Valid, None));
    assert!(stored.schema.is_some() && stored.timestamp.unwrap() <= stored.received);
}

async fn positions_count_up_without_gaps(database: Database) {
    let store = database.open().await;
    assert_eq!(store.position().await.unwrap(), 0);
    let again = parcel(1);
    let batch = vec![parcel(0), again.clone(), again.clone(), parcel(2)];
    let appended = store.append(batch).await.unwrap();
    let expected =
        [Appended::Stored(1), Appended::Stored(2), Appended::Duplicate(2), Appended::Stored(3)];
    assert_eq!(appended, expected);
    let appended = store.append(vec![again, parcel(3)]).await.unwrap();
    assert_eq!(appended, [Appended::Duplicate(2), Appended::Stored(4)]);
    assert_eq!(store.position().await.unwrap(), 4);
    assert_eq!(store.append(vec![]).await.unwrap(), []);
    // Another process goes on where this one was.
    let other = database.open().await;
    assert_eq!(other.append(vec![parcel(4)]).await.unwrap(), [Appended::Stored(5)]);
    assert_eq!(store.append(vec![parcel(5)]).await.unwrap(), [Appended::Stored(6)]);
}

async fn the_same_event_again_is_a_duplicate(database: Database) {
    let store = database.open().await;
    let id = Uuid::now_v7();
    let said = |data| event("lot.parcel", data, Meta::new().with_id(id));
    // When it was said may differ, and how its JSON is written.
    let first = said(json!({"n": 1, "m": 2}));
    let second = said(json!({"m": 2.0, "n": 1}));
    assert_ne!(first.body, second.body);
    assert_eq!(store.append(vec![first.clone()]).await.unwrap(), [Appended::Stored(1)]);
    assert_eq!(store.append(vec![second]).await.unwrap(), [Appended::Duplicate(1)]);
    let stored = store.at(1).await.unwrap().unwrap();
    assert_eq!(stored.body, first.body, "never overwritten");
}

async fn the_same_id_with_other_contents_goes_to_quarantine(database: Database) {
    let store = database.open().await;
    let id = Uuid::now_v7();
    let said = |key: &str, n| event(key, json!({ "n": n }), Meta::new().with_id(id));
    let first = said("lot.parcel", 1);
    let batch = vec![first.clone(), said("lot.parcel", 2), said("lot.session.started", 1)];
    let appended = store.append(batch).await.unwrap();
    assert_eq!(appended, [Appended::Stored(1), Appended::Conflict(1), Appended::Conflict(1)]);
    assert_eq!(store.append(vec![said("lot.parcel", 3)]).await.unwrap(), [Appended::Conflict(1)]);
    assert_eq!(store.at(1).await.unwrap().unwrap().body, first.body);
    assert_eq!(store.position().await.unwrap(), 1);
}

async fn what_breaks_its_contract_is_stored_and_marked(database: Database) {
    let store = database.open().await;
    let garbage = || Incoming::new(Kind::Event, "lot.parcel", *b"\xff{");
    let mut bad = json!(mooring("x"));
    bad["max_rounds"] = json!(99);
    let mut other = event("a.b", json!({}), Meta::new());
    other.key = "lot.parcel".into();
    let batch = vec![
        garbage(),
        event("terminal.mooring.created", bad, Meta::new()),
        event("no.such.key", json!({}), Meta::new()),
        other,
        garbage(),
    ];
    let appended = store.append(batch).await.unwrap();
    assert_eq!(appended[4], Appended::Duplicate(1), "the same bytes are the same message");
    for (position, standing, violation) in [
        (1, Standing::Malformed, "not an envelope: "),
        (2, Standing::Invalid, "/max_rounds  expected at most 10, found 99"),
        (3, Standing::Unknown, "no contract has the key `no.such.key`"),
        (4, Standing::Malformed, "it travelled as `lot.parcel` and says that it is `a.b`"),
    ] {
        let stored = store.at(position).await.unwrap().unwrap();
        assert_eq!(stored.standing, standing);
        let said = stored.violation.unwrap();
        assert!(said.starts_with(violation), "{said}");
    }
    assert_eq!(store.at(1).await.unwrap().unwrap().body[..], *b"\xff{");
}
