//! Which declarations do not go together.

use super::{Exchange, Queue, Topology};
use crate::{Conflict, QueueProperty, TransportError};

impl Topology {
    /// Whether its queues can be declared where these exist: the rules that hold on every transport.
    ///
    /// # Errors
    /// [`TransportError::Conflict`] if a queue exists with other properties, a command has a second
    /// worker queue, or a command queue is bound to a pattern; [`TransportError::Undeclared`] if a
    /// queue names a dead-letter queue that neither exists nor is in the topology.
    pub fn check_against(&self, existing: &[Queue]) -> Result<(), TransportError> {
        let all: Vec<&Queue> = existing.iter().chain(&self.queues).collect();
        self.queues.iter().try_for_each(|queue| {
            check_properties(queue, &all)?;
            check_commands(queue, &all)?;
            check_dead_letters(queue, &all)
        })
    }
}

fn check_properties(queue: &Queue, all: &[&Queue]) -> Result<(), TransportError> {
    let same_name = all.iter().filter(|other| other.name == queue.name);
    match same_name.map(|other| differences(other, queue)).find(|which| !which.is_empty()) {
        Some(which) => Err(conflict(queue, Conflict::Properties(which))),
        None => Ok(()),
    }
}

/// In what two declarations of a queue do not agree and must.
fn differences(one: &Queue, other: &Queue) -> Vec<QueueProperty> {
    let Queue { durability, max_len, dead_letters, ordered, recorder, .. } = one;
    let differing = [
        (QueueProperty::Durability, *durability != other.durability),
        (QueueProperty::Limit, *max_len != other.max_len),
        (QueueProperty::DeadLetters, *dead_letters != other.dead_letters),
        (QueueProperty::Order, *ordered != other.ordered),
        (QueueProperty::Recorder, *recorder != other.recorder),
    ];
    differing.into_iter().filter(|(_, differs)| *differs).map(|(which, _)| which).collect()
}

fn check_commands(queue: &Queue, all: &[&Queue]) -> Result<(), TransportError> {
    for binding in queue.bindings.iter().filter(|b| b.exchange == Exchange::Commands) {
        let key = &binding.pattern;
        if key.is_wild() {
            return Err(conflict(queue, Conflict::Pattern(key.clone())));
        }
        let mut others = all.iter().filter(|other| other.name != queue.name);
        if let Some(rival) = others.find(|other| other.bindings.contains(binding)) {
            let (key, worker) = (key.clone(), rival.name.clone());
            return Err(conflict(queue, Conflict::SecondWorker { key, worker }));
        }
    }
    Ok(())
}

fn check_dead_letters(queue: &Queue, all: &[&Queue]) -> Result<(), TransportError> {
    match &queue.dead_letters {
        Some(dead) if !all.iter().any(|other| other.name == *dead) => {
            Err(TransportError::Undeclared { queue: dead.clone() })
        }
        _ => Ok(()),
    }
}

fn conflict(queue: &Queue, conflict: Conflict) -> TransportError {
    TransportError::Conflict { name: queue.name.clone(), conflict }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREATE: &str = "theboard.meeting.create";

    fn declaring(queue: Queue, existing: &[Queue]) -> Result<(), TransportError> {
        Topology::new().with_queue(queue).check_against(existing)
    }

    fn reason(outcome: Result<(), TransportError>) -> String {
        match outcome {
            Err(TransportError::Conflict { name, conflict }) => format!("{name}: {conflict}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_property_must_be_the_same_and_bindings_need_not() {
        let existing = [Queue::new("q"), Queue::new("dead")];
        let bound = Queue::new("q").bind(Exchange::Events, "#".parse().unwrap());
        declaring(bound, &existing).unwrap();
        let q = || Queue::new("q");
        for (other, which) in [
            (q().temporary(), "durability"),
            (q().with_max_len(1), "limit"),
            (q().with_dead_letters("dead"), "dead letters"),
            (q().ordered(), "order"),
            (q().ordered().recorder(), "order, recorder"),
        ] {
            let said = format!("q: it exists with other properties ({which})");
            assert_eq!(reason(declaring(other, &existing)), said);
        }
        let twice = Topology::new().with_queue(q()).with_queue(q().ordered());
        reason(twice.check_against(&[]));
    }

    #[test]
    fn a_command_has_one_worker_queue() {
        let first = Queue::of_command(CREATE).unwrap();
        let mut second = first.clone();
        second.name = "second".to_owned();
        declaring(first.clone(), std::slice::from_ref(&first)).unwrap();
        let said = reason(declaring(second, &[first]));
        let worker = format!("`commands.{CREATE}`");
        assert_eq!(said, format!("second: `{CREATE}` has its worker queue, {worker}"));
        let wild = Queue::new("wild").bind(Exchange::Commands, "theboard.#".parse().unwrap());
        assert!(reason(declaring(wild, &[])).contains("`theboard.#` is a pattern"));
    }

    #[test]
    fn a_dead_letter_queue_exists_or_is_declared_with_the_others() {
        let queue = || Queue::new("q").with_dead_letters("dead");
        let missing = Err(TransportError::Undeclared { queue: "dead".to_owned() });
        assert_eq!(declaring(queue(), &[]), missing);
        declaring(queue(), &[Queue::new("dead")]).unwrap();
        let both = Topology::new().with_queue(queue()).with_queue(Queue::new("dead"));
        both.check_against(&[]).unwrap();
    }
}
