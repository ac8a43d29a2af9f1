//! What a topology is on RabbitMQ: exchanges, queues and bindings with all their arguments.

use bloodbank_bus::{Durability, Queue, Topology, TransportError};
use lapin::ExchangeKind;
use lapin::types::AMQPValue;
use std::time::Duration;

use crate::exchanges::{Exchanges, waiting_queue_of};

/// The most messages of a queue that does not say.
pub(crate) const MAX_LEN: usize = 1_000_000;
/// How often a message may come back without an answer before the broker parks it. Far more than
/// subscribers allow: the broker also counts what was delivered and not begun, and what a process is
/// still at whose connection was cut.
const DELIVERY_LIMIT: i64 = 200;
/// The same where there is no place to park: there the broker would drop it.
const NO_LIMIT: i64 = i32::MAX as i64;
/// The most unrouted events that are kept; the oldest go first.
const MAX_UNROUTED: i64 = 10_000;

/// An exchange as it is declared.
pub(crate) struct ExchangeSpec {
    pub(crate) name: String,
    pub(crate) kind: ExchangeKind,
    pub(crate) durable: bool,
    pub(crate) alternate: Option<String>,
}

/// A queue as it is declared.
pub(crate) struct QueueSpec {
    pub(crate) name: String,
    pub(crate) durable: bool,
    pub(crate) temporary: bool,
    pub(crate) arguments: Vec<(&'static str, AMQPValue)>,
    /// Exchange and pattern.
    pub(crate) bindings: Vec<(String, String)>,
}

/// All that a topology needs, in the order in which it is declared.
pub(crate) struct Plan {
    pub(crate) exchanges: Vec<ExchangeSpec>,
    /// Source and destination; everything passes.
    pub(crate) links: Vec<(String, String)>,
    pub(crate) queues: Vec<QueueSpec>,
}

impl Plan {
    /// # Errors
    /// Those of [`Topology::check_against`].
    pub(crate) fn of(names: &Exchanges, topology: &Topology) -> Result<Self, TransportError> {
        topology.check_against(&[])?;
        let unrouted = names.unrouted();
        let exchange = |name: &str, kind, alternate: Option<&str>| ExchangeSpec {
            name: name.to_owned(),
            kind,
            durable: true,
            alternate: alternate.map(str::to_owned),
        };
        let mut exchanges = vec![exchange(&unrouted, ExchangeKind::Fanout, None)];
        let mut links = Vec::new();
        let mut entry = exchange(&names.events, names.kind(), None);
        entry.durable = names.durable;
        if names.is_topic() {
            let listeners = names.listeners();
            exchanges.push(exchange(&listeners, ExchangeKind::Topic, Some(&unrouted)));
            links.push((names.events.clone(), listeners));
        } else {
            entry.alternate = Some(unrouted.clone());
        }
        exchanges.push(entry);
        exchanges.push(exchange(&names.commands, ExchangeKind::Topic, None));
        exchanges.push(exchange(&names.audit, ExchangeKind::Topic, None));
        exchanges.push(exchange(&names.replay, ExchangeKind::Topic, None));
        exchanges.push(exchange(&names.scheduled, ExchangeKind::Topic, None));
        let mut queues = vec![unrouted_queue(unrouted)];
        // Dead-letter queues first: a message must have a place to go from the start.
        let (last, first): (Vec<&Queue>, Vec<&Queue>) =
            topology.queues.iter().partition(|queue| queue.dead_letters.is_some());
        queues.extend(first.iter().chain(&last).map(|queue| queue_spec(names, queue)));
        for queue in last {
            let delays = topology.delays_of(&queue.name);
            queues.extend(delays.map(|delay| waiting_queue(&queue.name, delay)));
        }
        Ok(Plan { exchanges, links, queues })
    }
}

fn unrouted_queue(name: String) -> QueueSpec {
    QueueSpec {
        durable: true,
        temporary: false,
        arguments: vec![
            ("x-queue-type", text("quorum")),
            ("x-max-length", AMQPValue::LongLongInt(MAX_UNROUTED)),
            ("x-overflow", text("drop-head")),
            ("x-delivery-limit", AMQPValue::LongLongInt(NO_LIMIT)),
        ],
        bindings: vec![(name.clone(), String::new())],
        name,
    }
}

/// Messages of a queue wait here, and go back to it through the default exchange. Each queue has its
/// own: where one cannot take its messages back, those of the others must not wait for that.
fn waiting_queue(queue: &str, delay: Duration) -> QueueSpec {
    let millis = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
    let mut arguments = vec![("x-message-ttl", AMQPValue::LongLongInt(millis))];
    arguments.extend(lasting(MAX_LEN));
    arguments.extend(dead_lettering(queue));
    QueueSpec {
        name: waiting_queue_of(queue, delay),
        durable: true,
        temporary: false,
        arguments,
        bindings: Vec::new(),
    }
}

fn queue_spec(names: &Exchanges, queue: &Queue) -> QueueSpec {
    let temporary = queue.durability == Durability::Temporary;
    let max_len = queue.max_len.unwrap_or(MAX_LEN);
    let mut arguments = Vec::new();
    if temporary {
        arguments.push(("x-max-length", AMQPValue::LongLongInt(length(max_len))));
        arguments.push(("x-overflow", text("drop-head")));
    } else {
        arguments.extend(lasting(max_len));
        let limit = if queue.dead_letters.is_some() { DELIVERY_LIMIT } else { NO_LIMIT };
        arguments.push(("x-delivery-limit", AMQPValue::LongLongInt(limit)));
        if let Some(dead) = &queue.dead_letters {
            arguments.extend(dead_lettering(dead));
        }
        if queue.ordered {
            arguments.push(("x-single-active-consumer", AMQPValue::Boolean(true)));
        }
    }
    let bindings = queue.bindings.iter().map(|binding| {
        (names.listening(binding.exchange, queue.recorder), binding.pattern.to_string())
    });
    QueueSpec {
        name: queue.name.clone(),
        durable: !temporary,
        temporary,
        arguments,
        bindings: bindings.collect(),
    }
}

/// A queue that survives, and says no when it is full.
fn lasting(max_len: usize) -> [(&'static str, AMQPValue); 3] {
    [
        ("x-queue-type", text("quorum")),
        ("x-max-length", AMQPValue::LongLongInt(length(max_len))),
        ("x-overflow", text("reject-publish")),
    ]
}

/// Through the default exchange, and only gone when it has arrived.
fn dead_lettering(to: &str) -> [(&'static str, AMQPValue); 3] {
    [
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text(to)),
        ("x-dead-letter-strategy", text("at-least-once")),
    ]
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn length(messages: usize) -> i64 {
    i64::try_from(messages).unwrap_or(i64::MAX)
}
