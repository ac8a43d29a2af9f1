//! The contracts in force, and how they are read again.

use std::sync::{Mutex, PoisonError};

use anyhow::{Context, bail};
use bloodbank::{BundledExchange, CheckError, Contracts, LiveContracts};
use bloodbank_gateway::Reloaded;
use serde_json::Value;

use super::tls::Tls;
use crate::contracts::{Known, Origin, Source};
use crate::figures::count_of;

/// Reads the contracts, and puts them in force.
pub(super) struct Reloader {
    source: Source,
    live: LiveContracts,
    tls: Option<Tls>,
    /// On RabbitMQ, the exchange that events go to: a connection keeps it.
    exchange: Option<Option<BundledExchange>>,
    /// Held while they are read, so that the last one who asks gets the last ones.
    reading: Mutex<()>,
}

/// Reads the contracts of a schema folder, and looks whether each can be used.
///
/// # Errors
/// If there is no folder, or they have errors, with all of them.
pub(super) fn read(source: &Source) -> anyhow::Result<Known> {
    let known = source.silently()?;
    if known.origin == Origin::BuiltIn {
        bail!(
            "there is no schema folder `schemas` here or in a folder above, and a service needs contracts \
             of its own\nhelp: name the folder with `--schemas DIR` or BLOODBANK_SCHEMAS, or run the command \
             where `schemas` is"
        );
    }
    usable(&known.contracts)?;
    Ok(known)
}

/// # Errors
/// If the schema of a contract cannot be compiled, so that nothing could be judged by it.
fn usable(contracts: &Contracts) -> anyhow::Result<()> {
    let routes = contracts.bundle().contracts.iter().flat_map(|contract| contract.routes());
    for route in routes {
        if let Err(error @ CheckError::Schema { .. }) = contracts.check(&route, &Value::Null) {
            return Err(error.into());
        }
    }
    Ok(())
}

impl Reloader {
    pub(super) fn new(source: &Source, live: &LiveContracts, tls: Option<Tls>) -> Self {
        let (source, live) = (source.clone(), live.clone());
        Reloader { source, live, tls, exchange: None, reading: Mutex::default() }
    }

    /// The same for a bus whose exchange does not change while it is connected.
    pub(super) fn with_exchange(mut self) -> Self {
        self.exchange = Some(self.live.current().bundle().exchange.clone());
        self
    }

    /// Reads contracts, registry and certificate again, and puts them in force: all or nothing. What is in
    /// flight ends with those it began with.
    ///
    /// # Errors
    /// If something is wrong with them; the old ones stay.
    pub(super) fn reload(&self) -> anyhow::Result<Reloaded> {
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let new = read(&self.source).context("the old contracts stay in force")?.contracts;
        if let Some(exchange) = &self.exchange
            && *exchange != new.bundle().exchange
        {
            bail!(
                "the old contracts stay in force: registry.yaml names another exchange, and this process is \
                 connected to the old one\nhelp: start the service anew"
            );
        }
        if let Some(tls) = &self.tls {
            tls.reload().context("the old contracts and the old certificate stay in force")?;
        }
        let old = self.live.replace(new.clone());
        Ok(Reloaded::between(&old, &new))
    }
}

/// `27 contracts (1 added, 2 changed, 0 removed), 13 services`.
pub(super) fn said(reloaded: &Reloaded) -> String {
    let Reloaded { contracts, services, added, changed, removed, .. } = reloaded;
    format!(
        "{} ({} added, {} changed, {} removed), {}",
        count_of(*contracts as u64, "contract"),
        added.len(),
        changed.len(),
        removed.len(),
        count_of(*services as u64, "service"),
    )
}
