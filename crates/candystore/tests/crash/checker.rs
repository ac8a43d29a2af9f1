//! What was confirmed against what is stored.

use std::collections::HashSet;

use bloodbank_core::Envelope;

use crate::made;
use crate::raw::{Raw, RawEvent, RawHead};

/// Keeps account of one database.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    /// Events that are confirmed and were not found yet.
    missing: HashSet<u64>,
    /// Numbers of the events that were found.
    found: HashSet<u64>,
    confirmed: HashSet<u64>,
    last: RawHead,
    faults: Faults,
}

/// What is not as it must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// Confirmed events that are not stored.
    pub(crate) lost: u64,
    /// Positions that are not there, or not in their place, and heads that are not the last position.
    pub(crate) gaps: u64,
    /// Events whose bytes, checksum or columns are not what was sent; also those stored twice.
    pub(crate) torn: u64,
}

impl Checker {
    /// These were confirmed.
    pub(crate) fn confirmed(&mut self, numbers: impl IntoIterator<Item = u64>) {
        for number in numbers {
            if self.confirmed.insert(number) && !self.found.contains(&number) {
                self.missing.insert(number);
            }
        }
    }

    /// Reads what was stored since the last look.
    pub(crate) fn look(&mut self, raw: &Raw) -> Faults {
        raw.begin();
        let faults = self.look_within(raw);
        raw.run("COMMIT");
        faults
    }

    /// The same, in the transaction that was begun.
    pub(crate) fn look_within(&mut self, raw: &Raw) -> Faults {
        for event in &raw.events(self.last.position) {
            self.event(event);
        }
        let head = raw.head();
        self.faults.gaps +=
            u64::from(head != (RawHead { duplicates: head.duplicates, ..self.last }));
        self.last = head;
        Faults { lost: self.missing.len() as u64, ..self.faults }
    }

    /// Reads all again, and forgets what it has seen.
    pub(crate) fn look_at_all(&mut self, raw: &Raw) -> Faults {
        let confirmed = std::mem::take(&mut self.confirmed);
        *self = Checker::default();
        self.confirmed(confirmed);
        self.look(raw)
    }

    fn event(&mut self, event: &RawEvent) {
        let expected = self.last.position + 1;
        self.faults.gaps += event.position.abs_diff(expected);
        self.faults.gaps += u64::from(event.received < self.last.received);
        (self.last.position, self.last.received) = (event.position, event.received);
        match number_of(event) {
            Some(number) if self.found.insert(number) => {
                self.missing.remove(&number);
            }
            _ => self.faults.torn += 1,
        }
    }

    /// How many events were found.
    pub(crate) fn stored(&self) -> u64 {
        self.found.len() as u64
    }

    /// How many events were confirmed, each counted once.
    pub(crate) fn confirmed_count(&self) -> u64 {
        self.confirmed.len() as u64
    }

    /// The first number that is not confirmed.
    pub(crate) fn first_open(&self) -> u64 {
        (0..).find(|number| !self.confirmed.contains(number)).unwrap_or_default()
    }

    /// How many duplicates the store has counted.
    pub(crate) fn duplicates(&self) -> u64 {
        self.last.duplicates.unsigned_abs()
    }
}

/// The number of an event, if everything in its row is what was sent.
fn number_of(event: &RawEvent) -> Option<u64> {
    let number = made::number(event.id);
    let envelope = Envelope::from_bytes(&event.body).ok()?;
    let is_whole = event.body == made::body(number)
        && event.checksum == i64::from(crc32fast::hash(&event.body))
        && (event.id, &event.key) == (envelope.id, &envelope.event_type)
        && (&event.source, &event.session) == (&envelope.source, &envelope.session_id)
        && event.correlation == envelope.correlation_id
        && event.timestamp == Some(envelope.timestamp.timestamp_micros())
        && event.standing == "valid";
    is_whole.then_some(number)
}
