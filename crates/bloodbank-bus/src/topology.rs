//! Queues, and what they are bound to.

mod check;
mod start;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bloodbank_core::{Bundle, BundledQueue, BundledService, QueueLimits, TopicPattern};
use serde::{Deserialize, Serialize};

pub use self::start::Start;
use crate::RetryPolicy;

/// The most batches of reports that wait for who keeps them.
const MOST_REPORTS: usize = 10_000;

/// The topic exchanges of the bus. Every transport has them without being told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Exchange {
    /// Where events are published.
    Events,
    /// Where commands are sent.
    Commands,
    /// Where a copy of each command goes once its worker queue has it, for the record.
    Audit,
    /// Where events of the past are published again, byte for byte, for the queues that want them so.
    Replay,
    /// Where messages go that are not due yet, on a bus that does not keep them itself.
    Scheduled,
}

impl Exchange {
    /// Every exchange.
    pub const ALL: [Exchange; 5] = [
        Exchange::Events,
        Exchange::Commands,
        Exchange::Audit,
        Exchange::Replay,
        Exchange::Scheduled,
    ];

    /// Its name on the wire, unless configured otherwise.
    pub fn name(self) -> &'static str {
        match self {
            Exchange::Events => "bloodbank.events.v1",
            Exchange::Commands => "bloodbank.commands.v1",
            Exchange::Audit => "bloodbank.commands.audit.v1",
            Exchange::Replay => "bloodbank.replay.v1",
            Exchange::Scheduled => "bloodbank.scheduled.v1",
        }
    }

    /// Whether it is an error that no queue takes a message: somebody must carry out a command,
    /// somebody must hear a replay, and a scheduler must keep what is not due yet.
    pub fn is_mandatory(self) -> bool {
        matches!(self, Exchange::Commands | Exchange::Replay | Exchange::Scheduled)
    }
}

/// The queues that must exist before anything is published to them or read from them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Topology {
    /// In any order; dead-letter queues may come after the queues that name them.
    pub queues: Vec<Queue>,
    /// How long messages of a queue may have to wait before they are tried again, by its name.
    pub delays: BTreeMap<String, BTreeSet<Duration>>,
}

impl Topology {
    /// No queues.
    pub fn new() -> Self {
        Topology::default()
    }

    /// Everything that the services of a registry need: their queues, a worker queue for each command
    /// that one of them carries out, the dead-letter queues, and the delays of the retries that the
    /// registry names for each queue, else those of the default.
    pub fn of(bundle: &Bundle) -> Self {
        let services = bundle.services.iter();
        let declared = services.flat_map(|service| {
            Queue::all_of(service).into_iter().chain(Queue::workers_of(service)).map(move |queue| {
                let policy = RetryPolicy::of_queue(service, &queue.name).unwrap_or_default();
                (queue, policy)
            })
        });
        declared.fold(Topology::new(), |topology, (queue, policy)| {
            let name = queue.name.clone();
            // Several services may handle a command, or share a queue.
            let topology = match topology.queues.contains(&queue.parked()) {
                true => topology,
                false => topology.with_parked_queue(queue),
            };
            topology.with_delays_of(name, policy.delays().iter().copied())
        })
    }

    /// Adds a queue.
    pub fn with_queue(mut self, queue: Queue) -> Self {
        self.queues.push(queue);
        self
    }

    /// Adds a queue and its dead-letter queue, `<name>.dlq`.
    pub fn with_parked_queue(self, queue: Queue) -> Self {
        let dead_letters = dead_letters_of(&queue.name);
        self.with_queue(queue.parked()).with_queue(Queue::new(dead_letters))
    }

    /// Adds the delays of a retry policy to each queue so far that has a dead-letter queue.
    pub fn with_delays(mut self, delays: impl IntoIterator<Item = Duration>) -> Self {
        let delays: BTreeSet<Duration> = delays.into_iter().collect();
        for queue in self.queues.iter().filter(|queue| queue.dead_letters.is_some()) {
            self.delays.entry(queue.name.clone()).or_default().extend(&delays);
        }
        self
    }

    /// Adds the delays of a retry policy to one queue.
    pub fn with_delays_of(
        mut self,
        queue: impl Into<String>,
        delays: impl IntoIterator<Item = Duration>,
    ) -> Self {
        self.delays.entry(queue.into()).or_default().extend(delays);
        self
    }

    /// How long messages of a queue may have to wait, the shortest time first.
    pub fn delays_of(&self, queue: &str) -> impl Iterator<Item = Duration> {
        self.delays.get(queue).into_iter().flatten().copied()
    }
}

