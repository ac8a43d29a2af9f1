//! `store`: the record of every event.

pub(crate) mod chain;
mod event;
mod get;
mod list;
mod record;
mod stats;
mod tail;
mod which;

use anyhow::Context;
use bloodbank::candystore::{EventStore, StoreOptions, StoreUrl};
use bloodbank::{Contracts, events};
use clap::Subcommand;

use crate::bus::block_on;

#[derive(Subcommand)]
pub(crate) enum Store {
    /// List what is stored, newest first; payloads only with `--json`.
    List(list::List),
    /// Show one event, by its id or its position.
    Get(get::Get),
    /// Draw what caused an event and what followed from it.
    Chain(chain::Chain),
    /// Count what was stored, by minute, key and source.
    Stats(stats::Stats),
    /// Show what was stored, then what comes, without a gap.
    Tail(tail::Tail),
    /// Record what passes on RabbitMQ, until it is interrupted.
    Record,
}

impl Store {
    pub(crate) fn run(&self) -> anyhow::Result<u8> {
        block_on(async {
            let store = open(events::contracts()).await?;
            match self {
                Store::List(list) => list.run(&store).await,
                Store::Get(get) => get.run(&store).await,
                Store::Chain(chain) => chain.run(&store).await,
                Store::Stats(stats) => stats.run(&store).await,
                Store::Tail(tail) => tail.run(&store).await,
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
