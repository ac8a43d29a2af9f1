//! Two processes write as fast as they can, while another follows by position: once with questions of its
//! own to the database, and once by the store's own means.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::checker::Checker;
use crate::follower;
use crate::raw::Raw;
use crate::seen::Seen;
use crate::table::Raced;
use crate::writer::{Order, Told, Writer};

/// Events in one call of append.
const BATCH: u64 = 100;

/// Positions read at a time.
const PAGE: i64 = 10_000;

/// What is written and by whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Race {
    /// Each writes one half of the events.
    #[default]
    Halves,
    /// Both write all of them.
    Same,
}

impl Race {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Race::Halves => "own ids",
            Race::Same => "same ids",
        }
    }
}

/// Runs a race of so many events. This process follows.
pub(crate) fn run(name: &'static str, url: &str, race: Race, events: u64) -> Raced {
    let order = |numbers| Order { url: url.to_owned(), numbers, batch: BATCH, rate: 0 };
    let (one, other) = match race {
        Race::Halves => (0..events / 2, events / 2..events),
        Race::Same => (0..events, 0..events),
    };
    let start = Instant::now();
    let mut writers = [one, other].map(|numbers| Writer::start(&order(numbers)));
    wait_for_tables(&mut writers);
    let mut reader = Reader::new(url, events);
    let follower = follower::start(url, events);
    while !writers.iter_mut().all(Writer::has_ended) {
        if !reader.read() {
            sleep(Duration::from_millis(1));
        }
    }
    while reader.read() {}
    let told = writers.map(Writer::finish);
    let mut row = Raced { database: name, race, events, time: start.elapsed(), ..Raced::default() };
    (row.reader, row.pages) = (reader.seen, reader.pages);
    row.follower = follower.join().unwrap();
    settle(&mut row, url, told);
    row
}

/// Until the first of them has stored something.
fn wait_for_tables(writers: &mut [Writer]) {
    while writers.iter().all(|writer| writer.count() == 0)
        && !writers.iter_mut().all(Writer::has_ended)
    {
        sleep(Duration::from_millis(1));
    }
}

/// What the checker and the writers say.
fn settle(row: &mut Raced, url: &str, told: [Told; 2]) {
    let mut checker = Checker::default();
    for told in told {
        row.stored += told.stored;
        row.duplicates += told.duplicates;
        row.failures.extend(told.failures);
        checker.confirmed(told.confirmed.into_iter().flatten());
    }
    row.faults = checker.look(&Raw::open(url));
    row.counted = checker.duplicates();
}

/// Who follows by position, without the store.
struct Reader {
    raw: Raw,
    seen: Seen,
    pages: u64,
}

impl Reader {
    fn new(url: &str, events: u64) -> Self {
        Reader { raw: Raw::open(url), seen: Seen::new(events), pages: 0 }
    }

    /// Reads what comes after its last position; false if there is nothing.
    fn read(&mut self) -> bool {
        let page = self.raw.page(self.seen.last(), PAGE);
        for (position, id) in &page {
            self.seen.event(*position, *id);
        }
        self.pages += u64::from(!page.is_empty());
        !page.is_empty()
    }
}
