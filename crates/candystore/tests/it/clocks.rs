//! Clocks that are wrong.

use std::time::Duration;

use candystore::{
    Appended, EventStore, Filter, Followed, Order, Position, Prune, Start, StoreOptions, StoreUrl,
};
use chrono::{DateTime, TimeDelta, Utc};

use crate::databases::{Database, on_both, parcel};
use crate::raw::change;
use crate::verifying::{problems, verify};

on_both!(
    a_clock_that_was_ahead_spoils_its_own_events_only,
    a_clock_that_was_behind_spoils_its_own_events_only,
    an_event_of_the_future_at_the_end_is_told_and_put_right,
);

const YEAR: i64 = 31_536_000_000_000;

fn a_year_ahead() -> DateTime<Utc> {
    Utc::now() + TimeDelta::microseconds(YEAR)
}

fn a_year_behind() -> DateTime<Utc> {
    Utc::now() - TimeDelta::microseconds(YEAR)
}

async fn positions(store: &EventStore, filter: Filter) -> Vec<Position> {
    let page = store.page(&filter, Order::Oldest, 100, None).await.unwrap();
    page.events.iter().map(|event| event.position).collect()
}

fn before(minutes: i64) -> DateTime<Utc> {
    Utc::now() - TimeDelta::minutes(minutes)
}

/// Seven events, of which the fourth and the fifth have another time, as if a clock had given it.
async fn wrong(database: &Database, micros: i64) -> EventStore {
    let store = database.open().await;
    store.append((0..5).map(parcel).collect()).await.unwrap();
    let sql = format!(
        "UPDATE events SET received = received + {micros} WHERE position IN (4, 5); \
         UPDATE head SET received = received + {micros}"
    );
    change(database, &sql).await;
    if micros < 0 {
        // What the writer with that clock would have noted.
        let sql = "INSERT INTO clock_steps SELECT 4, e.received, l.received \
             FROM events e, events l WHERE e.position = 3 AND l.position = 4";
        change(database, sql).await;
    }
    let appended = store.append(vec![parcel(5), parcel(6)]).await.unwrap();
    assert_eq!(appended, [Appended::Stored(6), Appended::Stored(7)]);
    store
}

