//! The bus that a command works on.

use std::sync::Arc;

use anyhow::anyhow;
use bloodbank::amqp::{Amqp, AmqpConfig};
use bloodbank::{InMemory, Transport};

/// The bus that the environment names.
pub(crate) enum Connected {
    RabbitMq(Amqp),
    /// None is named: one that ends with this command.
    InMemory(InMemory),
}

impl Connected {
    /// Connects to RabbitMQ where `RABBIT_URL` or `RABBIT_HOST` says so; else says plainly that the
    /// bus is one in memory.
    pub(crate) async fn open() -> anyhow::Result<Self> {
        match AmqpConfig::from_env()? {
            Some(config) => Ok(Connected::RabbitMq(Amqp::connect(config).await?)),
            None => {
                eprintln!(
                    "note: neither RABBIT_URL nor RABBIT_HOST is set, so this is a bus in memory: \
                     it ends with this command, and nobody else is on it"
                );
                Ok(Connected::InMemory(InMemory::new()))
            }
        }
    }

    /// Connects to RabbitMQ, for commands that mean nothing without it.
    pub(crate) async fn rabbitmq() -> anyhow::Result<Amqp> {
        match Connected::open_config()? {
            Some(config) => Ok(Amqp::connect(config).await?),
            None => Err(anyhow!(
                "no RabbitMQ is configured: set RABBIT_URL=amqp://user:password@host:port/vhost"
            )),
        }
    }

    fn open_config() -> anyhow::Result<Option<AmqpConfig>> {
        Ok(AmqpConfig::from_env()?)
    }

    pub(crate) fn transport(&self) -> Arc<dyn Transport> {
        match self {
            Connected::RabbitMq(amqp) => Arc::new(amqp.clone()),
            Connected::InMemory(memory) => Arc::new(memory.clone()),
        }
    }
}

/// Runs a command that talks to the bus.
pub(crate) fn block_on<T>(command: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(command)
}
