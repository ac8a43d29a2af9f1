//! A process is killed while it takes 5,000 events a second, and started again.

use std::hash::{BuildHasher, RandomState};
use std::thread::sleep;
use std::time::{Duration, Instant};

use bloodbank_testkit::Postgres;

use crate::checker::Checker;
use crate::raw::Raw;
use crate::table::Killed;
use crate::writer::{Order, Told, Writer};

/// Events a second.
pub(crate) const RATE: u64 = 5_000;

/// Events in one call of append.
const BATCH: u64 = 8;

/// The first number of the writer that is not killed.
const OTHER: u64 = 1 << 40;

/// How long to wait for a confirmation.
const LIMIT: Duration = Duration::from_secs(60);

/// How often and how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kills {
    pub(crate) times: u32,
    /// How long it writes at most before it is killed.
    pub(crate) longest: Duration,
}

/// Kills the process that writes.
pub(crate) fn writers(name: &'static str, url: &str, kills: Kills) -> Killed {
    let (mut row, mut checker) = (Killed::new(name, "writer"), Checker::default());
    for _ in 0..kills.times {
        kill_one(&mut row, &mut checker, url, kills);
    }
    end(row, checker, url)
}

/// Kills one of two processes that write, again and again; the other must not be disturbed.
pub(crate) fn one_of_two(name: &'static str, url: &str, kills: Kills) -> Killed {
    let (mut row, mut checker) = (Killed::new(name, "1 of 2"), Checker::default());
    let (other, began, mut before) = (start(url, OTHER), Instant::now(), 0);
    for _ in 0..kills.times {
        kill_one(&mut row, &mut checker, url, kills);
        let now = other.count();
        if now == before {
            row.failures.push("the other writer stands still".to_owned());
        }
        before = now;
        // What it was told until now is in the store.
        checker.confirmed(other.told().confirmed.into_iter().flatten());
        row.faults = checker.look(&Raw::open(url));
    }
    row.time = began.elapsed();
    settle(&mut row, &mut checker, other.kill());
    end(row, checker, url)
}

fn kill_one(row: &mut Killed, checker: &mut Checker, url: &str, kills: Kills) {
    let mut writer = start(url, checker.first_open());
    row.time += write_a_while(&mut writer, kills);
    row.kills += 1;
    settle(row, checker, writer.kill());
    row.faults = checker.look(&Raw::open(url));
}

/// Kills the server under a process that writes, and goes on by itself when the server is back.
pub(crate) fn servers(
    name: &'static str,
    url: &str,
    kills: Kills,
    server: &Postgres,
    restart: impl Fn(),
) -> Killed {
    let mut row = Killed::new(name, "server");
    let mut checker = Checker::default();
    let mut writer = start(url, 0);
    let mut began = None;
    for _ in 0..kills.times {
        let time = write_a_while(&mut writer, kills);
        began.get_or_insert_with(|| Instant::now() - time);
        if writer.has_ended() {
            break;
        }
        server.kill();
        row.kills += 1;
        sleep(Duration::from_millis(100));
        restart();
        // It hears of the kill only now, so that this is confirmed afterwards.
        write_a_while(&mut writer, kills);
        checker.confirmed(writer.told().confirmed.into_iter().flatten());
        row.faults = checker.look(&Raw::open(url));
    }
    row.time = began.map_or(Duration::ZERO, |began: Instant| began.elapsed());
    settle(&mut row, &mut checker, writer.kill());
    end(row, checker, url)
}

pub(crate) fn start(url: &str, first: u64) -> Writer {
    Writer::start(&Order {
        url: url.to_owned(),
        numbers: first..u64::MAX,
        batch: BATCH,
        rate: RATE,
    })
}

/// Until something more is confirmed, and then to a random moment. Gives the time since the former.
pub(crate) fn write_a_while(writer: &mut Writer, kills: Kills) -> Duration {
    let (start, before) = (Instant::now(), writer.count());
    while writer.count() == before && start.elapsed() < LIMIT && !writer.has_ended() {
        sleep(Duration::from_millis(1));
    }
    let start = Instant::now();
    sleep(kills.longest.mul_f64(random()));
    start.elapsed()
}

/// From 0 to 1.
fn random() -> f64 {
    RandomState::new().hash_one(0) as f64 / u64::MAX as f64
}

pub(crate) fn settle(row: &mut Killed, checker: &mut Checker, told: Told) {
    row.told += told.count();
    row.duplicates += told.duplicates;
    row.failures.extend(told.failures);
    checker.confirmed(told.confirmed.into_iter().flatten());
}

pub(crate) fn end(mut row: Killed, mut checker: Checker, url: &str) -> Killed {
    row.faults = checker.look_at_all(&Raw::open(url));
    row.stored = checker.stored();
    row.confirmed = checker.confirmed_count();
    if checker.duplicates() < row.duplicates {
        row.failures.push(format!("the store has counted {} duplicates", checker.duplicates()));
    }
    row
}
