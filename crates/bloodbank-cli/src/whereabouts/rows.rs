//! What became of a message in each queue, row by row.

use std::collections::BTreeMap;

use bloodbank::candystore::{self, Held, HeldState, InQueue};
use bloodbank::chrono::{DateTime, Utc};
use bloodbank::dead_letters::DeadLetter;
use bloodbank::{Fate, Reason, Report};

use super::Known;
use super::broker::Wanting;
use crate::figures::{count, count_of};
use crate::when;

/// One thing that is known of a message in a queue.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub(super) state: &'static str,
    /// When that was, or will be.
    pub(super) when: Option<DateTime<Utc>>,
    /// Which attempt it was, or will be.
    pub(super) attempt: Option<u32>,
    pub(super) more: String,
}

impl Row {
    fn new(state: &'static str) -> Self {
        Row { state, ..Row::default() }
    }

    fn at(mut self, when: impl Into<Option<DateTime<Utc>>>) -> Self {
        self.when = when.into();
        self
    }

    fn attempt(mut self, attempt: u32) -> Self {
        self.attempt = Some(attempt);
        self
    }

    fn saying(mut self, parts: impl IntoIterator<Item = String>) -> Self {
        let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        self.more = parts.join("; ");
        self
    }
}

/// The rows of each queue, by name.
pub(super) type Rows = BTreeMap<String, Vec<Row>>;

/// Everything that is known, by queue; what is past first.
pub(super) fn of(known: &Known) -> Rows {
    let mut rows = Rows::new();
    if let Some(stored) = &known.stored {
        let names: Vec<&str> = names(stored).collect();
        for report in &stored.reports {
            let is_passed_on = has_partition(&names, &report.queue);
            let dead = stored.queues.iter().find(|queue| queue.queue == report.queue);
            let is_dead = dead.is_some_and(|queue| queue.dead_letters_of.is_some())
                || report.queue.ends_with(".dlq");
            let row = of_report(report, is_passed_on, is_dead);
            rows.entry(report.queue.clone()).or_default().push(row);
        }
        for queue in &stored.queues {
            let more = of_queue(queue, stored, rows.contains_key(&queue.queue));
            rows.entry(queue.queue.clone()).or_default().extend(more);
        }
    }
    let Some(broker) = &known.broker else { return rows };
    for (queue, letter) in &broker.letters {
        rows.entry(queue.clone()).or_default().push(of_letter(letter));
    }
    for wanting in &broker.wanting {
        let has_partition = has_partition_in(&rows, &wanting.queue.name);
        let entry = rows.entry(wanting.queue.name.clone()).or_default();
        if entry.is_empty() {
            entry.push(of_wanting(wanting, known, has_partition));
        }
    }
    rows
}

fn names(stored: &candystore::Whereabouts) -> impl Iterator<Item = &str> {
    let queues = stored.queues.iter().map(|queue| queue.queue.as_str());
    queues.chain(stored.reports.iter().map(|report| report.queue.as_str()))
}

fn is_partition(of: &str, queue: &str) -> bool {
    queue.strip_prefix(of).and_then(|rest| rest.strip_prefix(".p")).is_some_and(|number| {
        !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit())
    })
}

fn has_partition(names: &[&str], queue: &str) -> bool {
    names.iter().any(|name| is_partition(queue, name))
}

fn has_partition_in(rows: &Rows, queue: &str) -> bool {
    rows.keys().any(|name| is_partition(queue, name))
}

fn of_report(report: &Report, is_passed_on: bool, is_dead: bool) -> Row {
    let by = report.by.clone().unwrap_or_default();
    let replay = report.replay.as_ref().map_or(String::new(), |replay| format!("replay {replay}"));
    let row = |state| Row::new(state).at(report.at).attempt(report.attempt);
    match &report.fate {
        Fate::Handled if is_passed_on => {
            Row::new("passed on").at(report.at).saying(["to its partition".to_owned(), replay])
        }
        Fate::Handled if is_dead => Row::new("taken out")
            .at(report.at)
            .saying(["brought back, or purged".to_owned(), format!("by {by}")]),
        Fate::Dropped { reason } => row("dropped").saying([reason.clone(), by, replay]),
        Fate::Failed { error, .. } => row("failed").saying([error.clone(), by, replay]),
        Fate::Parked { reason, error } => {
            row("parked").saying([format!("{reason}: {error}"), by, replay])
        }
        _ => row("handled").saying([by, replay]),
    }
}

