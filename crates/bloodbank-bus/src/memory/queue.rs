//! One queue: what is ready, who consumes it, and what they have not settled.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::{
    Delivery, DeliveryTag, Durability, FullQueue, Headers, Queue, TransportError, Verbatim,
};

/// The most messages of a queue that does not say, if it is not one of events.
pub(super) const DEFAULT_MAX_LEN: usize = 100_000;

/// A message as it lies in a queue. Copies share key and body.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) message: Verbatim,
    /// Its place in the queue, which it keeps when it is requeued.
    place: u64,
    redelivered: bool,
    reply_to: Option<Arc<str>>,
}

impl Message {
    pub(super) fn new(message: Verbatim, reply_to: Option<Arc<str>>) -> Self {
        Message { message, place: 0, redelivered: false, reply_to }
    }

    /// The same message with more noted on it, as if it was new.
    pub(super) fn again_with(self, more: Headers) -> Self {
        let mut message = self.message;
        message.headers.extend(more);
        Message::new(message, self.reply_to)
    }
}

#[derive(Debug)]
pub(super) struct QueueState {
    pub(super) spec: Queue,
    /// Sorted by place.
    ready: VecDeque<Message>,
    /// Waiting for their delay to pass.
    delayed: usize,
    consumers: Vec<Consumer>,
    /// The consumer whose turn it is.
    turn: usize,
    last_place: u64,
}

#[derive(Debug)]
struct Consumer {
    id: u64,
    prefetch: usize,
    sender: mpsc::Sender<Delivery>,
    /// By delivery number.
    unsettled: BTreeMap<u64, Message>,
    last_number: u64,
}

impl Consumer {
    fn is_free(&self) -> bool {
        self.unsettled.len() < self.prefetch && !self.sender.is_closed()
    }
}

impl QueueState {
    pub(super) fn new(spec: Queue) -> Self {
        QueueState {
            spec,
            ready: VecDeque::new(),
            delayed: 0,
            consumers: Vec::new(),
            turn: 0,
            last_place: 0,
        }
    }

    /// A copy of everything that is ready, for a consumer that ends there; in its unsettled.
    pub(super) fn add_browser(&mut self, id: u64) -> mpsc::Receiver<Delivery> {
        let receiver = self.add_consumer(id, self.ready.len().max(1));
        // Without its sender the consumer gets nothing more, and its receiver ends.
        if let Some(consumer) = self.consumers.iter_mut().find(|consumer| consumer.id == id) {
            consumer.sender = mpsc::channel(1).0;
        }
        receiver
    }

    /// Takes out what is too much for a queue of events, the oldest first.
    pub(super) fn take_oldest(&mut self) -> Vec<Message> {
        let most = self.spec.max_len.filter(|_| self.spec.is_of_events()).unwrap_or(usize::MAX);
        let too_many = self.ready.len().saturating_sub(most);
        self.ready.drain(..too_many).collect()
    }

    /// # Errors
    /// If it can take no more. A queue of events always can.
    pub(super) fn has_room(&self) -> Result<(), TransportError> {
        if self.spec.is_of_events() {
            return Ok(());
        }
        let most = self.spec.max_len.unwrap_or(DEFAULT_MAX_LEN);
        if self.depth() + self.delayed + self.unsettled() < most {
            return Ok(());
        }
        let full = FullQueue { name: self.spec.name.clone(), limit: most };
        Err(TransportError::Nacked { full: Some(full) })
    }

    pub(super) fn push(&mut self, mut message: Message) {
        self.last_place += 1;
        message.place = self.last_place;
        self.ready.push_back(message);
        self.dispatch();
    }

    /// Keeps room for a message that will come by [`arrive`](QueueState::arrive).
    pub(super) fn expect(&mut self) {
        self.delayed += 1;
    }

    pub(super) fn arrive(&mut self, message: Message) {
        self.delayed = self.delayed.saturating_sub(1);
        self.push(message);
    }

    pub(super) fn add_consumer(&mut self, id: u64, prefetch: usize) -> mpsc::Receiver<Delivery> {
        // As many places as there can be unsettled deliveries, so sending never fails for want of one.
        let (sender, receiver) = mpsc::channel(prefetch);
        let unsettled = BTreeMap::new();
        self.consumers.push(Consumer { id, prefetch, sender, unsettled, last_number: 0 });
        self.dispatch();
        receiver
    }

    /// Removes a consumer; what it has not settled is ready again. True if the queue goes with it.
    pub(super) fn remove_consumer(&mut self, id: u64) -> bool {
        if let Some(index) = self.consumers.iter().position(|consumer| consumer.id == id) {
            let consumer = self.consumers.remove(index);
            consumer.unsettled.into_values().for_each(|message| self.put_back(message));
            self.dispatch();
        }
        self.consumers.is_empty() && self.spec.durability == Durability::Temporary
    }

    /// Takes a delivery out of the unsettled ones. The caller ends with
    /// [`dispatch`](QueueState::dispatch), since there is room now.
    pub(super) fn take(&mut self, tag: DeliveryTag) -> Result<Message, TransportError> {
        let consumer = self.consumers.iter_mut().find(|consumer| consumer.id == tag.consumer);
        consumer.and_then(|c| c.unsettled.remove(&tag.number)).ok_or(TransportError::Stale)
    }

    /// Whether a delivery is unsettled.
    pub(super) fn has(&self, tag: DeliveryTag) -> bool {
        let mut consumers = self.consumers.iter();
        consumers.any(|c| c.id == tag.consumer && c.unsettled.contains_key(&tag.number))
    }

    /// Puts a delivered message back to where it was, which is before everything newer.
    pub(super) fn put_back(&mut self, mut message: Message) {
        message.redelivered = true;
        let index = self.ready.partition_point(|other| other.place < message.place);
        self.ready.insert(index, message);
    }

    /// Hands out what is ready, to each free consumer in turn.
    pub(super) fn dispatch(&mut self) {
        while !self.ready.is_empty() {
            let count = self.consumers.len();
            // The first consumer of an ordered queue gets everything.
            let eligible = if self.spec.ordered { count.min(1) } else { count };
            let mut turns = (0..eligible).map(|i| (self.turn + i) % eligible);
            let Some(index) = turns.find(|&i| self.consumers[i].is_free()) else { return };
            let Some(message) = self.ready.pop_front() else { return };
            self.turn = index + 1;
            let consumer = &mut self.consumers[index];
            consumer.last_number += 1;
            let tag = DeliveryTag { consumer: consumer.id, number: consumer.last_number };
            let queue = self.spec.name.as_str().into();
            let delivery = Delivery::new(tag, queue, message.message.clone())
                .with_redelivered(message.redelivered)
                .with_reply_to(message.reply_to.clone());
            consumer.unsettled.insert(consumer.last_number, message);
            // If the receiver went this very moment, its cancel puts the message back.
            let _ = consumer.sender.try_send(delivery);
        }
    }

    /// Messages that wait for a consumer.
    pub(super) fn depth(&self) -> usize {
        self.ready.len()
    }

    /// Messages that were delivered and not settled.
    pub(super) fn unsettled(&self) -> usize {
        self.consumers.iter().map(|consumer| consumer.unsettled.len()).sum()
    }
}
