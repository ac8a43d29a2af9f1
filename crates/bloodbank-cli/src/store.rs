//! `store`: the record of every event.

mod backup;
pub(crate) mod chain;
pub(crate) mod event;
mod export;
mod get;
mod import;
mod index;
mod list;
mod migrate;
mod prune;
mod quarantine;
mod queues;
mod record;
mod repair_clock;
pub(crate) mod reset;
mod retention;
mod roles;
mod stats;
mod tail;
mod verify;
pub(crate) mod which;

use anyhow::Context;
use bloodbank::candystore::{EventStore, StoreError, StoreOptions, StoreUrl};
use bloodbank::{Contracts, LiveContracts};
use clap::Subcommand;

use crate::bus::block_on;
use crate::contracts::{self, Source};

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
    /// Show how far each queue of the bus in the store has read it; remove one, or move one.
    Queues(queues::Queues),
    /// Look at everything that is stored: whether it is what was stored, and all there.
    Verify(verify::Verify),
    /// Put times right that a wrong clock has given. A dry run without `--yes`.
    RepairClock(repair_clock::RepairClock),
    /// Let old events go. A dry run without `--yes`.
    Prune(prune::Prune),
    /// Indexes on fields of the payload, for `--where`.
    #[command(subcommand)]
    Index(index::Index),
    /// Show how long registry.yaml keeps events, what would go now, and when it was last carried out.
    Retention(retention::Retention),
    /// Copy everything into a file, while others go on.
    Backup(backup::Backup),
    /// Make a store of such a file.
    Restore(backup::Restore),
    /// Write events as lines of JSON.
    Export(export::Export),
    /// Store events from lines of JSON that `export` has written.
    Import(import::Import),
    /// Look at what came with the id of another event and is not the same, and empty it.
    #[command(subcommand)]
    Quarantine(quarantine::Quarantine),
    /// Make the store, or bring its tables up to date.
    Migrate(migrate::Migrate),
    /// Print what to grant to users of a store on PostgreSQL.
    Roles(roles::Roles),
}

impl Store {
    pub(crate) fn run(&self, source: &Source) -> anyhow::Result<u8> {
        match self {
            Store::Migrate(migrate) => return block_on(migrate.run()),
            Store::Roles(roles) => return roles.run(),
            _ => {}
        }
        block_on(async {
            if let Store::Restore(restore) = self {
                return restore.run().await;
            }
            let store = match self {
                Store::Import(_) | Store::Record => open(source.read_own()?.contracts).await?,
                Store::Retention(_) => open_to_read(source.read()?.contracts).await?,
                Store::Quarantine(quarantine) if quarantine.judges() => {
                    open_existing(source.read_own()?.contracts).await?
                }
                it if it.writes() => open_existing(contracts::none()).await?,
                _ => open_to_read(contracts::none()).await?,
            };
            match self {
                Store::List(list) => list.run(&store, source).await,
                Store::Get(get) => get.run(&store, source).await,
                Store::Chain(chain) => chain.run(&store).await,
                Store::Stats(stats) => stats.run(&store).await,
                Store::Tail(tail) => tail.run(&store, source).await,
                Store::Record => record::run(&store).await,
                Store::Queues(queues) => queues.run(&store).await,
                Store::Verify(verify) => verify.run(&store).await,
                Store::RepairClock(repair) => repair.run(&store).await,
                Store::Prune(prune) => prune.run(&store).await,
                Store::Index(index) => index.run(&store).await,
                Store::Retention(retention) => retention.run(&store).await,
                Store::Backup(backup) => backup.run(&store).await,
                Store::Restore(restore) => restore.run().await,
                Store::Export(export) => export.run(&store).await,
                Store::Import(import) => import.run(&store).await,
                Store::Quarantine(quarantine) => quarantine.run(&store, source).await,
                Store::Migrate(_) | Store::Roles(_) => Ok(0),
            }
        })
    }
}

impl Store {
    /// Whether it changes something in a store that is there.
    fn writes(&self) -> bool {
        match self {
            Store::Prune(prune) => prune.writes(),
            Store::Queues(queues) => queues.writes(),
            // A dry run tries it, and takes it back.
            Store::RepairClock(_) => true,
            Store::Index(index) => index.writes(),
            Store::Quarantine(quarantine) => quarantine.writes(),
            _ => false,
        }
    }
}

/// The store that `DATABASE_URL` names, for reading and writing.
pub(crate) async fn open(contracts: impl Into<LiveContracts>) -> anyhow::Result<EventStore> {
    let url = StoreUrl::from_env()?;
    let store = opened(&url, EventStore::open(StoreOptions::new(url.clone()), contracts).await)?;
    if let Some(migrated) = store.migrated().filter(|migrated| migrated.from > 0) {
        eprintln!("note: {}", migrate::said(&url, migrated));
    }
    Ok(store)
}

/// The same for who writes only what belongs to something that is in it, and makes no file: one that is
/// named wrongly would pass for an empty store.
pub(crate) async fn open_existing(contracts: Contracts) -> anyhow::Result<EventStore> {
    match StoreUrl::from_env()? {
        url @ StoreUrl::Sqlite(_) => {
            let path = StoreOptions::new(url.clone());
            match EventStore::check(path).await {
                Err(error @ (StoreError::Missing { .. } | StoreError::Foreign(_))) => {
                    opened(&url, Err(error))
                }
                _ => open(contracts).await,
            }
        }
        _ => open(contracts).await,
    }
}

/// The same for who only reads; makes and changes nothing.
pub(crate) async fn open_to_read(contracts: Contracts) -> anyhow::Result<EventStore> {
    let url = StoreUrl::from_env()?;
    opened(&url, EventStore::open_to_read(StoreOptions::new(url.clone()), contracts).await)
}

/// An error says which store it is.
fn opened<T>(url: &StoreUrl, opened: Result<T, StoreError>) -> anyhow::Result<T> {
    match opened {
        Ok(store) => Ok(store),
        // They say it themselves.
        Err(
            error @ (StoreError::Open { .. }
            | StoreError::Missing { .. }
            | StoreError::TooManyConnections { .. }
            | StoreError::NotAFile { .. }
            | StoreError::NoPostgres { .. }),
        ) => Err(error.into()),
        Err(error) => Err(error).context(url.to_string()),
    }
}
