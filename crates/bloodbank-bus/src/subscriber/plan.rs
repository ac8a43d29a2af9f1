//! From what was said to queues and bindings.

use std::sync::Arc;

use bloodbank_core::{BundledService, Kind, Service};

use super::partitions::Partitions;
use super::{Options, SetupFault, SubscribeError, Subscriber};
use crate::{Exchange, Queue, RetryPolicy, Topology};

/// A queue that is consumed.
pub(super) struct Planned {
    /// Its name.
    pub(super) queue: String,
    /// When its messages are tried again.
    pub(super) retry: RetryPolicy,
    /// What becomes of its messages.
    pub(super) role: Role,
}

/// What becomes of the messages of a queue.
#[derive(Clone)]
pub(super) enum Role {
    /// They are handled, in whatever order.
    Plain,
    /// They are handled one after the other.
    InOrder,
    /// They are passed on to the partitions.
    Relay(Arc<Partitions>),
    /// They are handled key by key; the number of the partition.
    Partition(Arc<Partitions>, usize),
}

impl Role {
    /// Whether its messages keep their order.
    pub(super) fn is_ordered(&self) -> bool {
        !matches!(self, Role::Plain)
    }
}

impl<S: Service> Subscriber<S> {
    /// What to declare, and which queues to consume.
    pub(super) fn plan(&self) -> Result<(Topology, Vec<Planned>), SubscribeError> {
        let mut faults = self.faults.clone();
        let mut queues = self.event_queues(&mut faults);
        if self.options.hear_replays {
            queues = queues.into_iter().map(Queue::hear_replays).collect();
        }
        let commands = self.handlers.commands();
        queues.extend(commands.iter().filter_map(|command| self.worker_queue(command)));
        if commands.is_empty() && !self.handlers.takes_events() {
            faults.push(SetupFault::NoHandler);
        }
        if self.options.strict_order && self.handlers.largest_batch() > 0 {
            faults.push(SetupFault::BatchInOrder);
        }
        let doubled = self.handlers.doubled().iter();
        faults.extend(doubled.map(|&key| SetupFault::TwoHandlers { key }));
        faults.extend(self.unhandled(&queues));
        faults.extend(self.unheard(&queues));
        if !faults.is_empty() {
            return Err(SubscribeError::Setup { service: S::NAME, faults });
        }
        let (mut topology, mut planned) = (Topology::new(), Vec::new());
        for queue in queues {
            let (name, retry) = (queue.name.clone(), self.retry_of(&queue.name));
            let roles = self.roles(&queue);
            if let Some((Role::Relay(partitions), _)) = roles.first() {
                topology = partitions.declared(&queue).fold(topology, Topology::with_queue);
            }
            topology = topology.with_parked_queue(queue);
            if !roles.iter().any(|(role, _)| role.is_ordered()) {
                topology = topology.with_delays_of(&*name, retry.delays().iter().copied());
            }
            let plan = |(role, queue)| Planned { queue, retry: retry.clone(), role };
            planned.extend(roles.into_iter().map(plan));
        }
        Ok((topology, planned))
    }

    /// What is consumed for a queue, and how.
    fn roles(&self, queue: &Queue) -> Vec<(Role, String)> {
        let name = queue.name.clone();
        let is_of_events = queue.bindings.iter().any(|bound| bound.exchange != Exchange::Commands);
        let Options { partitions, concurrency, strict_order, .. } = self.options;
        let pointer = match &self.options.ordered_by {
            // Commands have no such order.
            Some(pointer) if is_of_events => pointer,
            None if strict_order => return vec![(Role::InOrder, name)],
            _ => return vec![(Role::Plain, name)],
        };
        let partitions = Arc::new(Partitions::new(&name, pointer, partitions, concurrency));
        let names = partitions.queues().iter().enumerate();
        let roles = names.map(|(n, name)| (Role::Partition(partitions.clone(), n), name.clone()));
        [(Role::Relay(partitions.clone()), name)].into_iter().chain(roles).collect()
    }

