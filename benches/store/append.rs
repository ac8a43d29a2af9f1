//! Appending: the whole path beside bare inserts of the same bodies.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use bloodbank::candystore::{Appended, EventStore, Incoming};

use crate::bare;
use crate::place::{Backend, Places, delete, open};
use crate::report::{at_least, median, thousands};
use crate::support::heading;
use crate::workflow::{Event, Workflow};

const ROUNDS: usize = 5;
/// Events in a batch, and how many batches.
const BATCHES: [(usize, usize); 3] = [(1, 2_000), (128, 200), (1_024, 40)];
/// Batches under way at a time, as the recorder has: one is judged while another is written.
const UNDER_WAY: usize = 2;

/// Of the bare inserts, by batches of 1,024.
const WANTED_RATIO: f64 = 0.8;
/// Of the bare inserts one by one on PostgreSQL, where each waits for the server.
const WANTED_RATIO_ALONE: f64 = 0.6;
/// Events a second on SQLite, by batches of 1,024.
const WANTED_RATE: f64 = 50_000.0;

/// Rates of a database at a size of batch: ours, and bare.
type Rates = BTreeMap<(Backend, usize), (Vec<f64>, Vec<f64>)>;

pub(crate) async fn run(places: &Places) {
    let mut rates = Rates::new();
    for _ in 0..ROUNDS {
        for backend in places.backends().iter().copied() {
            for (batch, batches) in BATCHES {
                let events = || Workflow::new().take(batch * (batches + 1)).collect::<Vec<_>>();
                let (ours, bare) = rates.entry((backend, batch)).or_default();
                ours.push(append(places, backend, batch, events()).await);
                bare.push(insert(places, backend, batch, events()).await);
            }
        }
    }
    print(rates);
}

/// Events a second through the store.
async fn append(places: &Places, backend: Backend, batch: usize, events: Vec<Event>) -> f64 {
    let url = places.url(backend).await;
    let store = open(&url).await;
    let (first, rest) = events.split_at(batch);
    pour(&store, first, batch).await;
    let since = Instant::now();
    pour(&store, rest, batch).await;
    let rate = rest.len() as f64 / since.elapsed().as_secs_f64();
    assert_eq!(store.position().await.expect("a position"), events.len() as u64);
    rate
}

/// Appends events in batches, [`UNDER_WAY`] at a time.
pub(crate) async fn pour(store: &EventStore, events: &[Event], batch: usize) {
    let mut under_way = VecDeque::with_capacity(UNDER_WAY);
    for events in events.chunks(batch) {
        if under_way.len() == UNDER_WAY
            && let Some(first) = under_way.pop_front()
        {
            stored(first).await;
        }
        let (store, events) = (store.clone(), events.iter().map(Event::incoming).collect());
        under_way.push_back(tokio::spawn(appended(store, events)));
    }
    for last in under_way {
        stored(last).await;
    }
}

async fn appended(store: EventStore, events: Vec<Incoming>) -> Vec<Appended> {
    store.append(events).await.expect("appended")
}

async fn stored(appending: tokio::task::JoinHandle<Vec<Appended>>) {
    let appended = appending.await.expect("appended");
    assert!(appended.iter().all(|appended| matches!(appended, Appended::Stored(_))));
}

/// Events a second into a bare table.
async fn insert(places: &Places, backend: Backend, batch: usize, events: Vec<Event>) -> f64 {
    let (first, rest) = events.split_at(batch);
    let since;
    match backend {
        Backend::Sqlite => {
            let file = places.file();
            let mut bare = bare::Sqlite::open(&file);
            bare.insert(first);
            since = Instant::now();
            rest.chunks(batch).for_each(|events| bare.insert(events));
            let rate = rest.len() as f64 / since.elapsed().as_secs_f64();
            drop(bare);
            delete(&file);
            rate
        }
        Backend::Postgres => {
            let mut bare = bare::Postgres::open(&places.database().await).await;
            bare.insert(first).await;
            since = Instant::now();
            for events in rest.chunks(batch) {
                bare.insert(events).await;
            }
            rest.len() as f64 / since.elapsed().as_secs_f64()
        }
    }
}

fn print(rates: Rates) {
    let bytes: usize = Workflow::new().take(900).map(|event| event.body.len()).sum();
    heading(&format!(
        "store: append, bodies of {} bytes, {UNDER_WAY} batches under way, {ROUNDS} rounds",
        bytes / 900
    ));
    println!("{:<26} {:>12} {:>12} {:>8}", "", "ours, per s", "bare, per s", "ours/bare");
    for ((backend, batch), (ours, bare)) in rates {
        let (ours, bare) = (median(&ours), median(&bare));
        let name = format!("{}, batches of {batch}", backend.name());
        let ratio = ours / bare;
        let goals = goals(backend, batch, ours, ratio);
        let row = format!(
            "{name:<26} {:>12} {:>12} {ratio:>8.2}  {goals}",
            thousands(ours),
            thousands(bare)
        );
        println!("{}", row.trim_end());
    }
}

fn goals(backend: Backend, batch: usize, ours: f64, ratio: f64) -> String {
    if (backend, batch) == (Backend::Postgres, 1) {
        return at_least(ratio, WANTED_RATIO_ALONE);
    }
    if batch < 1_024 {
        return String::new();
    }
    let goal = at_least(ratio, WANTED_RATIO);
    match backend {
        Backend::Sqlite => format!("{goal}; per s {}", at_least(ours, WANTED_RATE)),
        Backend::Postgres => goal,
    }
}
