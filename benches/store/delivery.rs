//! From the store to handlers: many queues at a rate, all that many queues hold, and all of one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bloodbank::chrono::{DateTime, Utc};
use bloodbank::events::{services, theboard};
use bloodbank::{Bus, Contract, Exchange, Publishing, Queue, Received, Topology};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;

use crate::embedded::{bus, publish};
use crate::place::{Backend, Places};
use crate::report::{at_least, at_most, median, quantile, thousands};
use crate::support::{heading, meeting};

const ROUNDS: usize = 3;
const QUEUES: usize = 16;
/// Events a second that every queue gets, and those of the steady row.
const RATE: usize = 200;
const STEADY: usize = 400;
const SECONDS: usize = 5;
/// Events that lie in every queue, and in one.
const EACH: usize = 2_000;
const ONE: usize = 30_000;
const CONCURRENCY: usize = 256;
/// When what is not handled is given up.
const LIMIT: Duration = Duration::from_secs(60);

/// The figures of one database, round by round.
#[derive(Default)]
struct Figures {
    /// Medians and 99th percentiles, in milliseconds.
    many: (Vec<f64>, Vec<f64>),
    steady: (Vec<f64>, Vec<f64>),
    total: Vec<f64>,
    one: Vec<f64>,
}

pub(crate) async fn run(places: &Places) {
    let round = async |backend, figures: &mut Figures| round(places, backend, figures).await;
    let all = places.in_turn(ROUNDS, round).await;
    heading(&format!("store: delivery on the embedded bus, {ROUNDS} rounds"));
    println!("{:<46} {:>9} {:>9} {:>9}", "", "per s", "p50 ms", "p99 ms");
    for (backend, figures) in &all {
        print(backend.name(), figures);
    }
}

async fn round(places: &Places, backend: Backend, figures: &mut Figures) {
    let times = pace(&bus(places, backend).await, QUEUES, RATE).await;
    figures.many.0.push(quantile(&times, 0.5));
    figures.many.1.push(quantile(&times, 0.99));
    let times = pace(&bus(places, backend).await, 1, STEADY).await;
    figures.steady.0.push(quantile(&times, 0.5));
    figures.steady.1.push(quantile(&times, 0.99));
    figures.total.push(drain(&bus(places, backend).await, QUEUES, EACH).await);
    figures.one.push(drain(&bus(places, backend).await, 1, ONE).await);
}

fn queue(number: usize) -> String {
    format!("bench.{number}")
}

pub(crate) async fn declare(bus: &Bus, queues: usize) {
    let key = theboard::MeetingCreated::KEYS[0];
    let mut topology = Topology::new();
    for number in 0..queues {
        let bound = Queue::new(queue(number)).bind(Exchange::Events, key.parse().expect("one"));
        topology = topology.with_parked_queue(bound);
    }
    bus.transport().declare(&topology).await.expect("declared");
}

/// Handles what is in the queues until it is told to stop.
pub(crate) fn consume(
    bus: &Bus,
    queues: usize,
    stop: &watch::Sender<bool>,
    handler: impl Fn(Received<theboard::MeetingCreated>) + Clone + Send + Sync + 'static,
) -> Vec<JoinHandle<()>> {
    let key = theboard::MeetingCreated::KEYS[0];
    let one = |number| {
        let (handler, mut stop) = (handler.clone(), stop.subscribe());
        let subscriber = bus
            .subscriber::<services::TheboardSync>()
            .queue(queue(number))
            .bind(key)
            .concurrency(CONCURRENCY)
            .on(move |meeting: Received<theboard::MeetingCreated>| {
                handler(meeting);
                std::future::ready(())
            });
        tokio::spawn(async move {
            let stopped = async {
                let _ = stop.wait_for(|stop| *stop).await;
            };
            subscriber.run_until(stopped).await.expect("consumed");
        })
    };
    (0..queues).map(one).collect()
}

