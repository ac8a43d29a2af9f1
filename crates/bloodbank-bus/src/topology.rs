//! Queues, and what they are bound to.

use bloodbank_core::TopicPattern;

/// The topic exchanges of the bus. Every transport has them without being told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Exchange {
    /// Where events are published.
    Events,
    /// Where commands are sent.
    Commands,
}

impl Exchange {
    /// Its name on the wire, unless configured otherwise.
    pub fn name(self) -> &'static str {
        match self {
            Exchange::Events => "bloodbank.events.v1",
            Exchange::Commands => "bloodbank.commands.v1",
        }
    }
}

/// The queues that must exist before anything is published to them or read from them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Topology {
    /// In any order; dead-letter queues may come after the queues that name them.
    pub queues: Vec<Queue>,
}

impl Topology {
    /// No queues.
    pub fn new() -> Self {
        Topology::default()
    }

    /// Adds a queue.
    pub fn with_queue(mut self, queue: Queue) -> Self {
        self.queues.push(queue);
        self
    }
}

/// One queue.
///
/// On RabbitMQ a queue; on a log a named subscription: a cursor, and what is in retry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Queue {
    /// Unique on the bus. Consumers of one name compete.
    pub name: String,
    /// What it gets. A message that several bindings match comes once.
    pub bindings: Vec<Binding>,
    /// Whether it outlives its consumers.
    pub durability: Durability,
    /// The most messages it holds, delivered and not settled ones included. When it is full,
    /// publishing fails; nothing is dropped. `None` leaves it to the transport, which documents it.
    pub max_len: Option<usize>,
    /// The queue for rejected messages. `None` drops them.
    pub dead_letters: Option<String>,
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
        }
    }

    /// Binds it.
    pub fn bind(mut self, exchange: Exchange, pattern: TopicPattern) -> Self {
        self.bindings.push(Binding { exchange, pattern });
        self
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

    /// Names the queue for rejected messages. It must be declared, too.
    pub fn with_dead_letters(mut self, queue: impl Into<String>) -> Self {
        self.dead_letters = Some(queue.into());
        self
    }
}

/// A queue's claim on an exchange.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Binding {
    /// Where from.
    pub exchange: Exchange,
    /// Which routing keys.
    pub pattern: TopicPattern,
}

/// How long a queue lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// Until someone deletes it; on a broker also across restarts.
    Durable,
    /// Until its last consumer is gone.
    Temporary,
}
