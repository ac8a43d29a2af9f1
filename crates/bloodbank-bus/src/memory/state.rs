//! All queues, and what happens to them as a whole.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::queue::{Message, QueueState};
use crate::headers::{ATTEMPTS, PARKED_FROM, REASON};
use crate::{
    Delivery, DeliveryTag, Exchange, Queue, Settlement, Subscription, Topology, TransportError,
};

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) queues: BTreeMap<String, QueueState>,
    /// The queue of each consumer.
    consumers: HashMap<u64, Arc<str>>,
    last_consumer: u64,
}

impl State {
    /// All or nothing.
    pub(super) fn declare(&mut self, topology: &Topology) -> Result<(), TransportError> {
        for queue in &topology.queues {
            self.check(queue, topology)?;
        }
        for queue in &topology.queues {
            match self.queues.get_mut(&queue.name) {
                None => {
                    self.queues.insert(queue.name.clone(), QueueState::new(queue.clone()));
                }
                Some(existing) => {
                    for binding in &queue.bindings {
                        if !existing.spec.bindings.contains(binding) {
                            existing.spec.bindings.push(binding.clone());
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn check(&self, queue: &Queue, topology: &Topology) -> Result<(), TransportError> {
        let conflict =
            |reason: String| Err(TransportError::Conflict { queue: queue.name.clone(), reason });
        let others = || {
            let existing = self.queues.values().map(|state| &state.spec);
            existing.chain(&topology.queues)
        };
        let same_name = |other: &&Queue| other.name == queue.name;
        for other in others().filter(same_name) {
            if (other.durability, other.max_len, &other.dead_letters)
                != (queue.durability, queue.max_len, &queue.dead_letters)
            {
                return conflict("it exists with other properties".to_owned());
            }
        }
        for binding in queue.bindings.iter().filter(|b| b.exchange == Exchange::Commands) {
            let key = &binding.pattern;
            if key.is_wild() {
                return conflict(format!(
                    "`{key}` is a pattern; a command queue names its commands"
                ));
            }
            let rival =
                others().find(|other| !same_name(other) && other.bindings.contains(binding));
            if let Some(rival) = rival {
                return conflict(format!("`{key}` has its worker queue, `{}`", rival.name));
            }
        }
        match &queue.dead_letters {
            Some(dead) if !others().any(|other| other.name == *dead) => {
                Err(TransportError::Undeclared { queue: dead.clone() })
            }
            _ => Ok(()),
        }
    }

    /// To every queue that wants it, or to none if one of them is full.
    pub(super) fn route(
        &mut self,
        exchange: Exchange,
        message: &Message,
    ) -> Result<(), TransportError> {
        let mut targets: Vec<&mut QueueState> =
            self.queues.values_mut().filter(|queue| queue.wants(exchange, &message.key)).collect();
        if targets.is_empty() && exchange == Exchange::Commands {
            return Err(TransportError::Unroutable { key: message.key.to_string() });
        }
        targets.iter().try_for_each(|queue| queue.has_room())?;
        targets.iter_mut().for_each(|queue| queue.push(message.clone()));
        Ok(())
    }

    pub(super) fn subscribe(
        &mut self,
        subscription: &Subscription,
    ) -> Result<(u64, mpsc::Receiver<Delivery>), TransportError> {
        let id = self.last_consumer + 1;
        let prefetch = usize::from(subscription.prefetch.max(1));
        let receiver = self.queue(&subscription.queue)?.add_consumer(id, prefetch);
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

    pub(super) fn settle(
        &mut self,
        tag: DeliveryTag,
        settlement: Settlement,
    ) -> Result<(), TransportError> {
        let name = self.consumers.get(&tag.consumer).ok_or(TransportError::Stale)?.clone();
        let dead_letters = self.queue(&name)?.spec.dead_letters.clone();
        if let (Settlement::Reject { .. }, Some(dead)) = (&settlement, &dead_letters) {
            self.queue(dead)?.has_room()?;
        }
        let queue = self.queue(&name)?;
        let message = queue.take(tag)?;
        match settlement {
            Settlement::Ack => {}
            Settlement::Requeue => queue.put_back(message),
            Settlement::Reject { reason } => {
                if let Some(dead) = dead_letters {
                    let mut headers = message.headers.clone();
                    headers.insert(ATTEMPTS.to_owned(), message.attempts().to_string());
                    headers.insert(PARKED_FROM.to_owned(), name.to_string());
                    headers.insert(REASON.to_owned(), reason);
                    self.queue(&dead)?.push(Message::new(message.key, message.body, headers));
                }
            }
        }
        self.queue(&name)?.dispatch();
        Ok(())
    }

    pub(super) fn queue(&mut self, name: &str) -> Result<&mut QueueState, TransportError> {
        let missing = || TransportError::Undeclared { queue: name.to_owned() };
        self.queues.get_mut(name).ok_or_else(missing)
    }
}
