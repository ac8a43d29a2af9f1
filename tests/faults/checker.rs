//! What was confirmed against what was handled.

use std::collections::{HashMap, HashSet};

/// Keeps account of events by their number.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    published: u64,
    failed_calls: u64,
    last_failure: String,
    confirmed: HashSet<u64>,
    /// How often each was handled.
    handled: HashMap<u64, u32>,
    /// Events that went to the queue for what nobody listens to, while there was no other.
    unrouted: HashSet<u64>,
    received: u64,
    known: u64,
}

/// The account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Events handed to the publisher; however often each was tried.
    pub(crate) published: u64,
    /// Events of which the bus said that it has them.
    pub(crate) confirmed: u64,
    /// Calls that said something else.
    pub(crate) failed_calls: u64,
    /// Deliveries, copies included.
    pub(crate) received: u64,
    /// Deliveries that the subscriber knew, and kept from the handler.
    pub(crate) duplicates: u64,
    /// Times that a handler got an event which it had had before.
    pub(crate) twice: u64,
    /// Confirmed events that no handler got, and that are in no queue.
    pub(crate) lost: u64,
    /// Confirmed events that were found in the queue for what nobody listens to.
    pub(crate) unrouted: u64,
}

impl Checker {
    /// An event is about to be published.
    pub(crate) fn published(&mut self) {
        self.published += 1;
    }

    /// A call of publish failed.
    pub(crate) fn failed(&mut self, why: &dyn std::fmt::Display) {
        self.failed_calls += 1;
        self.last_failure = why.to_string();
    }

    /// How it stands, for people.
    pub(crate) fn state(&self) -> String {
        format!("{:?}; the last failure: {}", self.tally(), self.last_failure)
    }

    /// The bus is responsible for an event.
    pub(crate) fn confirmed(&mut self, number: u64) {
        self.confirmed.insert(number);
    }

    /// A delivery came, and the subscriber knew it or not.
    pub(crate) fn received(&mut self, known: bool) {
        self.received += 1;
        self.known += u64::from(known);
    }

    /// A handler got an event.
    pub(crate) fn handled(&mut self, number: u64) {
        *self.handled.entry(number).or_default() += 1;
    }

    /// An event lies in the queue for what nobody listens to.
    pub(crate) fn unrouted(&mut self, number: u64) {
        self.unrouted.insert(number);
    }

    /// How many events are confirmed.
    pub(crate) fn confirmed_count(&self) -> usize {
        self.confirmed.len()
    }

    /// How many confirmed events are nowhere yet.
    pub(crate) fn missing(&self) -> u64 {
        let gone =
            |number: &&u64| !self.handled.contains_key(*number) && !self.unrouted.contains(*number);
        self.confirmed.iter().filter(gone).count() as u64
    }

    /// The account so far.
    pub(crate) fn tally(&self) -> Tally {
        let found = self.unrouted.iter().filter(|number| !self.handled.contains_key(*number));
        Tally {
            published: self.published,
            confirmed: self.confirmed.len() as u64,
            failed_calls: self.failed_calls,
            received: self.received,
            duplicates: self.known,
            twice: self.handled.values().map(|count| u64::from(count - 1)).sum(),
            lost: self.missing(),
            unrouted: found.count() as u64,
        }
    }
}

/// The checker finds what it is there to find.
pub(crate) fn test() {
    let run = |handled: &[u64]| {
        let mut checker = Checker::default();
        for number in 1..=4 {
            checker.published();
            checker.confirmed(number);
        }
        for &number in handled {
            checker.received(false);
            checker.handled(number);
        }
        checker
    };
    let good = run(&[1, 2, 4, 3]).tally();
    assert_eq!((good.confirmed, good.received, good.twice, good.lost), (4, 4, 0, 0));
    let dropped = run(&[1, 2, 4]).tally();
    assert_eq!((dropped.twice, dropped.lost), (0, 1));
    let doubled = run(&[1, 2, 2, 4, 3]).tally();
    assert_eq!((doubled.twice, doubled.lost), (1, 0));

    let mut checker = run(&[1, 2, 3]);
    checker.received(true);
    checker.failed(&"no");
    // Published without a confirm, and handled all the same: nothing is wrong.
    checker.handled(5);
    checker.unrouted(4);
    let tally = checker.tally();
    assert_eq!((tally.received, tally.duplicates, tally.failed_calls), (4, 1, 1));
    assert_eq!((tally.twice, tally.lost, tally.unrouted), (0, 0, 1));
}
