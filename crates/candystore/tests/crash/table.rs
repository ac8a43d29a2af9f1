//! What was found, a row for each run.

use std::time::Duration;

use crate::checker::Faults;
use crate::races::Race;
use crate::seen::Seen;

/// What was found in one test.
pub(crate) trait Row {
    /// It as a line of its table.
    fn line(&self) -> String;

    /// What does not hold.
    fn faults(&self) -> Vec<String>;
}

/// A process, or a server, was killed again and again.
pub(crate) struct Killed {
    database: &'static str,
    what: &'static str,
    pub(crate) kills: u64,
    /// How long was written in all.
    pub(crate) time: Duration,
    /// Confirmations, those of duplicates included.
    pub(crate) told: u64,
    /// Events that were confirmed.
    pub(crate) confirmed: u64,
    pub(crate) stored: u64,
    pub(crate) duplicates: u64,
    pub(crate) faults: Faults,
    pub(crate) failures: Vec<String>,
}

impl Killed {
    pub(crate) fn new(database: &'static str, what: &'static str) -> Self {
        Killed {
            database,
            what,
            kills: 0,
            time: Duration::ZERO,
            told: 0,
            confirmed: 0,
            stored: 0,
            duplicates: 0,
            faults: Faults::default(),
            failures: Vec::new(),
        }
    }

    pub(crate) fn head() -> String {
        format!(
            "{:<11} {:<7} {:>5} {:>7} {:>9} {:>8} {:>10} {:>5} {:>5} {:>5}",
            "killed",
            "",
            "kills",
            "a second",
            "confirmed",
            "stored",
            "duplicates",
            "lost",
            "gaps",
            "torn"
        )
    }
}

impl Row for Killed {
    fn line(&self) -> String {
        let Faults { lost, gaps, torn } = self.faults;
        format!(
            "{:<11} {:<7} {:>5} {:>8.0} {:>9} {:>8} {:>10} {lost:>5} {gaps:>5} {torn:>5}",
            self.database,
            self.what,
            self.kills,
            self.told as f64 / self.time.as_secs_f64(),
            self.confirmed,
            self.stored,
            self.duplicates,
        )
    }

    fn faults(&self) -> Vec<String> {
        let must = [
            (self.kills > 0, "nothing was killed"),
            (self.confirmed >= self.kills, "not even one event a kill was confirmed"),
            (self.stored >= self.confirmed, "more is confirmed than stored"),
            (self.faults == Faults::default(), "events are lost or damaged"),
        ];
        broken(&must, &self.failures)
    }
}

/// Two processes wrote, and one followed.
#[derive(Default)]
pub(crate) struct Raced {
    pub(crate) database: &'static str,
    pub(crate) race: Race,
    pub(crate) time: Duration,
    /// How many different events there were to write.
    pub(crate) events: u64,
    /// Events that the writers say are stored.
    pub(crate) stored: u64,
    /// Events that they say were there already.
    pub(crate) duplicates: u64,
    /// Duplicates that the store has counted.
    pub(crate) counted: u64,
    /// What was read from the database, and in how many pages.
    pub(crate) reader: Seen,
    pub(crate) pages: u64,
    /// What the store told who follows.
    pub(crate) follower: Seen,
    pub(crate) faults: Faults,
    pub(crate) failures: Vec<String>,
}

impl Raced {
    pub(crate) fn head() -> String {
        format!(
            "{:<11} {:<9} {:>7} {:>8} {:>9} {:>10} {:>8} {:>8} {:>6} {:>8} {:>5} {:>5} {:>5}",
            "raced",
            "ids",
            "seconds",
            "a second",
            "stored",
            "duplicates",
            "read",
            "followed",
            "missed",
            "disorder",
            "lost",
            "gaps",
            "torn"
        )
    }

    fn missed(&self) -> u64 {
        self.reader.missed() + self.follower.missed()
    }

    fn disorder(&self) -> u64 {
        self.reader.disorder + self.follower.disorder
    }
}

impl Row for Raced {
    fn line(&self) -> String {
        let Faults { lost, gaps, torn } = self.faults;
        let (missed, disorder) = (self.missed(), self.disorder());
        let seconds = self.time.as_secs_f64();
        format!(
            "{:<11} {:<9} {seconds:>7.1} {:>8.0} {:>9} {:>10} {:>8} {:>8} {missed:>6} \
             {disorder:>8} {lost:>5} {gaps:>5} {torn:>5}",
            self.database,
            self.race.name(),
            (self.stored + self.duplicates) as f64 / seconds,
            self.stored,
            self.duplicates,
            self.reader.read,
            self.follower.read,
        )
    }

    fn faults(&self) -> Vec<String> {
        let again = if self.race == Race::Same { self.events } else { 0 };
        let must = [
            (self.stored == self.events, "not each event was stored once"),
            (self.duplicates == again, "not each event that came again was told so"),
            (self.counted == again, "the store has counted other duplicates"),
            (self.reader.read == self.events, "not each position was read once"),
            (self.follower.read == self.events, "not each event was told to who follows"),
            (self.missed() == 0, "events were missed"),
            (self.disorder() == 0, "positions came out of order, or again"),
            (self.pages > 1, "the reader came when all was written"),
            (self.faults == Faults::default(), "events are lost or damaged"),
        ];
        broken(&must, &self.failures)
    }
}

/// What does not hold.
pub(crate) fn broken(must: &[(bool, &str)], failures: &[String]) -> Vec<String> {
    let broken = must.iter().filter(|(holds, _)| !holds).map(|(_, fault)| (*fault).to_owned());
    broken.chain(failures.iter().cloned()).collect()
}
