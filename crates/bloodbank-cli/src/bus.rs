//! The bus that a command works on.

use std::sync::Arc;

use bloodbank::amqp::{Amqp, AmqpConfig, BrokerHost, ConnectError, HostFailure};
use bloodbank::candystore::{Embedded, EventStore};
use bloodbank::{Contracts, Transport};

use crate::hints::Told;
use crate::store;

/// What to do where no broker is named.
pub(crate) const SET_URL: &str = "set RABBIT_URL=amqp://user:password@host:port/vhost";

/// The bus that the environment names.
pub(crate) enum Connected {
    RabbitMq(Amqp),
    /// None is named: the one in the store.
    Embedded(Embedded),
}

impl Connected {
    /// Connects to RabbitMQ where `RABBIT_URL` or `RABBIT_HOST` says so; else opens the bus in the
    /// store, and says which one that is.
    pub(crate) async fn open(contracts: Contracts) -> anyhow::Result<Self> {
        let declared = contracts.bundle().exchange.as_ref();
        if let Some(config) = AmqpConfig::from_env_and(declared)? {
            return Ok(Connected::RabbitMq(connect(config).await?));
        }
        embedded(contracts).await.map(Connected::Embedded)
    }

    /// Connects to RabbitMQ where `RABBIT_URL` or `RABBIT_HOST` says so; else the bus in this store.
    pub(crate) async fn beside(contracts: Contracts, store: &EventStore) -> anyhow::Result<Self> {
        let declared = contracts.bundle().exchange.as_ref();
        Ok(match AmqpConfig::from_env_and(declared)? {
            Some(config) => Connected::RabbitMq(connect(config).await?),
            None => Connected::Embedded(Embedded::new(store.clone())),
        })
    }

    pub(crate) fn transport(&self) -> Arc<dyn Transport> {
        match self {
            Connected::RabbitMq(amqp) => Arc::new(amqp.clone()),
            Connected::Embedded(embedded) => Arc::new(embedded.clone()),
        }
    }
}

/// Opens the bus in the store, and says which one that is.
pub(crate) async fn embedded(contracts: Contracts) -> anyhow::Result<Embedded> {
    let store = store::open(contracts).await?;
    eprintln!("note: RABBIT_URL is not set, so this is the bus in {}", store.url());
    Ok(Embedded::new(store))
}

/// A broker as people read it: ``amqp://user@host:port vhost `/` ``.
pub(crate) fn place(broker: &BrokerHost) -> String {
    let BrokerHost { user, host, port, vhost, .. } = broker;
    let scheme = if broker.tls { "amqps" } else { "amqp" };
    format!("{scheme}://{user}@{host}:{port} vhost `{vhost}`")
}

/// A broker as people read it, and what came of it.
fn failure(failure: &HostFailure) -> String {
    format!("{}: {}", place(&failure.host), failure.cause)
}

/// An error's text, with each broker as people read it.
pub(crate) fn readable(error: &ConnectError) -> String {
    match error {
        ConnectError::Refused(refused) => failure(refused),
        ConnectError::Unreachable { hosts, .. } => {
            let hosts: Vec<String> = hosts.iter().map(failure).collect();
            hosts.join("; ")
        }
        other => other.to_string(),
    }
}

/// Connects, or says for how long it was tried, and where.
pub(crate) async fn connect(config: AmqpConfig) -> anyhow::Result<Amqp> {
    Amqp::connect(config).await.map_err(|error| {
        let text = match &error {
            ConnectError::Unreachable { hosts, waited } => {
                let hosts: String =
                    hosts.iter().map(|host| format!("\n  {}", failure(host))).collect();
                format!("no connection to RabbitMQ in {waited:?}{hosts}")
            }
            refused => readable(refused),
        };
        Told::new(text, error.code()).into()
    })
}

/// Done when the user has had enough.
pub(crate) async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        // There are no signals, so nobody can interrupt.
        std::future::pending::<()>().await;
    }
}

/// Runs a command that talks to the bus.
pub(crate) fn block_on<T>(command: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(command)
}
