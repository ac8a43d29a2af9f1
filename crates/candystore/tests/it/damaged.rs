//! What is damaged or lost is told, and never passed on as if it were sound.

use candystore::{Damage, DamagedEvents, Filter, Followed, Order, Position, Start, StoreError};

use crate::databases::{Database, on_both, parcel};
use crate::raw::change;

on_both!(what_is_damaged_or_lost_is_told_by_whoever_reads);

fn said(damaged: &[DamagedEvents]) -> Vec<String> {
    damaged.iter().map(ToString::to_string).collect()
}

fn positions(events: &[candystore::StoredEvent]) -> Vec<Position> {
    events.iter().map(|event| event.position).collect()
}

async fn what_is_damaged_or_lost_is_told_by_whoever_reads(database: Database) {
    let store = database.open().await;
    store.append((0..8).map(parcel).collect()).await.unwrap();
    let id = store.at(2).await.unwrap().unwrap().id;
    let sql = "UPDATE events SET body = CAST('{}' AS BYTEA) WHERE position = 2; \
         UPDATE events SET kind = 'rumour' WHERE position = 3; \
         UPDATE events SET headers = 'no JSON' WHERE position = 4; \
         DELETE FROM events WHERE position IN (5, 6)";
    change(&database, sql).await;
    let mut all = [
        "position 2: its bytes are not those of its checksum",
        "position 3: column `kind`",
        "position 4: column `headers`",
        "positions 5 to 6: lost",
    ];

    let filter = Filter::new();
    let page = store.page(&filter, Order::Oldest, 100, None).await.unwrap();
    assert_eq!(
        (positions(&page.events), said(&page.damaged)),
        (vec![1, 7, 8], all.map(Into::into).into())
    );
    let first = store.page(&filter, Order::Oldest, 1, None).await.unwrap();
    assert_eq!((positions(&first.events), said(&first.damaged)), (vec![1], vec![]));
    let second = store.page(&filter, Order::Oldest, 1, first.next.as_ref()).await.unwrap();
    assert_eq!((positions(&second.events), said(&second.damaged).len()), (vec![7], 4));
    let third = store.page(&filter, Order::Oldest, 1, second.next.as_ref()).await.unwrap();
    assert_eq!((positions(&third.events), third.damaged), (vec![8], vec![]));
    let parcels = Filter::new().with_key("lot.parcel".parse().unwrap());
    let keyed = store.page(&parcels, Order::Oldest, 100, None).await.unwrap();
    assert_eq!(said(&keyed.damaged), all[..3], "an index does not tell what is lost");

    for (position, what) in [(2, Damage::Body), (5, Damage::Lost)] {
        let Err(StoreError::Damaged(Damage::Events(damaged))) = store.at(position).await else {
            panic!("{position} is passed on")
        };
        assert_eq!((damaged.first, damaged.what), (position, what));
    }
    let error = store.get(id).await.unwrap_err().to_string();
    assert_eq!(error, format!("the store is damaged: {}", all[0]));
    assert_eq!(store.at(9).await, Ok(None), "it is not there yet");

    let mut pages = store.pages(Filter::new()).await.unwrap();
    assert_eq!(positions(&pages.next().await.unwrap()), [1, 7, 8]);
    assert_eq!(
        (said(&pages.take_damaged()), pages.take_damaged()),
        (all.map(Into::into).into(), vec![])
    );

    let mut follow = store.follow(Filter::new(), Start::Position(1)).await.unwrap();
    let mut followed = Vec::new();
    for _ in 0..7 {
        followed.push(match follow.next().await.unwrap() {
            Followed::Event(event) => event.position.to_string(),
            Followed::Damaged(damaged) => damaged.to_string(),
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(followed[..1], ["1"]);
    assert_eq!(followed[1..5], all);
    assert_eq!(followed[5..], ["7", "8"]);

    let error = store.plan_replay(Filter::new()).await.unwrap_err().to_string();
    assert!(error.contains(all[0]), "{error}");
    all.reverse();
    let newest = store.page(&filter, Order::Newest, 100, None).await.unwrap();
    assert_eq!(said(&newest.damaged), all);
}
