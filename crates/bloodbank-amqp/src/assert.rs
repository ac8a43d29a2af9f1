//! Exchanges, queues and bindings, declared or looked for.

use bloodbank_bus::{Conflict, Topology, TransportError};
use bloodbank_core::Code;
use lapin::options::{
    ExchangeBindOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};

use crate::config::{AmqpConfig, Mode};
use crate::connect::{broker_error, channel_error, code};
use crate::link::Generation;
use crate::plan::{ExchangeSpec, Plan, QueueSpec};
use crate::wire::short;

/// Something that the broker does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    /// `exchange` or `queue`.
    pub(crate) what: &'static str,
    pub(crate) name: String,
}

impl Missing {
    pub(crate) fn exchange(name: impl Into<String>) -> Self {
        Missing { what: "exchange", name: name.into() }
    }

    pub(crate) fn queue(name: impl Into<String>) -> Self {
        Missing { what: "queue", name: name.into() }
    }
}

/// Declares or verifies everything, as the mode says.
pub(crate) async fn all(
    channel: &Channel,
    config: &AmqpConfig,
    topology: &Topology,
) -> Result<(), TransportError> {
    let plan = Plan::of(&config.exchanges, topology)?;
    match config.mode {
        Mode::Off => {
            // Temporary queues are nobody's but ours.
            for queue in plan.queues.iter().filter(|queue| queue.temporary) {
                declare_queue(channel, queue, false).await?;
            }
            Ok(())
        }
        Mode::Create => plan.declare(channel, false).await,
        Mode::Verify => plan.declare(channel, true).await,
    }
}

impl Plan {
    /// Declares everything, or looks whether all of it is there.
    pub(crate) async fn declare(
        &self,
        channel: &Channel,
        passive: bool,
    ) -> Result<(), TransportError> {
        for exchange in &self.exchanges {
            declare_exchange(channel, exchange, passive).await?;
        }
        if !passive {
            self.link(channel).await?;
        }
        for queue in &self.queues {
            declare_queue(channel, queue, passive && !queue.temporary).await?;
        }
        Ok(())
    }

    /// Makes all bindings anew.
    pub(crate) async fn bind(&self, channel: &Channel) -> Result<(), TransportError> {
        self.link(channel).await?;
        // A temporary queue may be gone, which is as it should be.
        for queue in self.queues.iter().filter(|queue| !queue.temporary) {
            bind_queue(channel, queue).await?;
        }
        for queue in self.queues.iter().filter(|queue| queue.temporary) {
            match bind_queue(channel, queue).await {
                Err(TransportError::Undeclared { .. }) => return Ok(()),
                bound => bound?,
            }
        }
        Ok(())
    }

    /// Binds the exchanges to each other.
    pub(crate) async fn link(&self, channel: &Channel) -> Result<(), TransportError> {
        for (source, destination) in &self.links {
            let (from, to) = (short(source)?, short(destination)?);
            let options = ExchangeBindOptions::default();
            let bound = channel.exchange_bind(to, from, "#".into(), options, FieldTable::default());
            bound.await.map_err(|error| refusal("exchange", destination, &error))?;
        }
        Ok(())
    }

    /// What the broker does not have of the exchanges, and of the lasting queues if asked for.
    pub(crate) async fn missing(
        &self,
        generation: &Generation,
        also_queues: bool,
    ) -> Result<Vec<Missing>, TransportError> {
        let mut look = Look { generation, channel: None, missing: Vec::new() };
        for exchange in &self.exchanges {
            let found = declare_exchange(look.channel().await?, exchange, true).await;
            look.note(found)?;
        }
        for queue in self.queues.iter().filter(|queue| also_queues && !queue.temporary) {
            let found = declare_unbound(look.channel().await?, queue, true).await;
            look.note(found)?;
        }
        if let Some(channel) = look.channel {
            // It closes with the connection at the latest.
            let _ = channel.close(200, "done".into()).await;
        }
        Ok(look.missing)
    }
}

/// A look at what the broker has. A "no" closes the channel.
struct Look<'g> {
    generation: &'g Generation,
    channel: Option<Channel>,
    missing: Vec<Missing>,
}

impl Look<'_> {
    async fn channel(&mut self) -> Result<&Channel, TransportError> {
        let channel = match self.channel.take() {
            Some(channel) => channel,
            None => self.generation.channel().await.map_err(|error| channel_error(&error))?,
        };
        Ok(self.channel.insert(channel))
    }

    fn note(&mut self, found: Result<(), TransportError>) -> Result<(), TransportError> {
        match found {
            Ok(()) => return Ok(()),
            Err(TransportError::NoExchange { exchange }) => {
                self.missing.push(Missing::exchange(exchange));
            }
            Err(TransportError::Undeclared { queue }) => self.missing.push(Missing::queue(queue)),
            Err(error) => return Err(error),
        }
        self.channel = None;
        Ok(())
    }
}

