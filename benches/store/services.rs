//! As many services as a PostgreSQL server takes by default, beside one that publishes and one that
//! looks: processes of their own, each with a queue that gets every event.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bloodbank::candystore::Embedded;
use bloodbank::events::{self, services, theboard};
use bloodbank::{Bus, Contract, Received};
use tokio_postgres::NoTls;

use crate::place::{Backend, Places, open};
use crate::report::{at_most, cpu_time};
use crate::support::{heading, meeting};

/// Tells a process of ours that it is a service, and which.
const SERVICE: &str = "BENCH_STORE_SERVICE";
/// On a server that takes 100 connections, of which three are for its owner.
const SERVICES: usize = 50;
/// How long nothing happens, and how long events come.
const IDLE: Duration = Duration::from_secs(30);
const BUSY: Duration = Duration::from_secs(30);
/// Events a second; each goes to every service.
const RATE: u32 = 20;

/// Runs as a service, if this process is one: `<number> <url>`. It ends with its input.
pub(crate) async fn is_service() -> bool {
    let Ok(said) = env::var(SERVICE) else { return false };
    let (number, url) = said.split_once(' ').expect("a number and a URL");
    let store = open(&url.parse().expect("a URL")).await;
    let bus = Bus::new(Arc::new(Embedded::new(store)), events::contracts());
    let handled = Arc::new(AtomicU64::new(0));
    let counts = handled.clone();
    let subscriber = bus
        .subscriber::<services::TheboardSync>()
        .queue(format!("service.{number}"))
        .bind(theboard::MeetingCreated::KEYS[0])
        .on(move |_: Received<theboard::MeetingCreated>| {
            counts.fetch_add(1, Ordering::Relaxed);
            std::future::ready(())
        });
    let asked = tokio::task::spawn_blocking(move || answer(&handled));
    let ended = async { drop(asked.await) };
    println!("started");
    subscriber.run_until(ended).await.expect("consumed");
    true
}

/// Answers each line with what was handled.
fn answer(handled: &AtomicU64) {
    for line in std::io::stdin().lines() {
        if line.is_err() {
            return;
        }
        println!("{}", handled.load(Ordering::Relaxed));
    }
}

struct Service {
    process: Child,
    said: BufReader<ChildStdout>,
}

impl Service {
    fn start(number: usize, url: &str) -> Self {
        let mut process = Command::new(env::current_exe().expect("this program"))
            .env(SERVICE, format!("{number} {url}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let mut said = BufReader::new(process.stdout.take().expect("a pipe"));
        said.read_line(&mut String::new()).expect("it has started");
        Service { process, said }
    }

    fn handled(&mut self) -> u64 {
        let input = self.process.stdin.as_mut().expect("a pipe");
        input.write_all(b"?\n").expect("it is there");
        let mut line = String::new();
        self.said.read_line(&mut line).expect("an answer");
        line.trim().parse().expect("a number")
    }

    /// The time it has used a core, in seconds.
    fn used(&self) -> f64 {
        cpu_time(self.process.id())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

pub(crate) async fn run(places: &Places) {
    if !places.backends().contains(&Backend::Postgres) {
        return;
    }
    let url = places.database().await;
    let mut all: Vec<_> = (0..SERVICES).map(|number| Service::start(number, &url)).collect();
    tokio::time::sleep(Duration::from_secs(10)).await;
    heading(&format!("store: {SERVICES} services on one PostgreSQL server"));
    println!("services that consume        {:>9} of {SERVICES}", asked(&url, CONSUMING).await);
    println!("connections                  {:>9}", asked(&url, CONNECTIONS).await);
    let before: f64 = all.iter().map(Service::used).sum();
    let transactions = asked(&url, TRANSACTIONS).await;
    tokio::time::sleep(IDLE).await;
    let used = all.iter().map(Service::used).sum::<f64>() - before;
    let seconds = IDLE.as_secs_f64() * SERVICES as f64;
    let idle = used / seconds * 100.0;
    println!("idle, of a core each         {idle:>8.3}% {}", at_most(idle, 0.1));
    let transactions = asked(&url, TRANSACTIONS).await - transactions;
    let idle = transactions as f64 / seconds;
    println!("idle, transactions a second  {idle:>9.2} each, {}", at_most(idle, 1.0));
    let published = publish(&url).await;
    let behind = |all: &mut [Service]| {
        let least = all.iter_mut().map(Service::handled).min().unwrap_or_default();
        published.saturating_sub(least)
    };
    println!("behind, at the end           {:>9} of {published}", behind(&mut all));
    let since = Instant::now();
    while behind(&mut all) > 0 && since.elapsed() < Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (left, took) = (behind(&mut all), since.elapsed().as_secs_f64());
    println!("behind, {took:>6.2} s later       {left:>9}");
}

/// How many events were published.
async fn publish(url: &str) -> u64 {
    let store = open(&url.parse().expect("a URL")).await;
    let bus = Bus::new(Arc::new(Embedded::new(store)), events::contracts());
    let (publisher, event) = (bus.publisher::<services::TheboardProducer>(), meeting());
    let (mut ticks, mut count) = (tokio::time::interval(Duration::from_secs(1) / RATE), 0);
    let until = Instant::now() + BUSY;
    while Instant::now() < until {
        ticks.tick().await;
        publisher.publish(&event).await.expect("published");
        count += 1;
    }
    bus.close().await;
    count
}

const CONSUMING: &str = "SELECT COUNT(DISTINCT queue) FROM consumers";

const CONNECTIONS: &str = "SELECT COUNT(*) FROM pg_stat_activity \
     WHERE datname = current_database() AND pid <> pg_backend_pid()";

const TRANSACTIONS: &str = "SELECT xact_commit + xact_rollback FROM pg_stat_database \
     WHERE datname = current_database()";

async fn asked(url: &str, sql: &str) -> i64 {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("connected");
    tokio::spawn(connection);
    client.query_one(sql, &[]).await.expect("an answer").get(0)
}