/// The name of the dead-letter queue of a queue.
pub fn dead_letters_of(queue: &str) -> String {
    format!("{queue}.dlq")
}

/// One queue.
///
/// On RabbitMQ a queue; on a log a named subscription: a cursor, and what is in retry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Queue {
    /// Unique on the bus. Consumers of one name compete.
    pub name: String,
    /// What it gets. A message that several bindings match comes once.
    pub bindings: Vec<Binding>,
    /// Whether it outlives its consumers.
    pub durability: Durability,
    /// The most messages it holds. A queue of events that is full lets its oldest go to its dead
    /// letters, since those who publish an event must not wait for the slowest who hears it; any other
    /// queue refuses more, and publishing fails. `None` is no limit for a queue of events, and for
    /// others leaves it to the transport, which documents it. Transports may count a little late, and
    /// a log, which has the events anyway, holds nobody's events to it.
    pub max_len: Option<usize>,
    /// The queue for parked messages. `None` drops them.
    pub dead_letters: Option<String>,
    /// Whether one consumer at a time gets all of it, so that order holds across processes.
    pub ordered: bool,
    /// Whether it only records what passes: an event that no other queue wants counts as unrouted.
    pub recorder: bool,
    /// Where it begins if it is new: with what is published before it is there, where the bus has a
    /// record of that. It is no property of a queue that is there.
    #[serde(skip)]
    pub start: Start,
}

impl Queue {
    /// A durable queue that is bound to nothing.
    pub fn new(name: impl Into<String>) -> Self {
        Queue {
            name: name.into(),
            bindings: Vec::new(),
            durability: Durability::Durable,
            max_len: None,
            dead_letters: None,
            ordered: false,
            recorder: false,
            start: Start::Now,
        }
    }

    /// The queue in which a scheduler finds what is not due yet.
    pub fn of_scheduler() -> Self {
        Queue::new("bloodbank.scheduled").bind(Exchange::Scheduled, TopicPattern::everything())
    }

    /// The queue in which subscribers report what became of messages, on a bus that does not keep that
    /// itself. It is there as soon as somebody reads it. When it is full, what comes is lost.
    pub fn of_reports() -> Self {
        Queue::new("bloodbank.reports").with_max_len(MOST_REPORTS)
    }

    /// The worker queue of a command, by its routing key with version; `None` if that is not a key.
    pub fn of_command(route: &str) -> Option<Self> {
        let pattern: TopicPattern = route.parse().ok()?;
        (!pattern.is_wild())
            .then(|| Queue::new(format!("commands.{route}")).bind(Exchange::Commands, pattern))
    }

    /// The worker queues of the commands that registry.yaml lets a service carry out, with the limits
    /// that it names for them.
    pub fn workers_of(service: &BundledService) -> Vec<Self> {
        let queues = service.handles.iter().filter_map(|route| Queue::of_command(route));
        queues.map(|queue| queue.limited(&service.limits)).collect()
    }

    /// The queues that registry.yaml gives a service, bound to what it listens to, with the limits and
    /// the order that it names.
    ///
    /// A queue that is bound to every event is a recorder.
    pub fn all_of(service: &BundledService) -> Vec<Self> {
        let queue = |queue: &BundledQueue| {
            let patterns = queue.bindings.iter().filter_map(|pattern| pattern.parse().ok());
            let bind = |queue: Queue, pattern| queue.bind(Exchange::Events, pattern);
            let recorder = queue.bindings.iter().any(|pattern| pattern == "#");
            Queue {
                recorder,
                ordered: queue.ordered,
                ..patterns.fold(Queue::new(&*queue.name).limited(&queue.limits), bind)
            }
        };
        service.queues.iter().map(queue).collect()
    }

    fn limited(mut self, limits: &QueueLimits) -> Self {
        let most = limits.max_length.map(|most| usize::try_from(most).unwrap_or(usize::MAX));
        self.max_len = most.or(self.max_len);
        self
    }

    /// The same with its dead-letter queue, `<name>.dlq`.
    fn parked(&self) -> Self {
        self.clone().with_dead_letters(dead_letters_of(&self.name))
    }

    /// Whether it is a queue of events: it is bound to events and not to commands, or it is bound to
    /// nothing and has dead letters, as a queue has that is bound later, or a partition.
    pub fn is_of_events(&self) -> bool {
        let is_bound = |exchange| self.bindings.iter().any(|b| b.exchange == exchange);
        match self.bindings.is_empty() {
            true => self.dead_letters.is_some(),
            false => is_bound(Exchange::Events) && !is_bound(Exchange::Commands),
        }
    }

