//! From what was said to queues and bindings.

use std::sync::Arc;

use bloodbank_core::{BundledService, Contracts, Kind, Service};

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
        let contracts = self.contracts.current();
        let service = contracts.bundle().service(S::NAME);
        let mut faults = self.faults.clone();
        let mut queues = self.event_queues(service, &mut faults);
        if self.options.hear_replays {
            queues = queues.into_iter().map(Queue::hear_replays).collect();
        }
        let begin = |queue: Queue| queue.with_start(self.options.start);
        queues = queues.into_iter().map(begin).collect();
        let commands = self.handlers.commands();
        queues.extend(commands.iter().filter_map(|command| worker_queue(service, command)));
        if commands.is_empty() && !self.handlers.takes_events() {
            faults.push(SetupFault::NoHandler);
        }
        if self.options.strict_order && self.handlers.largest_batch() > 0 {
            faults.push(SetupFault::BatchInOrder);
        }
        let doubled = self.handlers.doubled().iter();
        faults.extend(doubled.map(|&key| SetupFault::TwoHandlers { key }));
        faults.extend(self.unhandled(&contracts, &queues));
        faults.extend(self.unheard(&queues));
        if !faults.is_empty() {
            return Err(SubscribeError::Setup { service: S::NAME, faults });
        }
        let (mut topology, mut planned) = (Topology::new(), Vec::new());
        for queue in queues {
            let (name, retry) = (queue.name.clone(), self.retry_of(service, &queue.name));
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
        let relay =
            (partitions.queues().len() > 1).then(|| (Role::Relay(partitions.clone()), name));
        relay.into_iter().chain(roles).collect()
    }

    /// What the code says, else registry.yaml, else the default.
    fn retry_of(&self, service: Option<&BundledService>, queue: &str) -> RetryPolicy {
        let said = self.options.retry.clone();
        said.or_else(|| RetryPolicy::of_queue(service?, queue)).unwrap_or_default()
    }

    /// Those named by hand, else those of registry.yaml; none if it only carries out commands.
    fn event_queues(
        &self,
        service: Option<&BundledService>,
        faults: &mut Vec<SetupFault>,
    ) -> Vec<Queue> {
        let registered = service.map(Queue::all_of).unwrap_or_default();
        if !self.queues.is_empty() {
            let is_meant =
                |known: &&Queue| self.queues.iter().any(|queue| queue.name == known.name);
            faults.extend(self.unordered(registered.iter().filter(is_meant)));
            let queues = self.queues.iter().cloned().map(|queue| as_registered(queue, &registered));
            return match self.options.strict_order {
                true => queues.map(Queue::ordered).collect(),
                false => queues.collect(),
            };
        }
        if !self.handlers.takes_events() {
            return Vec::new();
        }
        if registered.is_empty() {
            faults.push(SetupFault::NoQueue);
        }
        faults.extend(self.unordered(registered.iter()));
        registered
    }

    /// Queues that are to be consumed in order, and that registry.yaml has otherwise.
    fn unordered<'q>(&self, queues: impl Iterator<Item = &'q Queue>) -> Vec<SetupFault> {
        let unordered = queues.filter(|queue| self.options.strict_order && !queue.ordered);
        unordered.map(|queue| SetupFault::NotOrdered { queue: queue.name.clone() }).collect()
    }

    /// Events that have a handler and would never arrive.
    fn unheard(&self, queues: &[Queue]) -> Option<SetupFault> {
        let mut unheard = self.handlers.events();
        unheard.retain(|route| !queues.iter().any(|queue| queue.wants(Exchange::Events, route)));
        (!unheard.is_empty()).then_some(SetupFault::Unheard { keys: unheard })
    }

    /// Events that would arrive with nobody to take them.
    fn unhandled(&self, contracts: &Contracts, queues: &[Queue]) -> Option<SetupFault> {
        if self.options.skip_others || self.handlers.takes_any_event() {
            return None;
        }
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

/// The worker queue of a command, as `bloodbank topology` declares it.
fn worker_queue(service: Option<&BundledService>, command: &str) -> Option<Queue> {
    let queue = Queue::of_command(command)?;
    let workers = service.map(Queue::workers_of).unwrap_or_default();
    Some(workers.into_iter().find(|worker| worker.name == queue.name).unwrap_or(queue))
}

/// A queue that was named by hand, with what registry.yaml says of it.
fn as_registered(mut queue: Queue, registered: &[Queue]) -> Queue {
    if let Some(known) = registered.iter().find(|known| known.name == queue.name) {
        (queue.max_len, queue.ordered) = (known.max_len, known.ordered);
        queue.recorder = known.recorder;
    }
    queue
}
