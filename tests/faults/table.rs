//! What was measured, a row for each scenario.

use std::time::Duration;

use crate::load::Report;

/// What a call may take beside its deadline, and beside the time in which the machine stood still.
const SLACK: Duration = Duration::from_millis(250);

/// A scenario that was run.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) faults: u32,
    pub(crate) deadline: Duration,
    pub(crate) report: Report,
}

/// The names of the columns.
pub(crate) fn head() {
    println!(
        "{:<22} {:>6} {:>9} {:>9} {:>7} {:>9} {:>10} {:>6} {:>5} {:>13}",
        "scenario",
        "faults",
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
        "{:<22} {:>6} {:>9} {:>9} {:>7} {:>9} {:>10} {:>6} {:>5} {:>13}",
        "", "", "events", "events", "calls", "", "", "dedup", "", "of at most"
    );
}

impl Row {
    pub(crate) fn print(&self) {
        let Report { tally, longest, .. } = &self.report;
        println!(
            "{:<22} {:>6} {:>9} {:>9} {:>7} {:>9} {:>10} {:>6} {:>5} {:>6.2} {:>4.2} s",
            self.name,
            self.faults,
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
                "{:<22} {} of them lie in bloodbank.unrouted: there was no queue for them",
                "", tally.unrouted
            );
        }
        for fault in self.faults_of() {
            println!("{:<22} FAILED: {fault}", "");
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
            (self.faults > 0, "no fault was injected"),
            (tally.confirmed > 0, "nothing was confirmed"),
            (tally.lost == 0, "confirmed events are lost"),
            (tally.twice == 0, "a handler got an event twice"),
            (*longest <= self.limit(), "a call outlived its deadline"),
        ];
        must.into_iter().filter(|(holds, _)| !holds).map(|(_, fault)| fault).collect()
    }
}
