//! Which declarations do not go together.

use super::{Exchange, Queue, Topology};
use crate::TransportError;

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
    let mut same_name = all.iter().filter(|other| other.name == queue.name);
    match same_name.any(|other| properties(other) != properties(queue)) {
        true => Err(conflict(queue, "it exists with other properties".to_owned())),
        false => Ok(()),
    }
}

/// What two declarations of a queue must agree in.
fn properties(queue: &Queue) -> impl PartialEq {
    let Queue { durability, max_len, dead_letters, ordered, recorder, .. } = queue;
    (*durability, *max_len, dead_letters, *ordered, *recorder)
}

fn check_commands(queue: &Queue, all: &[&Queue]) -> Result<(), TransportError> {
    for binding in queue.bindings.iter().filter(|b| b.exchange == Exchange::Commands) {
        let key = &binding.pattern;
        if key.is_wild() {
            let reason = format!("`{key}` is a pattern; a command queue names its commands");
            return Err(conflict(queue, reason));
        }
        let mut others = all.iter().filter(|other| other.name != queue.name);
        if let Some(rival) = others.find(|other| other.bindings.contains(binding)) {
            let reason = format!("`{key}` has its worker queue, `{}`", rival.name);
            return Err(conflict(queue, reason));
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

fn conflict(queue: &Queue, reason: String) -> TransportError {
    TransportError::Conflict { queue: queue.name.clone(), reason }
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
            Err(TransportError::Conflict { queue, reason }) => format!("{queue}: {reason}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_property_must_be_the_same_and_bindings_need_not() {
        let existing = [Queue::new("q"), Queue::new("dead")];
        let bound = Queue::new("q").bind(Exchange::Events, "#".parse().unwrap());
        declaring(bound, &existing).unwrap();
        let q = || Queue::new("q");
        for other in [
            q().temporary(),
            q().with_max_len(1),
            q().with_dead_letters("dead"),
            q().ordered(),
            q().recorder(),
        ] {
            assert_eq!(reason(declaring(other, &existing)), "q: it exists with other properties");
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
