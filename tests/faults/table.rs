//! What was measured, a row for each scenario.

use std::time::Duration;

use crate::checker::Tally;
use crate::load::Report;

/// What a call may take beside its deadline, and beside the time in which the machine stood still.
const SLACK: Duration = Duration::from_millis(250);

/// What was done to the broker, or to the way there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// How often it was done.
    pub(crate) injected: u32,
    /// How often it showed: connections were lost, calls failed, or the queue moved.
    pub(crate) felt: u32,
}

/// A scenario that was run.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) faults: Faults,
    pub(crate) deadline: Duration,
    pub(crate) report: Report,
}

/// All rows, if there is one.
pub(crate) fn print(rows: &[Row]) {
    if rows.is_empty() {
        return;
    }
    println!("Faults, while 1,000 events a second were published and consumed:\n");
    println!(
        "{:<31} {:>6} {:>6} {:>9} {:>9} {:>7} {:>9} {:>10} {:>6} {:>5} {:>13}",
        "scenario",
        "faults",
        "",
        "published",
        "confirmed",
        "failed",
        "received",
        "duplicates",
        "after",
        "lost",
        "longest call"
    );
    println!(
        "{:<31} {:>6} {:>6} {:>9} {:>9} {:>7} {:>9} {:>10} {:>6} {:>5} {:>13}",
        "", "", "felt", "events", "events", "calls", "", "", "dedup", "", "of at most"
    );
    rows.iter().for_each(Row::print);
    println!();
}

impl Row {
    fn print(&self) {
        let Report { tally, longest, .. } = &self.report;
        println!(
            "{:<31} {:>6} {:>6} {:>9} {:>9} {:>7} {:>9} {:>10} {:>6} {:>5} {:>6.2} {:>4.2} s",
            self.name,
            self.faults.injected,
            self.faults.felt,
            tally.published,
            tally.confirmed,
            tally.failed_calls,
            tally.received,
            tally.duplicates,
            tally.twice,
            tally.lost,
            longest.as_secs_f64(),
            self.limit().as_secs_f64(),
        );
        if tally.unrouted > 0 {
            println!(
                "{:<31} {} of them lie in bloodbank.unrouted: there was no queue for them",
                "", tally.unrouted
            );
        }
        for fault in self.faults_of() {
            println!("{:<31} FAILED: {fault}", "");
        }
    }

    /// The longest that a call may take.
    fn limit(&self) -> Duration {
        self.deadline + SLACK + self.report.stalled
    }

    /// What is not as it must be.
    pub(crate) fn faults_of(&self) -> Vec<&'static str> {
        let Report { tally, longest, .. } = &self.report;
        let must = [
            (self.faults.injected > 0, "no fault was injected"),
            (self.faults.felt == self.faults.injected, "a fault disturbed nothing"),
            (tally.confirmed > 0, "nothing was confirmed"),
            (tally.lost == 0, "confirmed events are lost"),
            (tally.twice == 0, "a handler got an event twice"),
            (*longest <= self.limit(), "a call outlived its deadline"),
        ];
        must.into_iter().filter(|(holds, _)| !holds).map(|(_, fault)| fault).collect()
    }
}

/// A row says what is not as it must be.
pub(crate) fn test() {
    let good = Tally { published: 9, confirmed: 9, received: 9, ..Tally::default() };
    let row = |felt, tally: &Tally, longest| Row {
        name: "made up",
        faults: Faults { injected: 2, felt },
        deadline: Duration::from_secs(2),
        report: Report {
            tally: tally.clone(),
            longest: Duration::from_millis(longest),
            stalled: Duration::from_millis(100),
        },
    };
    assert_eq!(row(2, &good, 2_350).faults_of(), Vec::<&str>::new());
    assert_eq!(row(1, &good, 0).faults_of(), ["a fault disturbed nothing"]);
    assert_eq!(row(2, &good, 2_351).faults_of(), ["a call outlived its deadline"]);
    let bad = Tally { lost: 1, twice: 1, confirmed: 0, ..good };
    let said = row(2, &bad, 0).faults_of();
    let expected =
        ["nothing was confirmed", "confirmed events are lost", "a handler got an event twice"];
    assert_eq!(said, expected);
    let none = Row { faults: Faults::default(), ..row(0, &bad, 0) };
    assert!(none.faults_of().contains(&"no fault was injected"));
}
