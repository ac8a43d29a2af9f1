//! What a store knows of one id.

use std::sync::Arc;

use bloodbank_bus::{InMemory, Transport};
use candystore::{Filter, Replay, ReplayOptions, StoreUrl};

use crate::databases::{Database, on_both, parcel};
use crate::raw::change;

on_both!(a_replay_of_an_event_is_found_however_many_others_came_later,);

async fn a_replay_of_an_event_is_found_however_many_others_came_later(database: Database) {
    let store = database.open().await;
    store.append(vec![parcel(0), parcel(1)]).await.unwrap();
    let plan = store.plan_replay(Filter::new().with_last(1)).await.unwrap();
    let bus: Arc<dyn Transport> = Arc::new(InMemory::new());
    let replay = Replay::begin(store.clone(), bus, &plan, ReplayOptions::new("test")).await;
    let run = replay.unwrap().progress().borrow().id;
    change(&database, "UPDATE replays SET reached = 1, state = 'done'").await;
    let id = match database.url {
        StoreUrl::Sqlite(_) => "randomblob(16)",
        _ => "gen_random_uuid()",
    };
    let others = format!(
        "WITH RECURSIVE others(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM others WHERE n < 1001) \
         INSERT INTO replays SELECT {id}, author, started + n, updated, finished, state, filter, target, \
         pace, skip_invalid, planned, 2, 2, 2, sent, skipped, retries, error FROM replays, others"
    );
    change(&database, &others).await;
    let event = store.at(1).await.unwrap().unwrap();
    let found = store.whereabouts(event.id).await.unwrap().replays;
    assert_eq!(found.iter().map(|run| run.id).collect::<Vec<_>>(), [run]);
}