fn of_queue(queue: &InQueue, stored: &candystore::Whereabouts, is_reported: bool) -> Vec<Row> {
    if queue.held.is_empty() && !is_reported {
        return vec![Row::new("gone").saying([gone(stored)])];
    }
    queue.held.iter().map(|held| of_held(held, queue)).collect()
}

/// What can be said of a queue that has read a message and has nothing of it any more.
fn gone(stored: &candystore::Whereabouts) -> String {
    let what = "it has left the queue, and nothing is kept of how";
    let received = stored.event.as_ref().map(|event| event.received);
    match (stored.reports_since, received) {
        (Some(since), Some(received)) if received < since => {
            format!("{what}: reports begin {}", ago(since))
        }
        _ => format!("{what}: none was made, or the queue was moved on"),
    }
}

fn of_held(held: &Held, queue: &InQueue) -> Row {
    let said = || match (&held.reason, &held.error) {
        (Some(reason), Some(error)) => format!("{reason}: {error}"),
        (None, Some(error)) => error.clone(),
        (Some(reason), None) => reason.clone(),
        (None, None) => String::new(),
    };
    let replay = held.replay.as_ref().map_or(String::new(), |replay| format!("replay {replay}"));
    let redrives = match held.redrives {
        0 => String::new(),
        n => format!("brought back {}", count_of(n.into(), "time")),
    };
    let lost = match held.lost {
        0 => String::new(),
        n => format!("came back {} unsettled", count_of(n.into(), "time")),
    };
    let next = held.failed.saturating_add(1);
    match &held.state {
        HeldState::Ready if queue.dead_letters_of.is_some() => Row::new("dead letter")
            .at(held.parked_at)
            .attempt(held.failed)
            .saying([said(), redrives]),
        HeldState::Unread { before } => Row::new("waiting")
            .attempt(next)
            .saying([format!("{} before it", count_of(*before, "position"))]),
        HeldState::Ready => {
            Row::new("waiting").attempt(next).saying([said(), lost, redrives, replay])
        }
        HeldState::InFlight { since, by } => {
            Row::new("in flight").at(*since).attempt(next).saying([
                format!("with {}", by.as_deref().unwrap_or("a consumer without a name")),
                said(),
                lost,
                redrives,
                replay,
            ])
        }
        HeldState::Delayed { until } => Row::new("waits to be tried")
            .at(*until)
            .attempt(next)
            .saying([said(), redrives, replay]),
        _ => Row::new("unknown"),
    }
}

fn of_letter(letter: &DeadLetter) -> Row {
    let reason = letter.reason.map_or("unknown", Reason::as_str);
    let error = letter.error.clone().unwrap_or_default();
    let state = match letter.reason {
        Some(Reason::Unrouted) => "unrouted",
        _ => "dead letter",
    };
    let said = match error.is_empty() {
        true => reason.to_owned(),
        false => format!("{reason}: {error}"),
    };
    Row::new(state).at(letter.parked_at).attempt(letter.attempts).saying([said])
}

fn of_wanting(wanting: &Wanting, known: &Known, has_partition: bool) -> Row {
    let Wanting { queue, depth } = wanting;
    let event = known.stored.as_ref().and_then(|stored| stored.event.as_ref());
    if let (true, Some(event)) = (queue.recorder, event) {
        return Row::new("recorded").at(event.received);
    }
    if has_partition {
        return Row::new("passed on").saying(["to its partition".to_owned()]);
    }
    let waits = match depth {
        None => return Row::new("missing").saying(["the broker has no such queue".to_owned()]),
        Some(n) => format!("{} waiting in it", count_of((*n).into(), "message")),
    };
    let why = format!("no subscriber of `{}` has reported", queue.name);
    Row::new("unknown").saying([why, waits])
}

/// A time, and how long ago that was or how soon it will be.
pub(super) fn ago(time: DateTime<Utc>) -> String {
    let age = Utc::now().signed_duration_since(time);
    match age < bloodbank::chrono::TimeDelta::zero() {
        true => format!("{} (in {})", when::show(time), when::span_of(age)),
        false => format!("{} ({} ago)", when::show(time), when::span_of(age)),
    }
}

/// The number of an attempt.
pub(super) fn attempt(row: &Row) -> String {
    row.attempt.filter(|attempt| *attempt > 0).map_or(String::new(), |n| count(n.into()))
}
