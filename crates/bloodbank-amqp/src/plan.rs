//! What a topology is on RabbitMQ: exchanges, queues and bindings with all their arguments.
//!
//! The arguments are the same for every version from 3.10 on, so that a broker can be upgraded: one that
//! has a queue with other arguments refuses its declaration, and a program and the next may see another
//! version. Everything that a version would decide otherwise is said:
//!
//! * The type of each queue. Mirrored classic queues are gone from 4.0; lasting queues are quorum queues.
//! * The delivery limit. From 4.0 a quorum queue has one of 20 unless it says otherwise, and drops what
//!   exceeds it where there are no dead letters. 4.0 takes -1 for none and 3.x does not, so a queue
//!   without dead letters has one that no message reaches.
//! * The dead letters, which at least once (from 3.10) needs a quorum queue that refuses when it is full.
//!   A broker before 3.10 takes the argument and does not know it.
//! * Temporary queues are exclusive: 4.x deprecates those that are neither lasting nor exclusive.
//!
//! And elsewhere: the prefetch is set for each consumer, as a quorum queue ends the connection (540) on
//! one for the whole channel; attempts are counted in a header of ours, as 4.0 takes no `x-death` from
//! clients; and 4.0 refuses messages of more than 16 MiB unless `max_message_size` allows them (128 MiB
//! in 3.x), which closes the channel.

use std::time::Duration;

use bloodbank_bus::{Durability, Queue, Topology, TransportError};
use lapin::ExchangeKind;
use lapin::types::AMQPValue;

use crate::exchanges::{Exchanges, waiting_queue_of};

/// The most messages of a queue that does not say, if it is not one of events.
const MAX_LEN: usize = 1_000_000;
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

/// Messages of a queue wait here, and go back to it through the default exchange, and are only gone when
/// they have arrived. Each queue has its
/// own: where one cannot take its messages back, those of the others must not wait for that.
fn waiting_queue(queue: &str, delay: Duration) -> QueueSpec {
    let millis = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
    let mut arguments = vec![
        ("x-queue-type", text("quorum")),
        ("x-message-ttl", AMQPValue::LongLongInt(millis)),
        ("x-overflow", text("reject-publish")),
        max_length(MAX_LEN),
    ];
    arguments.extend(dead_lettering(queue, "at-least-once"));
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
    let mut arguments = if temporary { passing(queue) } else { staying(queue) };
    if !temporary && queue.ordered {
        arguments.push(("x-single-active-consumer", AMQPValue::Boolean(true)));
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

/// The most messages that a queue holds on RabbitMQ, if there is a limit.
pub(crate) fn limit_of(queue: &Queue) -> Option<usize> {
    let is_lasting = queue.durability == Durability::Durable;
    match queue.max_len {
        None if is_lasting && queue.is_of_events() => None,
        max_len => Some(max_len.unwrap_or(MAX_LEN)),
    }
}

/// Whether somebody should look after a queue: four fifths of its room are taken.
pub(crate) fn is_filling(messages: usize, limit: usize) -> bool {
    messages >= limit - limit / 5
}

/// The arguments of a temporary queue.
fn passing(queue: &Queue) -> Vec<(&'static str, AMQPValue)> {
    let mut arguments = vec![("x-overflow", text("drop-head"))];
    arguments.extend(limit_of(queue).map(max_length));
    arguments
}

/// The arguments of a lasting queue.
///
/// A queue of events never refuses one, since the publisher would learn of it, and all other queues
/// have the event already. Where it has a limit its oldest messages go to the dead letters, at most
/// once: the broker moves them without looking whether they arrive, as its way to move them at least
/// once works only with queues that refuse.
fn staying(queue: &Queue) -> Vec<(&'static str, AMQPValue)> {
    let lets_go = queue.is_of_events() && queue.max_len.is_some();
    let (overflow, strategy) =
        if lets_go { ("drop-head", "at-most-once") } else { ("reject-publish", "at-least-once") };
    let mut arguments = vec![("x-queue-type", text("quorum")), ("x-overflow", text(overflow))];
    arguments.extend(limit_of(queue).map(max_length));
    let limit = if queue.dead_letters.is_some() { DELIVERY_LIMIT } else { NO_LIMIT };
    arguments.push(("x-delivery-limit", AMQPValue::LongLongInt(limit)));
    if let Some(dead) = &queue.dead_letters {
        arguments.extend(dead_lettering(dead, strategy));
    }
    arguments
}

/// Through the default exchange.
fn dead_lettering(to: &str, strategy: &str) -> [(&'static str, AMQPValue); 3] {
    [
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text(to)),
        ("x-dead-letter-strategy", text(strategy)),
    ]
}

fn max_length(messages: usize) -> (&'static str, AMQPValue) {
    ("x-max-length", AMQPValue::LongLongInt(i64::try_from(messages).unwrap_or(i64::MAX)))
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}
