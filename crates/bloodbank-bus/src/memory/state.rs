//! All queues, and what happens to them as a whole.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::sync::{mpsc, oneshot};

use super::queue::{Message, QueueState};
use crate::{
    Delivery, DeliveryTag, Exchange, Queue, Reason, Settlement, Subscription, Topology,
    TransportError, headers,
};

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) queues: BTreeMap<String, QueueState>,
    /// The queue of each consumer.
    consumers: HashMap<u64, Arc<str>>,
    last_consumer: u64,
    /// Events that no queue wanted but those that record.
    pub(super) unrouted: u64,
    /// Who waits for an answer, by the address in the command.
    pub(super) waiting: HashMap<Arc<str>, oneshot::Sender<Arc<[u8]>>>,
    last_address: u64,
    closed: bool,
}

impl State {
    /// # Errors
    /// If it was closed.
    pub(super) fn check_open(&self) -> Result<(), TransportError> {
        if self.closed { Err(TransportError::Closed) } else { Ok(()) }
    }

    /// Ends all consumers, and the waiting for answers.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.waiting.clear();
        let consumers: Vec<u64> = self.consumers.keys().copied().collect();
        consumers.into_iter().for_each(|consumer| self.cancel(consumer));
    }

    /// Makes an address where somebody waits for an answer. Commands may share an id, calls do not
    /// share an answer.
    pub(super) fn wait(&mut self, sender: oneshot::Sender<Arc<[u8]>>) -> Arc<str> {
        // Those who have given up.
        self.waiting.retain(|_, sender| !sender.is_closed());
        self.last_address += 1;
        let address: Arc<str> = self.last_address.to_string().into();
        self.waiting.insert(address.clone(), sender);
        address
    }

    /// All or nothing.
    pub(super) fn declare(&mut self, topology: &Topology) -> Result<(), TransportError> {
        self.check_open()?;
        let existing: Vec<Queue> = self.queues.values().map(|state| state.spec.clone()).collect();
        topology.check_against(&existing)?;
        for queue in &topology.queues {
            match self.queues.get_mut(&queue.name) {
                None => {
                    self.queues.insert(queue.name.clone(), QueueState::new(queue.clone()));
                }
                Some(existing) => existing.spec.add_bindings_of(queue),
            }
        }
        Ok(())
    }

    /// To every queue that wants it, or to none if one of them refuses.
    pub(super) fn route(
        &mut self,
        exchange: Exchange,
        message: &Message,
    ) -> Result<(), TransportError> {
        let targets: Vec<&mut QueueState> = self
            .queues
            .values_mut()
            .filter(|queue| queue.spec.wants(exchange, &message.message.key))
            .collect();
        if targets.is_empty() && exchange.is_mandatory() {
            return Err(TransportError::Unroutable { key: message.message.key.to_string() });
        }
        if exchange == Exchange::Events && targets.iter().all(|queue| queue.spec.recorder) {
            self.unrouted += 1;
        }
        let names = give(targets, message)?;
        names.iter().for_each(|name| self.let_oldest_go(name));
        Ok(())
    }

    /// To every queue that listens, or to none if one of them refuses.
    pub(super) fn tell_listeners(&mut self, message: &Message) -> Result<(), TransportError> {
        let key = &*message.message.key;
        let listens = |queue: &Queue| !queue.recorder && queue.wants(Exchange::Events, key);
        let targets: Vec<&mut QueueState> =
            self.queues.values_mut().filter(|queue| listens(&queue.spec)).collect();
        if targets.is_empty() {
            return Err(TransportError::Unroutable { key: key.to_owned() });
        }
        let names = give(targets, message)?;
        names.iter().for_each(|name| self.let_oldest_go(name));
        Ok(())
    }

    /// Puts what is too much for a queue of events among its dead letters, as far as these have room.
    pub(super) fn let_oldest_go(&mut self, name: &str) {
        let Ok(queue) = self.queue(name) else { return };
        let (dead_letters, oldest) = (queue.spec.dead_letters.clone(), queue.take_oldest());
        let Some(Ok(dead_letters)) = dead_letters.map(|dead| self.queue(&dead)) else { return };
        for message in oldest {
            if dead_letters.has_room().is_ok() {
                let notes = [
                    (headers::REASON, Reason::QueueFull.as_str().to_owned()),
                    (headers::PARKED_FROM, name.to_owned()),
                    (headers::PARKED_AT, Utc::now().to_rfc3339()),
                ];
                let notes = notes.map(|(name, value)| (name.to_owned(), value.into()));
                dead_letters.push(message.again_with(notes.into()));
            }
        }
    }

    pub(super) fn subscribe(
        &mut self,
        subscription: &Subscription,
    ) -> Result<(u64, mpsc::Receiver<Delivery>), TransportError> {
        self.check_open()?;
        let id = self.last_consumer + 1;
        let prefetch = usize::from(subscription.prefetch.max(1));
        let queue = self.queue(&subscription.queue)?;
        let receiver = if subscription.until_empty {
            queue.add_browser(id)
        } else {
            queue.add_consumer(id, prefetch)
        };
        self.last_consumer = id;
        self.consumers.insert(id, subscription.queue.as_str().into());
        Ok((id, receiver))
    }

    pub(super) fn cancel(&mut self, consumer: u64) {
        if let Some(name) = self.consumers.remove(&consumer)
            && let Some(queue) = self.queues.get_mut(&*name)
            && queue.remove_consumer(consumer)
        {
            self.queues.remove(&*name);
        }
    }

    /// Whether a delivery can still be settled.
    pub(super) fn is_unsettled(&self, tag: DeliveryTag) -> bool {
        let queue = self.consumers.get(&tag.consumer).and_then(|name| self.queues.get(&**name));
        queue.is_some_and(|queue| queue.has(tag))
    }

    /// The message to put back after a delay, if that is what is to be done.
    pub(super) fn settle(
        &mut self,
        tag: DeliveryTag,
        settlement: Settlement,
    ) -> Result<Option<(String, Duration, Message)>, TransportError> {
        self.check_open()?;
        let name = self.consumers.get(&tag.consumer).ok_or(TransportError::Stale)?.clone();
        let dead_letters = self.queue(&name)?.spec.dead_letters.clone();
        if let (Settlement::Park { .. }, Some(dead)) = (&settlement, &dead_letters) {
            self.queue(dead)?.has_room()?;
        }
        let queue = self.queue(&name)?;
        let message = queue.take(tag)?;
        let mut delayed = None;
        match settlement {
            Settlement::Ack | Settlement::Drop { .. } => {}
            Settlement::Requeue => queue.put_back(message),
            Settlement::Retry { after, headers } => {
                queue.expect();
                delayed = Some((name.to_string(), after, message.again_with(headers)));
            }
            Settlement::Park { headers } => {
                if let Some(dead) = dead_letters {
                    self.queue(&dead)?.push(message.again_with(headers));
                }
            }
        }
        self.queue(&name)?.dispatch();
        Ok(delayed)
    }

    pub(super) fn queue(&mut self, name: &str) -> Result<&mut QueueState, TransportError> {
        let missing = || TransportError::Undeclared { queue: name.to_owned() };
        self.queues.get_mut(name).ok_or_else(missing)
    }
}

/// Puts a message into all of these queues, or into none if one of them refuses. Gives their names.
fn give(targets: Vec<&mut QueueState>, message: &Message) -> Result<Vec<String>, TransportError> {
    targets.iter().try_for_each(|queue| queue.has_room())?;
    let push = |queue: &mut QueueState| {
        queue.push(message.clone());
        queue.spec.name.clone()
    };
    Ok(targets.into_iter().map(push).collect())
}