    /// Whether a message with this key on this exchange goes here.
    pub fn wants(&self, exchange: Exchange, key: &str) -> bool {
        self.bindings.iter().any(|b| b.exchange == exchange && b.pattern.matches(key))
    }

    /// Binds it.
    pub fn bind(mut self, exchange: Exchange, pattern: TopicPattern) -> Self {
        self.bindings.push(Binding { exchange, pattern });
        self
    }

    /// Binds it to replays of the events that it is bound to so far.
    pub fn hear_replays(mut self) -> Self {
        let events = self.bindings.iter().filter(|binding| binding.exchange == Exchange::Events);
        let replay = |binding: &Binding| Binding { exchange: Exchange::Replay, ..binding.clone() };
        let replays: Vec<Binding> = events.map(replay).collect();
        self.bindings.extend(replays);
        self
    }

    /// Adds the bindings of another declaration of the same queue, those that are new.
    pub fn add_bindings_of(&mut self, other: &Queue) {
        for binding in &other.bindings {
            if !self.bindings.contains(binding) {
                self.bindings.push(binding.clone());
            }
        }
    }

    /// Makes it go with its last consumer.
    pub fn temporary(mut self) -> Self {
        self.durability = Durability::Temporary;
        self
    }

    /// Limits the messages it holds.
    pub fn with_max_len(mut self, messages: usize) -> Self {
        self.max_len = Some(messages);
        self
    }

    /// Lets one consumer at a time have all of it; the others wait.
    pub fn ordered(mut self) -> Self {
        self.ordered = true;
        self
    }

    /// Sets where it begins if it is new.
    pub fn with_start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Makes it one that only records what passes.
    pub fn recorder(mut self) -> Self {
        self.recorder = true;
        self
    }

    /// Names the queue for parked messages. It must be declared, too.
    pub fn with_dead_letters(mut self, queue: impl Into<String>) -> Self {
        self.dead_letters = Some(queue.into());
        self
    }
}

/// A queue's claim on an exchange.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Binding {
    /// Where from.
    pub exchange: Exchange,
    /// Which routing keys.
    pub pattern: TopicPattern,
}

/// How long a queue lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Durability {
    /// Until someone deletes it; on a broker also across restarts.
    Durable,
    /// Until its last consumer is gone.
    Temporary,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_the_same_after_the_way_through_json() {
        let queue = Queue::new("q")
            .bind(Exchange::Events, "llm.#".parse().unwrap())
            .hear_replays()
            .temporary()
            .with_max_len(7)
            .with_dead_letters("q.dlq");
        let text = serde_json::to_string(&queue).unwrap();
        let expected = r##"{"name":"q","bindings":[{"exchange":"events","pattern":"llm.#"},"##
            .to_owned()
            + r##"{"exchange":"replay","pattern":"llm.#"}],"durability":"temporary","##
            + r##""max_len":7,"dead_letters":"q.dlq","ordered":false,"recorder":false}"##;
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_str::<Queue>(&text).unwrap(), queue);
        assert!(serde_json::from_str::<Queue>(&text.replace("llm.#", "llm..x")).is_err());
    }

    #[test]
    fn a_queue_of_events_is_bound_to_events_or_to_nothing_yet() {
        let on = |exchange| Queue::new("q").bind(exchange, TopicPattern::everything()).parked();
        let events = on(Exchange::Events);
        assert!(events.is_of_events() && events.clone().hear_replays().is_of_events());
        assert!(!events.bind(Exchange::Commands, TopicPattern::everything()).is_of_events());
        assert!(Queue::new("q").parked().is_of_events() && !Queue::new("q.dlq").is_of_events());
        for other in [Exchange::Commands, Exchange::Audit, Exchange::Replay, Exchange::Scheduled] {
            assert!(!on(other).is_of_events(), "{other:?}");
        }
    }

    #[test]
    fn only_what_is_bound_to_events_hears_their_replays() {
        let pattern = |text: &str| text.parse().unwrap();
        let queue = Queue::new("q")
            .bind(Exchange::Events, pattern("llm.*"))
            .bind(Exchange::Commands, pattern("theboard.meeting.create"))
            .hear_replays();
        assert!(queue.wants(Exchange::Replay, "llm.prompt"));
        assert!(!queue.wants(Exchange::Replay, "theboard.meeting.create"));
        assert_eq!(queue.bindings.len(), 3);
    }
}
