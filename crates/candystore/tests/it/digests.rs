//! The chain of digests shows what the columns alone do not.

use candystore::{Checkpoint, EventStore, Incoming, Prune, StoreUrl, Verified};
use rusqlite::types::ValueRef;
use sha2::{Digest as _, Sha256};

use crate::databases::{Database, on_both, parcel};
use crate::raw::change;
use crate::verifying::{problems, verify};

on_both!(
    a_change_of_any_column_is_found,
    a_cut_tail_is_found,
    events_in_another_order_are_found,
    a_rewritten_store_is_found_by_who_kept_its_head,
    what_was_pruned_leaves_the_chain_whole,
    a_store_from_before_there_were_digests_is_chained_from_now_on,
);

async fn six(database: &Database) -> EventStore {
    let store = database.open().await;
    let events: Vec<Incoming> = (0..6).map(parcel).collect();
    store.append(events).await.unwrap();
    store
}

const OTHER: &str = "it is not what was stored, or not behind the event that it followed: \
     its digest is another one";

async fn a_change_of_any_column_is_found(database: Database) {
    let store = six(&database).await;
    let changes = [
        "kind = 'command'",
        "standing = 'invalid'",
        "headers = '{\"x-mine\":\"other\"}'",
        "imported = 1",
        "schema_digest = NULL, violation = 'none'",
        "received = received + 1",
    ];
    for (position, set) in (1..).zip(changes) {
        change(&database, &format!("UPDATE events SET {set} WHERE position = {position}")).await;
    }
    let expected: Vec<String> = (1..=6).map(|position| format!("{position}: {OTHER}")).collect();
    let found = problems(&verify(&store).await);
    assert_eq!(found[..6], expected, "{found:?}");
}

async fn a_cut_tail_is_found(database: Database) {
    let store = six(&database).await;
    change(&database, "DELETE FROM events WHERE position > 4; UPDATE head SET position = 4").await;
    let found = problems(&verify(&store).await);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("the head's digest is not that of the last event: "), "{found:?}");
}

async fn events_in_another_order_are_found(database: Database) {
    let store = six(&database).await;
    let sql = "UPDATE events SET position = 70 WHERE position = 3; \
         UPDATE events SET position = 3 WHERE position = 4; \
         UPDATE events SET position = 4 WHERE position = 70";
    change(&database, sql).await;
    let found = problems(&verify(&store).await);
    assert!(found.contains(&format!("3: {OTHER}")), "{found:?}");
}

/// Cuts the last event off, and makes the head that of the event before.
async fn rewrite(database: &Database) {
    let hex = match database.url {
        StoreUrl::Sqlite(_) => "lower(hex(digest))",
        _ => "encode(digest, 'hex')",
    };
    let sql = format!(
        "DELETE FROM events WHERE position = 6; UPDATE head SET position = 5, \
         digest = (SELECT {hex} FROM events WHERE position = 5)"
    );
    change(database, &sql).await;
}

async fn against(store: &EventStore, expected: Checkpoint) -> Verified {
    store.verify_against(expected, |_| {}).await.unwrap()
}

async fn a_rewritten_store_is_found_by_who_kept_its_head(database: Database) {
    let store = six(&database).await;
    let kept = verify(&store).await.head.unwrap();
    assert_eq!((kept.position, kept), (6, kept.to_string().parse().unwrap()));
    assert!(against(&store, kept).await.is_clean());
    rewrite(&database).await;
    // The figures are no judge: whoever rewrites events can rewrite them, too.
    let told = problems(&verify(&store).await);
    assert!(told.iter().all(|said| said.starts_with("the figures of ")), "{told:?}");
    let said = "the store ends at 5, and 6 was expected in it";
    assert_eq!(problems(&against(&store, kept).await), [said]);
    store.append(vec![parcel(7)]).await.unwrap();
    let said = "6: its digest is not the expected one: what is stored was replaced";
    assert_eq!(problems(&against(&store, kept).await), [said]);
}

