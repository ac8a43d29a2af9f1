//! What was handed out of the past and is not settled.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bloodbank_bus::{Delivery, DeliveryTag, Headers, Verbatim};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::Position;

/// A message of the past.
#[derive(Clone, Debug)]
pub(super) struct Past {
    pub(super) position: Position,
    pub(super) message: Verbatim,
    pub(super) redelivered: bool,
}

/// The messages of the past that one consumer has.
#[derive(Debug)]
pub(super) struct Hand {
    /// Names the consumer in tags.
    consumer: u64,
    queue: Arc<str>,
    state: Mutex<State>,
    /// Something was settled.
    pub(super) room: Notify,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    out: HashMap<u64, Past>,
    /// What is not settled, out or to be tried again: how often, by position.
    open: BTreeMap<Position, u32>,
    again: Vec<(Instant, Past)>,
    /// Everything up to here was handed out.
    fed: Position,
}

impl Hand {
    pub(super) fn new(consumer: u64, queue: &str, fed: Position) -> Self {
        let state = Mutex::new(State { fed, ..State::default() });
        Hand { consumer, queue: queue.into(), state, room: Notify::new() }
    }

    /// No code that holds the lock can leave the state half done.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn queue(&self) -> &str {
        &self.queue
    }

    /// Makes a delivery of a message that is new.
    pub(super) fn deliver(&self, past: Past) -> Delivery {
        let mut state = self.state();
        state.fed = state.fed.max(past.position);
        *state.open.entry(past.position).or_default() += 1;
        self.hand_out(&mut state, past)
    }

    /// The next message that is due again, and otherwise when one will be.
    pub(super) fn again(&self) -> Result<Delivery, Option<Instant>> {
        let mut state = self.state();
        let next = state.again.iter().enumerate().min_by_key(|(_, (due, _))| *due);
        match next.map(|(index, (due, _))| (index, *due)) {
            Some((index, due)) if due <= Instant::now() => {
                let (_, past) = state.again.swap_remove(index);
                Ok(self.hand_out(&mut state, past))
            }
            Some((_, due)) => Err(Some(due)),
            None => Err(None),
        }
    }

    fn hand_out(&self, state: &mut State, past: Past) -> Delivery {
        state.last += 1;
        let tag = DeliveryTag { consumer: self.consumer, number: state.last };
        let delivery = Delivery::new(tag, self.queue.clone(), past.message.clone())
            .with_redelivered(past.redelivered);
        state.out.insert(tag.number, past);
        delivery
    }

    pub(super) fn holds(&self, tag: DeliveryTag) -> bool {
        self.state().out.contains_key(&tag.number)
    }

    /// How many are out.
    pub(super) fn count(&self) -> usize {
        self.state().out.len()
    }

    /// Takes a delivery back to settle it.
    pub(super) fn take(&self, tag: DeliveryTag) -> Option<Past> {
        self.state().out.remove(&tag.number)
    }

    /// It could not be settled.
    pub(super) fn put_back(&self, tag: DeliveryTag, past: Past) {
        self.state().out.insert(tag.number, past);
    }

    /// It is done with.
    pub(super) fn settled(&self, past: &Past) {
        self.state().open.remove(&past.position);
        self.room.notify_one();
    }

    /// It comes again after a while.
    pub(super) fn later(&self, mut past: Past, after: Duration, noted: Headers) {
        let is_retry = !noted.is_empty();
        past.message.headers.extend(noted);
        past.redelivered = !is_retry;
        let due = Instant::now() + after;
        self.state().again.push((due, past));
        self.room.notify_one();
    }

    /// What was handed out is not this process's any more.
    pub(super) fn lose(&self) {
        let mut state = self.state();
        // What is settled late must not pass for what is handed out next.
        *state = State { last: state.last, ..State::default() };
    }

    /// Everything up to here was handed out.
    pub(super) fn fed(&self) -> Position {
        self.state().fed
    }

    /// What was looked at up to here holds nothing more.
    pub(super) fn passed(&self, position: Position) {
        let mut state = self.state();
        state.fed = state.fed.max(position);
    }

    /// Everything up to here is settled.
    pub(super) fn reached(&self) -> Position {
        let state = self.state();
        state.open.keys().next().map_or(state.fed, |first| first - 1)
    }
}
