//! `store`: the record of every event.

mod get;
mod record;

use anyhow::Context;
use bloodbank::candystore::{EventStore, StoreOptions, StoreUrl};
use bloodbank::{Contracts, events};
use clap::Subcommand;

use crate::bus::block_on;

#[derive(Subcommand)]
pub(crate) enum Store {
    /// Show one event, by its id or its position.
    Get(get::Get),
    /// Record what passes on RabbitMQ, until it is interrupted.
    Record,
}

impl Store {
    pub(crate) fn run(&self) -> anyhow::Result<u8> {
        block_on(async {
            let store = open(events::contracts()).await?;
            match self {
                Store::Get(get) => get.run(&store).await,
                Store::Record => record::run(&store).await,
            }
        })
    }
}

/// The store that `DATABASE_URL` names.
pub(crate) async fn open(contracts: &'static Contracts) -> anyhow::Result<EventStore> {
    let url = StoreUrl::from_env()?;
    EventStore::open(StoreOptions::new(url), contracts).await.context("there is no store")
}
