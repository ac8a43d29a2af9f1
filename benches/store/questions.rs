//! Questions to a store that has many events, one after the other.

use std::time::Instant;

use bloodbank::candystore::{Filter, Order, Page};

use crate::filled::Filled;
use crate::place::{Backend, Places};
use crate::report::{at_most, quantile, thousands};
use crate::support::heading;
use crate::workflow::{COMMENT, FAILED, SOURCE};

/// How many events there are, unless `BENCH_STORE_EVENTS` says it.
const EVENTS: usize = 1_000_000;
const PAGE: usize = 50;
/// Questions of each kind.
const QUESTIONS: usize = 5_000;
/// Pages by their number, and how many there and after are measured.
const DEPTHS: [usize; 3] = [1, 100, 10_000];
const PAGES: usize = 50;
/// Milliseconds that 99 of 100 answers take at most.
const WANTED: f64 = 20.0;

/// The times of one kind of question, in milliseconds.
struct Times {
    question: String,
    backend: Backend,
    times: Vec<f64>,
}

pub(crate) async fn run(places: &Places) {
    let events = std::env::var("BENCH_STORE_EVENTS").ok();
    let events = events.map_or(EVENTS, |events| events.parse().expect("a number of events"));
    let (mut growth, mut rows, mut depths) = (Vec::new(), Vec::new(), Vec::new());
    for backend in places.backends().iter().copied() {
        let filled = Filled::new(places, backend, events).await;
        growth.push(grown(&filled).await);
        rows.extend(ask(&filled).await);
        depths.extend(turn(&filled).await);
        filled.drop();
    }
    let events = thousands(events as f64);
    heading(&format!("store: growth, {events} events"));
    let (rate, body, stored) = ("appended/s", "body, bytes", "stored, bytes");
    println!("{:<34} {rate:>12} {body:>12} {stored:>14} {:>8}", "", "ratio");
    growth.iter().for_each(|row| println!("{row}"));
    heading(&format!("store: {QUESTIONS} questions each, {events} events, pages of {PAGE}"));
    print(&rows);
    heading(&format!("store: pages by cursor, {events} events, pages of {PAGE}"));
    print(&depths);
}

/// What an event takes on the disk, in the mean.
async fn grown(filled: &Filled) -> String {
    let events = filled.events as f64;
    let (rate, body) = (events / filled.took.as_secs_f64(), filled.bodies as f64 / events);
    let stored = filled.size().await / events;
    let (rate, ratio) = (thousands(rate), stored / body);
    let name = filled.backend.name();
    format!("{name:<34} {rate:>12} {body:>12.0} {stored:>14.0} {ratio:>8.2}")
}

/// Each kind of question about events from anywhere in the store.
async fn ask(filled: &Filled) -> Vec<Times> {
    let store = &filled.store;
    let key = |key: &str| Filter::new().with_key(key.parse().expect("a key"));
    let (common, rare) = (key(COMMENT), key(FAILED));
    let last = |number: usize| (scattered(number) % filled.events) as u64 + 1;
    let by_id = times(|number| async move {
        let (id, _) = sample(filled, number);
        assert!(store.get(id).await.expect("an answer").is_some());
    });
    let by_correlation = times(|number| async move {
        let filter = Filter::new().with_correlation(sample(filled, number).1);
        assert!(!page(filled, &filter, Order::Oldest).await.events.is_empty());
    });
    let by_common = times(|number| {
        let filter = common.clone().with_last(last(number));
        async move { drop(page(filled, &filter, Order::Newest).await) }
    });
    let by_rare = times(|number| {
        let filter = rare.clone().with_last(last(number));
        async move { drop(page(filled, &filter, Order::Newest).await) }
    });
    let rows = [
        ("by id", by_id.await),
        ("by correlation id", by_correlation.await),
        ("by a key of 4 in 9, newest first", by_common.await),
        ("by a key of 1 in 900, newest first", by_rare.await),
    ];
    let of = |(question, times): (&str, _)| row(filled, question.to_owned(), times);
    rows.into_iter().map(of).collect()
}

/// One page after the other, as far as the deepest one; the times of those that are looked at.
async fn turn(filled: &Filled) -> Vec<Times> {
    let filter = Filter::new().with_source(SOURCE);
    let (mut cursor, mut times) = (None, Vec::new());
    let deepest = DEPTHS[DEPTHS.len() - 1] + PAGES;
    while times.len() < deepest {
        let since = Instant::now();
        let asking = filled.store.page(&filter, Order::Newest, PAGE, cursor.as_ref());
        let page = asking.await.expect("an answer");
        times.push(since.elapsed().as_secs_f64() * 1e3);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let there = DEPTHS.into_iter().filter(|depth| depth + PAGES <= times.len());
    there
        .map(|depth| {
            let question = format!("by source, newest first, page {}", thousands(depth as f64));
            row(filled, question, times[depth - 1..][..PAGES].to_vec())
        })
        .collect()
}

fn row(filled: &Filled, question: String, times: Vec<f64>) -> Times {
    Times { question, backend: filled.backend, times }
}

async fn page(filled: &Filled, filter: &Filter, order: Order) -> Page {
    filled.store.page(filter, order, PAGE, None).await.expect("an answer")
}

async fn times<F: Future<Output = ()>>(ask: impl Fn(usize) -> F) -> Vec<f64> {
    let mut times = Vec::with_capacity(QUESTIONS);
    for number in 0..QUESTIONS {
        let since = Instant::now();
        ask(number).await;
        times.push(since.elapsed().as_secs_f64() * 1e3);
    }
    times
}

fn sample(filled: &Filled, number: usize) -> (bloodbank::uuid::Uuid, bloodbank::uuid::Uuid) {
    filled.samples[scattered(number) % filled.samples.len()]
}

/// Numbers without an order, the same in every run.
fn scattered(number: usize) -> usize {
    number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20
}

fn print(rows: &[Times]) {
    println!("{:<48} {:>9} {:>9}", "", "p50 ms", "p99 ms");
    for Times { question, backend, times } in rows {
        let name = format!("{}, {question}", backend.name());
        let (p50, p99) = (quantile(times, 0.5), quantile(times, 0.99));
        println!("{name:<48} {p50:>9.3} {p99:>9.3}  {}", at_most(p99, WANTED));
    }
}