async fn what_was_pruned_leaves_the_chain_whole(database: Database) {
    let store = six(&database).await;
    let head = verify(&store).await.head.unwrap();
    for keep in [4, 2] {
        let plan = store.plan_prune(Prune::new(Vec::new()).with_keep(keep)).await.unwrap();
        store.prune(&plan, |_| {}).await.unwrap();
        assert_eq!(problems(&against(&store, head).await), [""; 0]);
    }
    let inside = Checkpoint { position: 2, ..head };
    let found = problems(&against(&store, inside).await);
    assert!(found[0].starts_with("2: it was expected, and has no digest to compare"), "{found:?}");
    change(&database, "UPDATE events SET imported = 1 WHERE position = 5").await;
    assert_eq!(problems(&verify(&store).await), [format!("5: {OTHER}")]);
    let plan = store.plan_prune(Prune::new(Vec::new()).with_keep(0)).await.unwrap();
    store.prune(&plan, |_| {}).await.unwrap();
    assert_eq!(problems(&against(&store, head).await), [""; 0], "the head is the border");
    store.append(vec![parcel(8)]).await.unwrap();
    assert!(verify(&store).await.is_clean());
}

async fn a_store_from_before_there_were_digests_is_chained_from_now_on(database: Database) {
    let store = six(&database).await;
    let zeros = "0".repeat(64);
    let sql = format!(
        "UPDATE events SET digest = NULL; UPDATE head SET unchained = 6, digest = '{zeros}'"
    );
    change(&database, &sql).await;
    assert_eq!((verify(&store).await.unchained, verify(&store).await.found), (6, 0));
    store.append(vec![parcel(7), parcel(8)]).await.unwrap();
    assert!(verify(&store).await.is_clean());
    change(&database, "UPDATE events SET imported = 1 WHERE position IN (3, 7)").await;
    assert_eq!(problems(&verify(&store).await), [format!("7: {OTHER}")]);
    change(&database, "UPDATE events SET digest = NULL WHERE position = 7").await;
    let found = problems(&verify(&store).await);
    assert!(found.contains(&"7: it has no digest".to_owned()), "{found:?}");
}

/// The digests as anybody can compute them who reads the table.
#[tokio::test]
async fn digests_are_what_their_description_says() {
    let database = Database::sqlite().await.unwrap();
    let store = six(&database).await;
    let StoreUrl::Sqlite(path) = &database.url else { unreachable!() };
    let connection = rusqlite::Connection::open(path).unwrap();
    let mut statement = connection.prepare("SELECT * FROM events ORDER BY position").unwrap();
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let ids = ["id", "correlation_id", "causation_id", "schema_digest"];
    let (mut rows, mut before) = (statement.query([]).unwrap(), vec![0; 32]);
    while let Some(row) = rows.next().unwrap() {
        let mut sum = Sha256::new();
        sum.update(b"bloodbank event 1\n");
        sum.update(&before);
        for (at, name) in names.iter().enumerate().take(names.len() - 1) {
            match row.get_ref(at).unwrap() {
                ValueRef::Null => sum.update([0]),
                ValueRef::Integer(n) => sum.update([&[1], &n.to_be_bytes()[..]].concat()),
                ValueRef::Text(text) => {
                    sum.update([&[2], &(text.len() as u64).to_be_bytes()[..], text].concat());
                }
                ValueRef::Blob(id) if ids.contains(&&**name) => sum.update([&[4], id].concat()),
                ValueRef::Blob(body) => {
                    sum.update([&[3], &Sha256::digest(body)[..]].concat());
                }
                ValueRef::Real(_) => panic!("a real number"),
            }
        }
        before = sum.finalize().to_vec();
        let digest: Vec<u8> = row.get("digest").unwrap();
        assert_eq!(digest, before);
    }
    let head = verify(&store).await.head.unwrap();
    let hex: String = before.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(head.to_string(), format!("6:{hex}"));
}
