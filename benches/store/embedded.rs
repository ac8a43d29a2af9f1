//! The bus on a store: publishing until it is durable, and from there to the handler.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bloodbank::candystore::Embedded;
use bloodbank::chrono::{DateTime, Utc};
use bloodbank::events::{self, services, theboard};
use bloodbank::{Bus, Contract, Exchange, Publisher, Publishing, Queue, Received, Topology};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use crate::place::{Backend, Places, open};
use crate::report::{median, quantile, thousands};
use crate::support::{heading, meeting};

const ROUNDS: usize = 5;
const QUEUE: &str = "bench";
/// Events without a confirm at a time, and how many in all.
const WINDOWS: [(usize, usize); 3] = [(1, 1_000), (100, 10_000), (1_000, 30_000)];
/// Events from publishing to the handler, with the largest window.
const HANDLED: usize = 10_000;
const PREFETCH: u16 = 300;
/// Events a second, and for how many seconds, whose latency is measured.
const RATE: usize = 1_000;
const SECONDS: usize = 3;
/// The first of them warm up.
const WARM_UP: usize = RATE / 2;

pub(crate) type Producer = Publisher<services::TheboardProducer>;

/// The figures of one database, round by round.
#[derive(Default)]
struct Figures {
    published: [Vec<f64>; WINDOWS.len()],
    handled: Vec<f64>,
    /// Median and 99th percentile, in milliseconds.
    latency: (Vec<f64>, Vec<f64>),
}

pub(crate) async fn run(places: &Places) {
    let round = async |backend, figures: &mut Figures| round(places, backend, figures).await;
    let all = places.in_turn(ROUNDS, round).await;
    heading(&format!("store: the embedded bus, one event of 7 fields, {ROUNDS} rounds"));
    println!("{:<46} {:>9} {:>9} {:>9}", "", "per s", "p50 ms", "p99 ms");
    for (backend, figures) in &all {
        print(backend.name(), figures);
    }
}

async fn round(places: &Places, backend: Backend, figures: &mut Figures) {
    for ((window, count), rates) in WINDOWS.into_iter().zip(&mut figures.published) {
        let bus = bus(places, backend).await;
        let since = Instant::now();
        publish(&bus.publisher(), window, count).await;
        rates.push(count as f64 / since.elapsed().as_secs_f64());
        bus.close().await;
    }
    figures.handled.push(handle(&bus(places, backend).await).await);
    let times = pace(&bus(places, backend).await).await;
    figures.latency.0.push(quantile(&times, 0.5));
    figures.latency.1.push(quantile(&times, 0.99));
}

pub(crate) async fn bus(places: &Places, backend: Backend) -> Bus {
    let store = open(&places.url(backend).await).await;
    Bus::new(Arc::new(Embedded::new(store)), events::contracts())
}

/// Publishes so many events, with a window of them on their way, until all are durable.
pub(crate) async fn publish(publisher: &Producer, window: usize, count: usize) {
    let event = meeting();
    let mut under_way: VecDeque<Publishing> = VecDeque::with_capacity(window);
    for _ in 0..count {
        if under_way.len() == window
            && let Some(first) = under_way.pop_front()
        {
            first.await.expect("published");
        }
        under_way.push_back(publisher.publish(&event).enqueue().await.expect("accepted"));
    }
    for publishing in under_way {
        publishing.await.expect("published");
    }
}

/// Events a second, from the first that is published to the last that is handled.
async fn handle(bus: &Bus) -> f64 {
    let (seen, done) = (AtomicUsize::new(0), Arc::new(Notify::new()));
    let last = done.clone();
    let consuming = consume(bus, done, move |_| {
        if seen.fetch_add(1, Ordering::Relaxed) + 1 == HANDLED {
            last.notify_one();
        }
    })
    .await;
    let since = Instant::now();
    let (window, _) = WINDOWS[WINDOWS.len() - 1];
    publish(&bus.publisher(), window, HANDLED).await;
    consuming.await.expect("handled");
    let rate = HANDLED as f64 / since.elapsed().as_secs_f64();
    bus.close().await;
    rate
}

/// Handles events until it is done, in a queue that is there when this returns.
async fn consume(
    bus: &Bus,
    done: Arc<Notify>,
    handler: impl Fn(Received<theboard::MeetingCreated>) + Send + Sync + 'static,
) -> JoinHandle<()> {
    let key = theboard::MeetingCreated::KEYS[0];
    let queue = Queue::new(QUEUE).bind(Exchange::Events, key.parse().expect("a pattern"));
    let topology = Topology::new().with_parked_queue(queue);
    bus.transport().declare(&topology).await.expect("declared");
    let subscriber =
        bus.subscriber::<services::TheboardSync>().queue(QUEUE).bind(key).prefetch(PREFETCH).on(
            move |meeting: Received<theboard::MeetingCreated>| {
                handler(meeting);
                std::future::ready(())
            },
        );
    tokio::spawn(async move {
        subscriber.run_until(done.notified()).await.expect("consumed");
    })
}

/// How long each event took at a steady rate, in milliseconds, from when it was due.
async fn pace(bus: &Bus) -> Vec<f64> {
    let done = Arc::new(Notify::new());
    let (noted, mut times) = mpsc::unbounded_channel();
    let consuming = consume(bus, done.clone(), move |meeting| {
        let took = Utc::now().signed_duration_since(meeting.envelope.timestamp);
        let _ = noted.send(took.as_seconds_f64() * 1e3);
    })
    .await;
    let (publisher, event) = (bus.publisher::<services::TheboardProducer>(), meeting());
    let (under_way, mut confirms) = mpsc::unbounded_channel::<Publishing>();
    let pacing = tokio::task::spawn_blocking(move || {
        at_a_rate(|due| {
            let _ = under_way.send(publisher.publish(&event).timestamp(due).into_future());
        });
    });
    while let Some(publishing) = confirms.recv().await {
        publishing.await.expect("published");
    }
    pacing.await.expect("no panic");
    let mut all = Vec::with_capacity(RATE * SECONDS);
    while all.len() < RATE * SECONDS {
        all.push(times.recv().await.expect("handled"));
    }
    done.notify_one();
    consuming.await.expect("consumed");
    bus.close().await;
    all.split_off(WARM_UP)
}

/// Calls at the rate, on a thread of its own: a sleep of tokio's is a millisecond at least.
fn at_a_rate(mut call: impl FnMut(DateTime<Utc>)) {
    let (start, began) = (Instant::now(), Utc::now());
    for index in 0..RATE * SECONDS {
        let due = Duration::from_secs_f64(index as f64 / RATE as f64);
        std::thread::sleep((start + due).saturating_duration_since(Instant::now()));
        call(began + due);
    }
}

fn print(name: &str, figures: &Figures) {
    for ((window, _), rates) in WINDOWS.into_iter().zip(&figures.published) {
        let what = format!("{name}, publish, durable, window {window}");
        println!("{what:<46} {:>9}", thousands(median(rates)));
    }
    let what = format!("{name}, publish to handler");
    println!("{what:<46} {:>9}", thousands(median(&figures.handled)));
    let (p50, p99) = (median(&figures.latency.0), median(&figures.latency.1));
    let (what, rate) = (format!("{name}, publish to handler, steady"), thousands(RATE as f64));
    println!("{what:<46} {rate:>9} {p50:>9.2} {p99:>9.2}");
}
