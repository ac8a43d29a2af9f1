//! The bus that a command works on.

use std::sync::Arc;

use anyhow::anyhow;
use bloodbank::amqp::{Amqp, AmqpConfig, ConfigError, ConnectError};
use bloodbank::candystore::Embedded;
use bloodbank::{Contracts, Transport};

use crate::store;

/// What to do where no broker is named.
pub(crate) const SET_URL: &str = "set RABBIT_URL=amqp://user:password@host:port/vhost";
/// What to do about a URL that is none.
pub(crate) const ENCODE: &str = "special characters in user, password and vhost are \
                                 percent-encoded: `@` is `%40`, `:` is `%3A`, `/` is `%2F`";

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
        if let Some(config) = explained(AmqpConfig::from_env_and(declared))? {
            return Ok(Connected::RabbitMq(connect(config).await?));
        }
        embedded(contracts).await.map(Connected::Embedded)
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

/// The configuration, or what is wrong with it and what to do about a wrong URL.
pub(crate) fn explained(
    config: Result<Option<AmqpConfig>, ConfigError>,
) -> anyhow::Result<Option<AmqpConfig>> {
    config.map_err(|error| match error.faults.iter().any(|fault| is_of_url(fault)) {
        true => anyhow!("{error}\nhelp: {ENCODE}"),
        false => error.into(),
    })
}

/// Whether a fault is one of `RABBIT_URL`.
pub(crate) fn is_of_url(fault: &str) -> bool {
    fault.starts_with("RABBIT_URL")
}

/// Each broker as a part of errors, and as people read it: ``amqp://user@host:port vhost `/` ``.
pub(crate) fn places(config: &AmqpConfig) -> Vec<(String, String)> {
    let shown = config.shown_hosts().into_iter().zip(config.addresses());
    let place = |(shown, (host, port, _)): (String, (String, u16, bool))| {
        let place = match shown.split_once(&format!("@{host}:{port}/")) {
            Some((user, vhost)) => format!("{user}@{host}:{port} vhost `{vhost}`"),
            None => shown.clone(),
        };
        (shown, place)
    };
    shown.map(place).collect()
}

/// An error's text, with each broker as people read it.
pub(crate) fn readable(places: &[(String, String)], error: &str) -> String {
    places.iter().fold(error.to_owned(), |text, (shown, place)| {
        text.replace(&format!("{shown}: "), &format!("{place}: "))
    })
}

/// Connects, or says for how long it was tried, and where.
pub(crate) async fn connect(config: AmqpConfig) -> anyhow::Result<Amqp> {
    let (places, patience) = (places(&config), config.patience);
    Amqp::connect(config).await.map_err(|error| match error {
        ConnectError::Unreachable { reason } => {
            let reason = readable(&places, &reason);
            let mut lines: Vec<String> =
                reason.split("; ").map(|line| format!("\n  {line}")).collect();
            let silent = places.iter().filter(|(_, place)| !reason.contains(&**place));
            lines.extend(silent.map(|(_, place)| format!("\n  {place}: no answer yet")));
            anyhow!(
                "no connection to RabbitMQ in {patience:?}{}\nhelp: `bloodbank doctor` looks at \
                 hosts, user and vhost one by one",
                lines.concat()
            )
        }
        error => anyhow!("{}", readable(&places, &error.to_string())),
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