pub(crate) async fn end(bus: &Bus, stop: &watch::Sender<bool>, consuming: Vec<JoinHandle<()>>) {
    stop.send_replace(true);
    for one in consuming {
        one.await.expect("no panic");
    }
    bus.close().await;
}

/// Deliveries a second of what lies in the queues.
async fn drain(bus: &Bus, queues: usize, each: usize) -> f64 {
    declare(bus, queues).await;
    publish(&bus.publisher(), 1_000, each).await;
    let (seen, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let (stop, last, all) = (watch::Sender::new(false), done.clone(), queues * each);
    let since = Instant::now();
    let consuming = consume(bus, queues, &stop, move |_| {
        if seen.fetch_add(1, Ordering::Relaxed) + 1 == all {
            last.notify_one();
        }
    });
    done.notified().await;
    end(bus, &stop, consuming).await;
    all as f64 / since.elapsed().as_secs_f64()
}

/// How long each delivery took at a steady rate, in milliseconds, from when its event was due. What does
/// not come counts as the limit.
async fn pace(bus: &Bus, queues: usize, rate: usize) -> Vec<f64> {
    declare(bus, queues).await;
    let stop = watch::Sender::new(false);
    let (noted, mut times) = mpsc::unbounded_channel();
    let consuming = consume(bus, queues, &stop, move |meeting| {
        let took = Utc::now().signed_duration_since(meeting.envelope.timestamp);
        let _ = noted.send(took.as_seconds_f64() * 1e3);
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (publisher, event) = (bus.publisher::<services::TheboardProducer>(), meeting());
    let (under_way, mut confirms) = mpsc::unbounded_channel::<Publishing>();
    let pacing = tokio::task::spawn_blocking(move || {
        at_a_rate(rate, |due| {
            let _ = under_way.send(publisher.publish(&event).timestamp(due).into_future());
        });
    });
    while let Some(publishing) = confirms.recv().await {
        publishing.await.expect("published");
    }
    pacing.await.expect("no panic");
    let (all, until) = (rate * SECONDS * queues, tokio::time::Instant::now() + LIMIT);
    let mut took = Vec::with_capacity(all);
    while took.len() < all
        && let Ok(Some(time)) = tokio::time::timeout_at(until, times.recv()).await
    {
        took.push(time);
    }
    took.resize(all, LIMIT.as_secs_f64() * 1e3);
    end(bus, &stop, consuming).await;
    // The first second warms up.
    took.split_off(rate * queues)
}

/// Calls at the rate, on a thread of its own: a sleep of tokio's is a millisecond at least.
fn at_a_rate(rate: usize, mut call: impl FnMut(DateTime<Utc>)) {
    let (start, began) = (Instant::now(), Utc::now());
    for index in 0..rate * SECONDS {
        let due = Duration::from_secs_f64(index as f64 / rate as f64);
        std::thread::sleep((start + due).saturating_duration_since(Instant::now()));
        call(began + due);
    }
}

fn print(name: &str, figures: &Figures) {
    let many = (median(&figures.many.0), median(&figures.many.1));
    let (what, rate) = (format!("{name}, {QUEUES} queues, steady"), thousands(RATE as f64));
    let wanted = at_most(many.1, 250.0);
    println!("{what:<46} {rate:>9} {:>9.2} {:>9.2}  p99 {wanted}", many.0, many.1);
    let steady = (median(&figures.steady.0), median(&figures.steady.1));
    let (what, rate) = (format!("{name}, one queue, steady"), thousands(STEADY as f64));
    let wanted = at_most(steady.0, 6.0);
    println!("{what:<46} {rate:>9} {:>9.2} {:>9.2}  p50 {wanted}", steady.0, steady.1);
    let total = median(&figures.total);
    let what = format!("{name}, deliveries of {QUEUES} queues");
    println!("{what:<46} {:>9} {}", thousands(total), at_least(total, 10_000.0));
    let one = median(&figures.one);
    let what = format!("{name}, drain of one queue, {CONCURRENCY} at a time");
    println!("{what:<46} {:>9} {}", thousands(one), at_least(one, 15_000.0));
}
