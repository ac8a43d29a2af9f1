//! What a process knows of one of its consumers.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bloodbank_bus::{Delivery, DeliveryTag, Headers, Properties};
use tokio::sync::{Notify, watch};

use super::message::{Place, Taken};
use crate::queues::QueueRow;

/// A delivery that is not settled.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) place: Place,
    /// As they are stored.
    pub(super) headers: Headers,
    pub(super) properties: Option<Box<Properties>>,
}

/// A consumer, and what it has not settled.
#[derive(Debug)]
pub(super) struct Seat {
    /// Its queue's number.
    pub(super) queue: i64,
    /// Whether nobody waits for its end while it holds nothing.
    is_patient: bool,
    /// Whether the next message must wait until the one before it is settled.
    is_ordered: bool,
    state: Mutex<State>,
    /// Something is settled, or being settled.
    pub(super) room: Notify,
    /// It is to end.
    pub(super) stop: watch::Sender<bool>,
    /// It has ended, and is not in the database any more, if that could be reached.
    pub(super) ended: watch::Sender<bool>,
}

#[derive(Debug)]
struct State {
    /// Its number, which changes when it has expired.
    consumer: i64,
    /// Also what is being settled, which is the consumer's until the database says otherwise.
    held: HashMap<u64, Held>,
    settling: HashSet<u64>,
    last: u64,
    /// The last delivery that somebody has begun with.
    begun: u64,
    /// The delivery beside which nothing more is to be claimed.
    alone: Option<u64>,
    /// It is given up then, at the earliest.
    until: Instant,
}

/// For how long a consumer is to be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Renewal {
    /// It holds something, or others wait for its end.
    Short,
    /// It holds nothing.
    Long,
}

impl Seat {
    pub(super) fn new(queue: &QueueRow, consumer: i64, until: Instant) -> Self {
        let is_ordered = queue.spec.ordered;
        let is_patient = !is_ordered && !queue.is_temporary();
        let (held, settling) = (HashMap::new(), HashSet::new());
        let state = State { consumer, held, settling, last: 0, begun: 0, alone: None, until };
        let (stop, ended) = (watch::Sender::new(false), watch::Sender::new(false));
        Seat {
            queue: queue.number,
            is_patient,
            is_ordered,
            state: Mutex::new(state),
            room: Notify::new(),
            stop,
            ended,
        }
    }

    /// No code that holds the lock can leave the state half done.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn consumer(&self) -> i64 {
        self.state().consumer
    }

    /// It lives on under another number; what it held is not its own any more.
    pub(super) fn begin_again(&self, consumer: i64, until: Instant) {
        let mut state = self.state();
        (state.consumer, state.until) = (consumer, until);
        state.forget();
    }

    /// What it held is not its own any more.
    pub(super) fn lose(&self) {
        self.state().forget();
        self.room.notify_one();
    }

    /// It is given up then, at the earliest.
    pub(super) fn renew(&self, until: Instant) {
        self.state().until = until;
    }

    /// Whether it has not been given up yet.
    pub(super) fn is_current(&self) -> bool {
        Instant::now() < self.state().until
    }

    /// Whether it is to be renewed with what it takes: it may have been told to last for longer than
    /// others are to wait for what it holds.
    pub(super) fn renews(&self, lease: Duration) -> bool {
        let left = self.state().left();
        left > lease || left < lease / 2
    }

    /// Whether it is to be renewed now.
    pub(super) fn renewal(&self, lease: Duration) -> Option<Renewal> {
        let state = self.state();
        if !self.is_patient || !state.held.is_empty() {
            return Some(Renewal::Short);
        }
        (state.left() <= lease / 2).then_some(Renewal::Long)
    }

    /// How many deliveries take room. What is being settled takes none, unless the next of an ordered
    /// queue could come before one that is put back.
    pub(super) fn count(&self) -> usize {
        let state = self.state();
        match self.is_ordered {
            true => state.held.len(),
            false => state.held.len().saturating_sub(state.settling.len()),
        }
    }

    pub(super) fn places(&self) -> Vec<Place> {
        self.state().held.values().map(|held| held.place).collect()
    }

    /// Makes a delivery of a message, which is held from now on.
    pub(super) fn deliver(&self, taken: Taken, queue: &QueueRow) -> Delivery {
        let mut state = self.state();
        state.last += 1;
        let tag = DeliveryTag { consumer: state.consumer.unsigned_abs(), number: state.last };
        let place = taken.place;
        if taken.is_suspect() {
            state.alone = Some(tag.number);
        }
        let (delivery, headers) = taken.deliver(tag, queue);
        let properties = delivery.properties.clone();
        state.held.insert(tag.number, Held { place, headers, properties });
        delivery
    }

    /// Notes that somebody begins with a delivery; false if it is not its own any more.
    pub(super) fn begin(&self, tag: DeliveryTag) -> bool {
        let mut state = self.state();
        let is_its = state.is_its(tag) && state.held.contains_key(&tag.number);
        if is_its {
            state.begun = state.begun.max(tag.number);
        }
        let is_idle = state.is_idle();
        drop(state);
        if is_idle {
            // What must not wait beside others may be claimed.
            self.room.notify_one();
        }
        is_its
    }

    /// Whether somebody has begun with all that it holds.
    pub(super) fn is_idle(&self) -> bool {
        self.state().is_idle()
    }

    /// Whether it holds something beside which nothing more is to be claimed.
    pub(super) fn is_alone(&self) -> bool {
        self.state().alone.is_some()
    }

    /// Whether a delivery is its own, and nobody settles it.
    pub(super) fn holds(&self, tag: DeliveryTag) -> bool {
        let state = self.state();
        state.is_its(tag)
            && state.held.contains_key(&tag.number)
            && !state.settling.contains(&tag.number)
    }

    /// Begins to settle a delivery.
    pub(super) fn begin_to_settle(&self, tag: DeliveryTag) -> Option<Held> {
        let mut state = self.state();
        if !state.is_its(tag) || state.settling.contains(&tag.number) {
            return None;
        }
        let held = state.held.get(&tag.number).cloned()?;
        state.settling.insert(tag.number);
        drop(state);
        self.room.notify_one();
        Some(held)
    }

    /// It is settled.
    pub(super) fn settled(&self, tag: DeliveryTag) {
        let mut state = self.state();
        if state.is_its(tag) {
            state.settling.remove(&tag.number);
            state.held.remove(&tag.number);
            state.alone = state.alone.filter(|alone| *alone != tag.number);
        }
        drop(state);
        self.room.notify_one();
    }

    /// It could not be settled.
    pub(super) fn not_settled(&self, tag: DeliveryTag) {
        let mut state = self.state();
        if state.is_its(tag) {
            state.settling.remove(&tag.number);
        }
    }
}

impl State {
    fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    fn is_its(&self, tag: DeliveryTag) -> bool {
        self.consumer.unsigned_abs() == tag.consumer
    }

    fn is_idle(&self) -> bool {
        // Deliveries are begun with in order.
        self.begun == self.last || self.held.keys().all(|number| *number <= self.begun)
    }

    fn forget(&mut self) {
        self.alone = None;
        self.held.clear();
        self.settling.clear();
    }
}
