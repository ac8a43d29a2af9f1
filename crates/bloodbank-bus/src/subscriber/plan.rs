//! From what was said to queues and bindings.

use bloodbank_core::{Kind, Service};

use super::{SubscribeError, Subscriber};
use crate::{Exchange, Queue, Topology};

impl<S: Service> Subscriber<S> {
    /// What to declare, and which queues to consume.
    pub(super) fn plan(&self) -> Result<(Topology, Vec<String>), SubscribeError> {
        let mut faults = self.faults.clone();
        let mut queues = self.event_queues(&mut faults);
        if self.options.hear_replays {
            queues = queues.into_iter().map(Queue::hear_replays).collect();
        }
        let commands = self.handlers.commands();
        queues.extend(commands.iter().filter_map(|command| Queue::of_command(command)));
        if commands.is_empty() && !self.handlers.takes_events() {
            faults.push("it has no handler: add `.on(…)`, `.on_any(…)` or `.handle(…)`".to_owned());
        }
        let doubled = self.handlers.doubled().iter();
        faults.extend(doubled.map(|key| format!("it has two handlers for {key}")));
        faults.extend(self.unhandled(&queues));
        faults.extend(self.unheard(&queues));
        if !faults.is_empty() {
            return Err(SubscribeError::Setup { service: S::NAME, faults });
        }
        let names = queues.iter().map(|queue| queue.name.clone()).collect();
        let mut topology = Topology::new();
        for queue in queues {
            topology = topology.with_parked_queue(queue);
        }
        if !self.options.strict_order {
            topology = topology.with_delays(self.options.retry.delays().iter().copied());
        }
        Ok((topology, names))
    }

    /// Those named by hand, else those of registry.yaml; none if it only carries out commands.
    fn event_queues(&self, faults: &mut Vec<String>) -> Vec<Queue> {
        if !self.queues.is_empty() {
            let queues = self.queues.iter().cloned();
            return match self.options.strict_order {
                true => queues.map(Queue::ordered).collect(),
                false => queues.collect(),
            };
        }
        if !self.handlers.takes_events() {
            return Vec::new();
        }
        let contracts = self.contracts.current();
        let service = contracts.bundle().service(S::NAME);
        let queues: Vec<Queue> = service.map(Queue::all_of).unwrap_or_default();
        if queues.is_empty() {
            faults.push(
                "it has no queue: name its `routing_keys:` in services/registry.yaml, or say \
                 `.queue(\"name\").bind(\"pattern\")`"
                    .to_owned(),
            );
        }
        for queue in queues.iter().filter(|queue| self.options.strict_order && !queue.ordered) {
            faults.push(format!(
                "`{}` is to be consumed in strict order: say `ordered: true` of this service in \
                 services/registry.yaml, so that one process at a time gets all of it",
                queue.name
            ));
        }
        queues
    }

    /// Events that have a handler and would never arrive.
    fn unheard(&self, queues: &[Queue]) -> Option<String> {
        let mut unheard = self.handlers.events();
        unheard.retain(|route| !queues.iter().any(|queue| queue.wants(Exchange::Events, route)));
        (!unheard.is_empty()).then(|| {
            format!("it handles {}, to which none of its queues is bound", unheard.join(", "))
        })
    }

    /// Events that would arrive with nobody to take them.
    fn unhandled(&self, queues: &[Queue]) -> Option<String> {
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
            .map(|route| format!("`{route}`"))
            .collect();
        (!missing.is_empty()).then(|| {
            format!(
                "it gets {} and has no handler for it: add `.on(…)`, `.on_any(…)`, or \
                 `.skip_others()`",
                missing.join(", ")
            )
        })
    }
}
