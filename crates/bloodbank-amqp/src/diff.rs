//! What the broker has, beside what it should have.

use std::fmt;

use bloodbank_bus::{Topology, TransportError};
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;

use crate::assert::{self, Plan};
use crate::connect::{channel_error, code};
use crate::exchanges::Exchanges;
use crate::link::Generation;
use crate::wire::short;

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

/// Looks at each exchange and queue. AMQP has no way to look at bindings.
pub(crate) async fn compare(
    generation: &Generation,
    names: &Exchanges,
    topology: &Topology,
) -> Result<Vec<Difference>, TransportError> {
    let plan = Plan::of(names, topology)?;
    let mut differences = Vec::new();
    for exchange in &plan.exchanges {
        let name = &exchange.name;
        let is_there = exists(generation, async |channel| {
            assert::declare_exchange(channel, exchange, true).await
        });
        if !is_there.await? {
            differences.push(Difference::Missing { what: "exchange", name: name.clone() });
            continue;
        }
        let channel = generation.channel().await.map_err(|error| channel_error(&error))?;
        if let Err(TransportError::Conflict { reason, .. }) =
            assert::declare_exchange(&channel, exchange, false).await
        {
            differences.push(Difference::Otherwise {
                what: "exchange",
                name: name.clone(),
                reason,
            });
        }
    }
    for queue in &plan.queues {
        let name = &queue.name;
        let is_there =
            exists(generation, async |channel| assert::declare_unbound(channel, queue, true).await);
        if !is_there.await? {
            differences.push(Difference::Missing { what: "queue", name: name.clone() });
            continue;
        }
        let channel = generation.channel().await.map_err(|error| channel_error(&error))?;
        if let Err(TransportError::Conflict { reason, .. }) =
            assert::declare_unbound(&channel, queue, false).await
        {
            differences.push(Difference::Otherwise { what: "queue", name: name.clone(), reason });
        }
    }
    Ok(differences)
}

/// Each question on a channel of its own: a "no" closes it.
async fn exists(
    generation: &Generation,
    ask: impl AsyncFnOnce(&lapin::Channel) -> Result<(), TransportError>,
) -> Result<bool, TransportError> {
    let channel = generation.channel().await.map_err(|error| channel_error(&error))?;
    match ask(&channel).await {
        Ok(()) => Ok(true),
        Err(TransportError::Undeclared { .. } | TransportError::Other { .. }) => Ok(false),
        // A passive declaration of a queue that is another's.
        Err(TransportError::Conflict { .. }) => Ok(true),
        Err(error) => Err(error),
    }
}

/// How many messages wait in a queue.
pub(crate) async fn depth(generation: &Generation, queue: &str) -> Result<u32, TransportError> {
    let channel = generation.channel().await.map_err(|error| channel_error(&error))?;
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    match channel.queue_declare(short(queue)?, passive, FieldTable::default()).await {
        Ok(queue) => Ok(queue.message_count()),
        Err(error) if code(&error) == Some(404) => {
            Err(TransportError::Undeclared { queue: queue.to_owned() })
        }
        Err(error) => Err(channel_error(&error)),
    }
}
