//! What the broker has, beside what it should have.

use std::fmt;
use std::time::Duration;

use bloodbank_bus::{Conflict, Topology, TransportError};
use lapin::types::AMQPValue;
use lapin::{Channel, ExchangeKind};

use crate::assert;
use crate::connect::channel_error;
use crate::exchanges::Exchanges;
use crate::link::Generation;
use crate::plan::{Plan, QueueSpec};

/// Something that the broker lacks, or has otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// It is not there.
    Missing {
        /// `exchange` or `queue`.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// It is there with other properties.
    Otherwise {
        /// `exchange` or `queue`.
        what: &'static str,
        /// Its name.
        name: String,
        /// What the broker says.
        reason: String,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Missing { what, name } => write!(f, "{what} `{name}` is missing"),
            Difference::Otherwise { what, name, reason } => {
                write!(f, "{what} `{name}` has other properties: {reason}")
            }
        }
    }
}

/// All that is declared for a topology.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Planned {
    /// Those of events first.
    pub exchanges: Vec<PlannedExchange>,
    /// In the order in which they are declared.
    pub queues: Vec<PlannedQueue>,
}

/// An exchange as it is declared.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedExchange {
    /// Its name.
    pub name: String,
    /// `topic`, `fanout`, …
    pub kind: String,
    /// For people: what goes there.
    pub purpose: &'static str,
}

/// A queue as it is declared.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedQueue {
    /// Its name.
    pub name: String,
    /// `quorum` or `classic`.
    pub kind: String,
    /// The most messages that it holds.
    pub max_len: Option<u64>,
    /// Whether the oldest messages go when it is full; else it takes no more.
    pub drops_oldest: bool,
    /// How long messages wait in it for their next attempt, if that is what it is for.
    pub waits: Option<Duration>,
}

/// What is declared for a topology: its queues, and what they hang on.
///
/// # Errors
/// Those of [`Topology::check_against`], where nothing exists.
pub fn plan(names: &Exchanges, topology: &Topology) -> Result<Planned, TransportError> {
    let plan = Plan::of(names, topology)?;
    let (listeners, unrouted) = (names.listeners(), names.unrouted());
    let purposes = [
        (&names.events, "events, as they are published"),
        (&listeners, "the same events, for the queues that listen"),
        (&unrouted, "events that nobody listens to"),
        (&names.commands, "commands"),
        (&names.audit, "a copy of each command that was sent"),
        (&names.replay, "events of the past, published again"),
        (&names.scheduled, "messages that are not due yet"),
    ];
    let planned = |(name, purpose): &(&String, &'static str)| {
        let exchange = plan.exchanges.iter().find(|exchange| exchange.name == **name)?;
        let (name, kind) = (exchange.name.clone(), kind_name(&exchange.kind));
        Some(PlannedExchange { name, kind, purpose })
    };
    Ok(Planned {
        exchanges: purposes.iter().filter_map(planned).collect(),
        queues: plan.queues.iter().map(planned_queue).collect(),
    })
}

fn kind_name(kind: &ExchangeKind) -> String {
    match kind {
        ExchangeKind::Custom(name) => name,
        ExchangeKind::Direct => "direct",
        ExchangeKind::Fanout => "fanout",
        ExchangeKind::Headers => "headers",
        ExchangeKind::Topic => "topic",
    }
    .to_owned()
}

fn planned_queue(queue: &QueueSpec) -> PlannedQueue {
    let argument = |name: &str| {
        queue.arguments.iter().find(|(argument, _)| *argument == name).map(|(_, value)| value)
    };
    let text = |name: &str| match argument(name) {
        Some(AMQPValue::LongString(text)) => {
            Some(String::from_utf8_lossy(text.as_bytes()).into_owned())
        }
        _ => None,
    };
    let number = |name: &str| match argument(name) {
        Some(AMQPValue::LongLongInt(number)) => u64::try_from(*number).ok(),
        _ => None,
    };
    PlannedQueue {
        name: queue.name.clone(),
        kind: text("x-queue-type").unwrap_or_else(|| "classic".to_owned()),
        max_len: number("x-max-length"),
        drops_oldest: text("x-overflow").as_deref() != Some("reject-publish"),
        waits: number("x-message-ttl").map(Duration::from_millis),
    }
}

/// Looks at each exchange and queue. AMQP has no way to look at bindings.
pub(crate) async fn compare(
    generation: &Generation,
    names: &Exchanges,
    topology: &Topology,
) -> Result<Vec<Difference>, TransportError> {
    let plan = Plan::of(names, topology)?;
    let mut differences = Vec::new();
    for exchange in &plan.exchanges {
        let declare = async |channel: &Channel, passive| {
            assert::declare_exchange(channel, exchange, passive).await
        };
        differences.extend(difference(generation, "exchange", &exchange.name, declare).await?);
    }
    for queue in &plan.queues {
        let declare = async |channel: &Channel, passive| {
            assert::declare_unbound(channel, queue, passive).await
        };
        differences.extend(difference(generation, "queue", &queue.name, declare).await?);
    }
    Ok(differences)
}

/// Whether something is there, and then whether the broker takes our declaration of it.
async fn difference(
    generation: &Generation,
    what: &'static str,
    name: &str,
    declare: impl AsyncFn(&Channel, bool) -> Result<(), TransportError>,
) -> Result<Option<Difference>, TransportError> {
    let name = name.to_owned();
    if !exists(generation, &declare).await? {
        return Ok(Some(Difference::Missing { what, name }));
    }
    let channel = generation.channel().await.map_err(|error| channel_error(&error))?;
    Ok(match declare(&channel, false).await {
        Err(TransportError::Conflict { conflict, .. }) => {
            let reason = match conflict {
                Conflict::Otherwise { reason, .. } | Conflict::Locked { reason } => reason,
                // These rules were asked before the broker was.
                other => other.to_string(),
            };
            Some(Difference::Otherwise { what, name, reason })
        }
        _ => None,
    })
}

/// Each question on a channel of its own: a "no" closes it.
async fn exists(
    generation: &Generation,
    declare: impl AsyncFn(&Channel, bool) -> Result<(), TransportError>,
) -> Result<bool, TransportError> {
    let channel = generation.channel().await.map_err(|error| channel_error(&error))?;
    match declare(&channel, true).await {
        Ok(()) => Ok(true),
        Err(TransportError::Undeclared { .. } | TransportError::NoExchange { .. }) => Ok(false),
        // A passive declaration of a queue that is another's.
        Err(TransportError::Conflict { .. }) => Ok(true),
        Err(error) => Err(error),
    }
}