    /// What registry.yaml says of the service.
    fn registered(&self) -> Option<BundledService> {
        self.contracts.current().bundle().service(S::NAME).cloned()
    }

    /// What the code says, else registry.yaml, else the default.
    fn retry_of(&self, queue: &str) -> RetryPolicy {
        let said = self.options.retry.clone();
        let registered = || RetryPolicy::of_queue(&self.registered()?, queue);
        said.or_else(registered).unwrap_or_default()
    }

    /// The worker queue of a command, as `bloodbank topology` declares it.
    fn worker_queue(&self, command: &str) -> Option<Queue> {
        let queue = Queue::of_command(command)?;
        let workers = self.registered().map(|it| Queue::workers_of(&it)).unwrap_or_default();
        Some(workers.into_iter().find(|worker| worker.name == queue.name).unwrap_or(queue))
    }

    /// A queue that was named by hand, with what registry.yaml says of it.
    fn as_registered(&self, mut queue: Queue) -> Queue {
        let queues = self.registered().map(|it| Queue::all_of(&it)).unwrap_or_default();
        if let Some(known) = queues.into_iter().find(|known| known.name == queue.name) {
            (queue.max_len, queue.ordered) = (known.max_len, known.ordered);
            queue.recorder = known.recorder;
        }
        queue
    }

    /// Those named by hand, else those of registry.yaml; none if it only carries out commands.
    fn event_queues(&self, faults: &mut Vec<SetupFault>) -> Vec<Queue> {
        if !self.queues.is_empty() {
            let queues = self.queues.iter().cloned().map(|queue| self.as_registered(queue));
            faults.extend(self.unordered());
            return match self.options.strict_order {
                true => queues.map(Queue::ordered).collect(),
                false => queues.collect(),
            };
        }
        if !self.handlers.takes_events() {
            return Vec::new();
        }
        let queues: Vec<Queue> = self.registered().map(|it| Queue::all_of(&it)).unwrap_or_default();
        if queues.is_empty() {
            faults.push(SetupFault::NoQueue);
        }
        for queue in queues.iter().filter(|queue| self.options.strict_order && !queue.ordered) {
            faults.push(SetupFault::NotOrdered { queue: queue.name.clone() });
        }
        queues
    }

    /// Queues that are named by hand, to be consumed in order, and that registry.yaml has otherwise.
    fn unordered(&self) -> Vec<SetupFault> {
        let queues = self.registered().map(|it| Queue::all_of(&it)).unwrap_or_default();
        let is_meant = |queue: &&Queue| self.queues.iter().any(|named| named.name == queue.name);
        let unordered = queues.iter().filter(is_meant).filter(|queue| !queue.ordered);
        let unordered = unordered.filter(|_| self.options.strict_order);
        unordered.map(|queue| SetupFault::NotOrdered { queue: queue.name.clone() }).collect()
    }

    /// Events that have a handler and would never arrive.
    fn unheard(&self, queues: &[Queue]) -> Option<SetupFault> {
        let mut unheard = self.handlers.events();
        unheard.retain(|route| !queues.iter().any(|queue| queue.wants(Exchange::Events, route)));
        (!unheard.is_empty()).then_some(SetupFault::Unheard { keys: unheard })
    }

    /// Events that would arrive with nobody to take them.
    fn unhandled(&self, queues: &[Queue]) -> Option<SetupFault> {
        if self.options.skip_others || self.handlers.takes_any_event() {
            return None;
        }
        let contracts = self.contracts.current();
        let events =
            contracts.bundle().contracts.iter().filter(|contract| contract.kind == Kind::Event);
        let missing: Vec<String> = events
            .flat_map(|contract| contract.routes())
            .filter(|route| queues.iter().any(|queue| queue.wants(Exchange::Events, route)))
            .filter(|route| self.handlers.find(route).is_none())
            .collect();
        (!missing.is_empty()).then_some(SetupFault::Unhandled { keys: missing })
    }
}