pub(crate) async fn declare_exchange(
    channel: &Channel,
    exchange: &ExchangeSpec,
    passive: bool,
) -> Result<(), TransportError> {
    let options = ExchangeDeclareOptions {
        passive,
        durable: exchange.durable,
        ..ExchangeDeclareOptions::default()
    };
    let mut arguments = FieldTable::default();
    if let Some(alternate) = &exchange.alternate {
        arguments
            .insert("alternate-exchange".into(), AMQPValue::LongString(alternate.as_str().into()));
    }
    let declared =
        channel.exchange_declare(short(&exchange.name)?, exchange.kind.clone(), options, arguments);
    declared.await.map_err(|error| refusal("exchange", &exchange.name, &error))
}

/// Declares a queue and binds it.
pub(crate) async fn declare_queue(
    channel: &Channel,
    queue: &QueueSpec,
    passive: bool,
) -> Result<(), TransportError> {
    declare_unbound(channel, queue, passive).await?;
    if passive { Ok(()) } else { bind_queue(channel, queue).await }
}

async fn bind_queue(channel: &Channel, queue: &QueueSpec) -> Result<(), TransportError> {
    for (exchange, pattern) in &queue.bindings {
        let (name, exchange, pattern) = (short(&queue.name)?, short(exchange)?, short(pattern)?);
        channel
            .queue_bind(name, exchange, pattern, QueueBindOptions::default(), FieldTable::default())
            .await
            .map_err(|error| refusal("queue", &queue.name, &error))?;
    }
    Ok(())
}

/// Declares a queue, or looks for it.
pub(crate) async fn declare_unbound(
    channel: &Channel,
    queue: &QueueSpec,
    passive: bool,
) -> Result<(), TransportError> {
    let options = QueueDeclareOptions {
        passive,
        durable: queue.durable,
        exclusive: queue.temporary,
        auto_delete: queue.temporary,
        nowait: false,
    };
    let mut arguments = FieldTable::default();
    for (name, value) in &queue.arguments {
        arguments.insert((*name).into(), value.clone());
    }
    let declared = channel.queue_declare(short(&queue.name)?, options, arguments).await;
    declared.map(|_| ()).map_err(|error| refusal("queue", &queue.name, &error))
}

/// Whether the broker has an exchange of this name, ours or not.
pub(crate) async fn is_exchange_there(
    generation: &Generation,
    name: &str,
) -> Result<bool, TransportError> {
    let channel = generation.channel().await.map_err(|error| channel_error(&error))?;
    let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
    // Nothing but the name counts.
    let (kind, arguments) = (ExchangeKind::Topic, FieldTable::default());
    match channel.exchange_declare(short(name)?, kind, options, arguments).await {
        Ok(()) => {
            // It closes with the connection at the latest.
            let _ = channel.close(200, "done".into()).await;
            Ok(true)
        }
        Err(error) if code(&error) == Some(404) => Ok(false),
        Err(error) => Err(refusal("exchange", name, &error)),
    }
}

/// How many messages wait in a queue.
///
/// # Errors
/// [`TransportError::Undeclared`] if there is no such queue; the channel is closed then.
pub(crate) async fn message_count(channel: &Channel, queue: &str) -> Result<u32, TransportError> {
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let looked = channel.queue_declare(short(queue)?, options, FieldTable::default()).await;
    looked.map(|queue| queue.message_count()).map_err(|error| refusal("queue", queue, &error))
}

fn conflict(name: &str, conflict: Conflict) -> TransportError {
    TransportError::Conflict { name: name.to_owned(), conflict }
}

/// What the broker has against a declaration.
fn refusal(what: &'static str, name: &str, error: &lapin::Error) -> TransportError {
    let said = match channel_error(error) {
        TransportError::Other { reason, .. } => reason,
        disconnected => return disconnected,
    };
    match code(error) {
        // The binding of a queue may lack the one or the other.
        Some(404) => match missing_exchange(&said) {
            Some(exchange) => TransportError::NoExchange { exchange: exchange.to_owned() },
            None => TransportError::Undeclared { queue: name.to_owned() },
        },
        // RESOURCE_LOCKED and PRECONDITION_FAILED.
        Some(405) => conflict(name, Conflict::Locked { reason: said }),
        Some(406) => conflict(name, Conflict::Otherwise { what, reason: said }),
        Some(403) => {
            let reason = format!("{what} `{name}`: {said}");
            TransportError::Refused { code: Code::AccessRefused, reason, again: false }
        }
        _ => broker_error(format!("{what} `{name}`: {said}")),
    }
}

/// The exchange that the broker says it does not have.
pub(crate) fn missing_exchange(said: &str) -> Option<&str> {
    let (_, rest) = said.split_once("no exchange '")?;
    rest.split_once('\'').map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_missing_exchange_is_the_one_that_the_broker_names() {
        let said = "NOT_FOUND - no exchange 'bloodbank.events.v1' in vhost '/'";
        assert_eq!(missing_exchange(said), Some("bloodbank.events.v1"));
        assert_eq!(missing_exchange("NOT_FOUND - no queue 'work' in vhost '/'"), None);
    }
}
