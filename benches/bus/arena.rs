//! The broker, the rounds, and the processes that take turns on it.

use std::path::PathBuf;
use std::time::Duration;

use bloodbank::{Queue, Transport};
use bloodbank_testkit::Broker;
use lapin::options::{ConfirmSelectOptions, QueuePurgeOptions};
use lapin::{Channel, Connection};
use tokio::process::Command;
use tokio::time::timeout;

use crate::report::{Medians, Round};
use crate::{publishing, report, setup};

const ROUNDS: usize = 5;
/// How long one contender may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Windows, and how many messages Rust and Python publish.
const WINDOWS: [(usize, usize, usize); 3] =
    [(1, 1_500, 1_000), (100, 15_000, 4_000), (1_000, 40_000, 5_000)];
const PREFETCH: usize = 300;
/// How many messages Rust and Python consume.
const CONSUMED: (usize, usize) = (30_000, 5_000);
/// How many of ours are consumed key by key.
const CONSUMED_IN_ORDER: usize = 10_000;
/// Messages a second, and for how many seconds.
const RATES: [usize; 2] = [1_000, 5_000];
const SECONDS: usize = 2;

/// Who takes part, and whether it is a process of Python's.
const PUBLISHERS: [&str; 4] = ["ours", "lapin", "amqprs", "aio-pika"];
const CONSUMERS: [&str; 8] = [
    "ours",
    "ours-layers",
    "ours-dedup",
    ORDERED[0],
    ORDERED[1],
    "lapin",
    "lapin-multiple",
    "aio-pika",
];
/// Whose queue is an ordered one, in a vhost of its own.
const ORDERED: [&str; 2] = ["ours-ordered", "ours-partitioned"];
/// How many keys the events have whose order is kept.
const KEYS: usize = 16;
const PACERS: [&str; 2] = ["ours", "lapin"];

/// A vhost with the queue that everybody uses in turn.
struct Place {
    url: String,
    control: Channel,
    _connection: Connection,
}

struct Arena {
    place: Place,
    ordered: Place,
    python: Option<PathBuf>,
    medians: Medians,
}

/// Runs everything, or one of `publish`, `consume` and `latency`.
pub(crate) async fn run(part: Option<&str>) {
    let broker = Broker::start().await;
    let place = Place::open(broker.fresh_url(), setup::queue()).await;
    let ordered = Place::open(broker.fresh_url(), setup::queue().ordered()).await;
    let python = bloodbank_testkit::python();
    let mut arena = Arena { place, ordered, python, medians: Medians::default() };

    let wants = |name| part.is_none_or(|part| part == name);
    for _ in 0..ROUNDS {
        if wants("publish") {
            arena.publish().await;
        }
        if wants("consume") {
            arena.consume().await;
        }
        if wants("latency") {
            arena.pace().await;
        }
    }
    arena.place.purge().await;
    report::print(&arena.medians, &WINDOWS.map(|(window, ..)| window), PREFETCH, &RATES, ROUNDS);
}

impl Place {
    async fn open(url: String, queue: Queue) -> Place {
        let amqp = setup::amqp(&url, 1).await;
        amqp.declare(&setup::topology(queue)).await.expect("declared");
        amqp.close().await;
        let (connection, control) = setup::lapin(&url).await;
        control.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
        Place { url, control, _connection: connection }
    }

    async fn purge(&self) {
        let purging = self.control.queue_purge(setup::QUEUE.into(), QueuePurgeOptions::default());
        purging.await.expect("purged");
    }
}

impl Arena {
    /// Where a contender plays.
    fn place_of(&self, who: &str) -> &Place {
        if ORDERED.contains(&who) { &self.ordered } else { &self.place }
    }

    async fn publish(&mut self) {
        for (window, count, in_python) in WINDOWS {
            for who in PUBLISHERS {
                self.place.purge().await;
                let count = if who == "aio-pika" { in_python } else { count };
                self.round("publish", who, window, count).await;
            }
        }
    }

    async fn consume(&mut self) {
        // No two with the same id, or the second is a copy.
        let bodies: Vec<Vec<u8>> =
            (0..CONSUMED.0).map(|number| setup::body_of((number % KEYS) as u128)).collect();
        for who in CONSUMERS {
            let count = match who {
                "aio-pika" => CONSUMED.1,
                who if ORDERED.contains(&who) => CONSUMED_IN_ORDER,
                _ => CONSUMED.0,
            };
            let place = self.place_of(who);
            place.purge().await;
            publishing::lapin_on(&place.control, 1_000, count, &bodies[..count]).await;
            self.round("consume", who, PREFETCH, count).await;
        }
    }

    async fn pace(&mut self) {
        for rate in RATES {
            for who in PACERS {
                self.place.purge().await;
                self.round("latency", who, rate, rate * SECONDS).await;
            }
        }
    }

    /// One turn of one contender, in a process of its own.
    async fn round(&mut self, what: &'static str, who: &'static str, size: usize, count: usize) {
        let (size_text, count) = (size.to_string(), count.to_string());
        let mut command = if who == "aio-pika" {
            let Some(python) = &self.python else { return };
            let mut command = Command::new(python);
            command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/bus/aio.py")).arg(what);
            command
        } else {
            let mut command = Command::new(std::env::current_exe().expect("a program"));
            command.arg(what).arg(who);
            command
        };
        command.args([&size_text, &count, &self.place_of(who).url]).kill_on_drop(true);
        let output = timeout(PATIENCE, command.stderr(std::process::Stdio::inherit()).output());
        let Ok(output) = output.await else {
            return eprintln!("{what} {who} {size} takes too long; this round is left out");
        };
        let output = output.expect("it starts");
        if !output.status.success() {
            return eprintln!("{what} {who} {size} failed; this round is left out");
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let figures = text.split_whitespace().map(|text| text.parse().expect("a number"));
        self.medians.add(Round { what, who, size }, figures.collect());
    }
}
