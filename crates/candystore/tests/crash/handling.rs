//! A process is killed while it handles events of the embedded bus: another one handles what it held.

use std::collections::HashMap;
use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use bloodbank_bus::{Publisher, Received, Subscriber, Topology, Transport};
use bloodbank_testkit::catalog::{self, Any, Parcel, queue};
use candystore::{Embedded, EmbeddedOptions, EventStore, QueueStatus, StoreOptions};
use tokio::runtime::Runtime;
use tokio::time::sleep;

use crate::table::Row;

/// The first argument of a process that handles.
pub(crate) const ROLE: &str = "--handle";

const QUEUE: &str = "handled";
const KEY: &str = "lot.parcel";

/// After how long what a dead process held goes to others.
const LEASE: Duration = Duration::from_secs(2);

/// How many events a process has at a time, at most.
const PREFETCH: u16 = 20;

/// How long an event is handled.
const WORK: Duration = Duration::from_millis(5);

/// How long to wait for the next event.
const LIMIT: Duration = Duration::from_secs(60);

async fn bus(url: &str) -> Arc<Embedded> {
    let options = StoreOptions::new(url.parse().unwrap());
    let store = EventStore::open(options, catalog::contracts()).await.unwrap();
    Arc::new(Embedded::with_options(store, EmbeddedOptions::default().with_lease(LEASE)))
}

/// The process. Tells the number of each event that it has handled, in a line of its own, before the
/// bus hears of it.
pub(crate) fn main(args: &[String]) {
    Runtime::new().unwrap().block_on(handle(&args[1]));
}

async fn handle(url: &str) {
    let subscriber =
        Subscriber::<Any>::new(bus(url).await, catalog::contracts()).queue(QUEUE).bind(KEY);
    let subscriber = subscriber.prefetch(PREFETCH).on(|parcel: Received<Parcel>| async move {
        sleep(WORK).await;
        // Ends with the parent, who then no longer listens.
        if writeln!(io::stdout().lock(), "{}", parcel.payload.n).is_err() {
            std::process::exit(1);
        }
    });
    subscriber.run_until(std::future::pending()).await.unwrap();
}

/// A process that handles, as its parent sees it.
struct Handler(Child);

impl Handler {
    fn start(url: &str, sender: &Sender<u32>) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        let mut process = command.args([ROLE, url]).stdout(Stdio::piped()).spawn().unwrap();
        let (pipe, sender) = (process.stdout.take().unwrap(), sender.clone());
        thread::spawn(move || {
            let lines = BufReader::new(pipe).lines().map_while(Result::ok);
            lines.filter_map(|line| line.parse().ok()).try_for_each(|n| sender.send(n))
        });
        Handler(process)
    }

    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// What was handled, and how often.
#[derive(Default)]
pub(crate) struct Handled {
    database: &'static str,
    events: u32,
    kills: u32,
    time: Duration,
    handled: HashMap<u32, u32>,
    /// Messages that the bus still holds, dead letters included.
    left: u64,
}

/// Publishes events to two processes, and kills one of them again and again.
pub(crate) fn run(
    runtime: &Runtime,
    database: &'static str,
    url: &str,
    kills: u32,
    each: u32,
) -> Handled {
    let bus = runtime.block_on(declared(url));
    let (sender, told) = mpsc::channel();
    let other = Handler::start(url, &sender);
    let mut row = Handled { database, kills, ..Handled::default() };
    let began = Instant::now();
    for _ in 0..kills {
        let victim = Handler::start(url, &sender);
        runtime.block_on(publish(&bus, row.events..row.events + each));
        row.events += each;
        // In the middle of them; what it holds is still to be handled.
        row.hear(&told, row.events - each / 2);
        victim.kill();
    }
    row.hear(&told, row.events);
    row.time = began.elapsed();
    row.left = runtime.block_on(left(&bus));
    other.kill();
    row
}

async fn declared(url: &str) -> Arc<Embedded> {
    let bus = bus(url).await;
    bus.declare(&Topology::new().with_parked_queue(queue(QUEUE, &[KEY]))).await.unwrap();
    bus
}

async fn publish(bus: &Arc<Embedded>, numbers: std::ops::Range<u32>) {
    let publisher = Publisher::<Any>::new(bus.clone(), catalog::contracts());
    let mut under_way = Vec::new();
    for n in numbers {
        under_way.push(publisher.publish(&Parcel { n }).enqueue().await.unwrap());
    }
    for publishing in under_way {
        publishing.await.unwrap();
    }
}

/// What a queue holds. Nothing of the log goes to the one of the dead letters.
fn held(status: &QueueStatus) -> u64 {
    let of_log = if status.queue.name == QUEUE { status.unread } else { 0 };
    of_log + status.ready + status.delayed + status.unsettled
}

/// What the queues hold, when the last acknowledgements had time to come.
async fn left(bus: &Embedded) -> u64 {
    let began = Instant::now();
    loop {
        let left = bus.queues().await.unwrap().iter().map(held).sum();
        if left == 0 || began.elapsed() > LEASE * 3 {
            return left;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

impl Handled {
    /// Listens until so many different events were handled, or nothing comes any more.
    fn hear(&mut self, told: &Receiver<u32>, count: u32) {
        while self.handled.len() < count as usize {
            match told.recv_timeout(LIMIT) {
                Ok(n) => *self.handled.entry(n).or_default() += 1,
                Err(_) => return,
            }
        }
    }

    pub(crate) fn head() -> String {
        format!(
            "{:<11} {:>5} {:>7} {:>7} {:>8} {:>5} {:>5} {:>5}",
            "killed", "kills", "seconds", "events", "handled", "again", "lost", "left"
        )
    }

    /// How often something was handled that had been.
    fn again(&self) -> u32 {
        self.handled.values().map(|times| times - 1).sum()
    }

    /// How many events were not handled.
    fn lost(&self) -> usize {
        (0..self.events).filter(|n| !self.handled.contains_key(n)).count()
    }
}

impl Row for Handled {
    fn line(&self) -> String {
        format!(
            "{:<11} {:>5} {:>7.1} {:>7} {:>8} {:>5} {:>5} {:>5}",
            self.database,
            self.kills,
            self.time.as_secs_f64(),
            self.events,
            self.handled.len(),
            self.again(),
            self.lost(),
            self.left,
        )
    }

    fn faults(&self) -> Vec<String> {
        let all = self.lost() == 0 && self.handled.len() == self.events as usize;
        let held = self.kills * u32::from(PREFETCH);
        let must = [
            (all, "events were not handled"),
            (self.again() <= held, "more came again than were held"),
            (self.left == 0, "the bus holds messages that were handled"),
        ];
        crate::table::broken(&must, &[])
    }
}