async fn a_clock_that_was_ahead_spoils_its_own_events_only(database: Database) {
    let store = wrong(&database, YEAR).await;
    assert!(store.at(7).await.unwrap().unwrap().received < Utc::now() + TimeDelta::seconds(1));
    let soon = Utc::now() + TimeDelta::minutes(1);
    assert_eq!(
        positions(&store, Filter::new().with_since(before(10))).await,
        [1, 2, 3, 4, 5, 6, 7]
    );
    assert_eq!(positions(&store, Filter::new().with_since(soon)).await, [4, 5]);
    assert_eq!(positions(&store, Filter::new().with_until(soon)).await, [1, 2, 3, 6, 7]);
    assert_eq!(store.count(&Filter::new().with_until(soon)).await.unwrap(), 5);
    assert_eq!(positions(&store, Filter::new().with_until(before(1))).await, [0; 0]);
    let mut follow = store.follow(Filter::new(), Start::Time(soon)).await.unwrap();
    let Followed::Event(event) = follow.next().await.unwrap() else { panic!("no event") };
    assert_eq!(event.position, 4);
    // Nothing goes that may stay.
    let all = Prune::new(Vec::new()).with_older_than(Duration::ZERO);
    assert_eq!(store.plan_prune(all.clone()).await.unwrap().events(), 3);

    let state = store.clock_state().await.unwrap();
    assert_eq!((state.steps, state.ahead), (vec![6], None));
    let plan = store.repair_clock(false).await.unwrap();
    assert_eq!((plan.len(), plan[0].first, plan[0].last), (1, 4, 5));
    assert!(plan[0].were.0 > soon && plan[0].becomes < soon);
    assert_eq!(store.clock_state().await.unwrap().steps, [6], "it was a dry run");
    assert_eq!(store.repair_clock(true).await.unwrap(), plan);
    assert_eq!(store.clock_state().await.unwrap().steps, [0; 0]);
    assert_eq!(positions(&store, Filter::new().with_until(soon)).await, [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(store.plan_prune(all).await.unwrap().events(), 7);
    assert_eq!(store.repair_clock(true).await.unwrap(), []);
}

async fn a_clock_that_was_behind_spoils_its_own_events_only(database: Database) {
    let store = wrong(&database, -YEAR).await;
    let since = Filter::new().with_since(before(10));
    assert_eq!(positions(&store, since.clone()).await, [1, 2, 3, 6, 7]);
    assert_eq!(positions(&store, Filter::new().with_until(before(10))).await, [4, 5]);
    let day = Prune::new(Vec::new()).with_older_than(Duration::from_secs(86_400));
    assert_eq!(store.plan_prune(day).await.unwrap().events(), 0, "they are of today");
    let plan = store.repair_clock(true).await.unwrap();
    assert_eq!((plan.len(), plan[0].first, plan[0].last), (1, 4, 5));
    assert_eq!(positions(&store, since).await, [1, 2, 3, 4, 5, 6, 7]);
    let verified = verify(&store).await;
    let goes_back = |problem: &String| problem.contains("received before");
    assert!(!problems(&verified).iter().any(goes_back), "{verified:?}");
}

async fn an_event_of_the_future_at_the_end_is_told_and_put_right(database: Database) {
    let store = database.open().await;
    store.append((0..3).map(parcel).collect()).await.unwrap();
    let sql = format!(
        "UPDATE events SET received = received + {YEAR} WHERE position = 3; \
         UPDATE head SET received = received + {YEAR}"
    );
    change(&database, &sql).await;
    let ahead = store.clock_state().await.unwrap().ahead.unwrap();
    assert!(ahead > TimeDelta::days(364), "{ahead}");
    let verified = verify(&store).await;
    let said = "the head says a time that is ahead of the clock";
    assert!(problems(&verified).iter().any(|problem| problem == said), "{verified:?}");
    assert_eq!(store.repair_clock(true).await.unwrap().len(), 1);
    assert_eq!(store.clock_state().await.unwrap().ahead, None);
    store.append(vec![parcel(3)]).await.unwrap();
    assert_eq!(store.clock_state().await.unwrap().steps, [0; 0]);
}

async fn open_with(database: &Database, clock: fn() -> DateTime<Utc>) -> EventStore {
    let options = StoreOptions::new(database.url.clone()).with_clock(clock);
    EventStore::open(options, bloodbank_testkit::catalog::contracts()).await.unwrap()
}

#[tokio::test]
async fn two_writers_of_a_file_with_other_clocks_each_store_by_their_own() {
    let database = Database::sqlite().await.unwrap();
    let (ahead, right) = (open_with(&database, a_year_ahead).await, database.open().await);
    right.append(vec![parcel(0)]).await.unwrap();
    ahead.append(vec![parcel(1)]).await.unwrap();
    right.append(vec![parcel(2)]).await.unwrap();
    let behind = open_with(&database, a_year_behind).await;
    behind.append(vec![parcel(3)]).await.unwrap();
    right.append(vec![parcel(4)]).await.unwrap();
    assert_eq!(positions(&right, Filter::new().with_since(before(10))).await, [1, 2, 3, 5]);
    let checkpoint = verify(&right).await.head.unwrap();
    assert_eq!(
        problems(&verify(&right).await),
        [
            "3: it was received before the event before it",
            "4: it was received before the event before it",
        ]
    );
    let repaired = right.repair_clock(true).await.unwrap();
    let ranges: Vec<_> = repaired.iter().map(|repair| (repair.first, repair.last)).collect();
    assert_eq!(ranges, [(2, 2), (4, 4)]);
    // The digests are of the times that they were stored with.
    let verified = right.verify_against(checkpoint, |_| {}).await.unwrap();
    assert_eq!(problems(&verified), [""; 0]);
}

#[tokio::test]
async fn a_server_has_one_clock_whatever_its_clients_have() {
    let Some(database) = Database::postgres().await else { return };
    assert!(matches!(database.url, StoreUrl::Postgres(_)));
    let ahead = open_with(&database, a_year_ahead).await;
    ahead.append(vec![parcel(0)]).await.unwrap();
    let received = ahead.at(1).await.unwrap().unwrap().received;
    assert!(received < Utc::now() + TimeDelta::minutes(1), "{received}");
}
