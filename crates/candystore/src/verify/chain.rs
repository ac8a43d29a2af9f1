//! The chain of digests, from the first event to the last.

use crate::digest::Digest;
use crate::event::EventRow;
use crate::pruned::PrunedRow;
use crate::{Checkpoint, Position};

use super::Verified;

/// Where the walk along the chain is.
pub(super) struct Chain {
    /// That of the last position that is accounted for; `None` where it is not known.
    last: Option<Digest>,
    /// The last position of an event without a digest.
    unchained: Position,
    expected: Option<Checkpoint>,
    /// Whether the expected position was met.
    is_met: bool,
}

impl Chain {
    pub(super) fn new(unchained: Position, expected: Option<Checkpoint>) -> Self {
        let is_met = expected.is_none_or(|expected| expected.position == 0);
        Chain { last: None, unchained, expected, is_met }
    }

    /// Goes on to the event at a position, over positions from `from` on that have none.
    pub(super) fn go(&mut self, from: Position, to: Position, pruned: &[PrunedRow]) {
        if from < to {
            let before = pruned.iter().find(|row| row.last + 1 == to);
            self.last = before.and_then(|row| row.digest);
            if let Some(digest) = self.last
                && self.expected == Some(Checkpoint { position: to - 1, digest })
            {
                self.is_met = true;
            }
        }
        if to == self.unchained + 1 {
            self.last = Some(Digest::NONE);
        }
    }

    /// What is wrong with the digests of an event. `received` is the time that it was stored with.
    pub(super) fn event(&mut self, row: &EventRow, received: i64) -> Vec<&'static str> {
        let before = std::mem::replace(&mut self.last, row.digest);
        let mut problems = Vec::new();
        match (before, row.digest) {
            (_, None) if row.position > self.unchained => problems.push("it has no digest"),
            (Some(before), Some(digest)) => {
                let body = Digest::of_bytes(&row.body);
                let is_same = match received == row.received {
                    true => before.after(row, body) == digest,
                    false => before.after(&EventRow { received, ..row.clone() }, body) == digest,
                };
                if !is_same {
                    problems.push(
                        "it is not what was stored, or not behind the event that it followed: \
                         its digest is another one",
                    );
                }
            }
            _ => {}
        }
        if let Some(expected) = self.expected
            && expected.position == row.position
        {
            self.is_met = true;
            if row.digest != Some(expected.digest) {
                problems.push("its digest is not the expected one: what is stored was replaced");
            }
        }
        problems
    }

    /// The event that comes next cannot be read.
    pub(super) fn lose(&mut self) {
        self.last = None;
    }

    /// Notes what the end says. All positions up to the head are accounted for.
    pub(super) fn end(&self, head: Checkpoint, found: &mut Verified) {
        if self.last.is_some_and(|last| last != head.digest) {
            let what = "the head's digest is not that of the last event: events behind it were cut \
                 off, or it was added by somebody else";
            found.note(None, what);
        }
        match self.expected {
            Some(expected) if expected.position > head.position => {
                let (end, wanted) = (head.position, expected.position);
                let what = format!("the store ends at {end}, and {wanted} was expected in it");
                found.note(None, what);
            }
            Some(expected) if !self.is_met => {
                let what = "it was expected, and has no digest to compare: it was pruned or lost, \
                     or is older than digests";
                found.note(expected.position, what);
            }
            _ => {}
        }
    }
}
