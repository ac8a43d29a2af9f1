//! `store migrate`: the tables of the store, brought up to date.

use bloodbank::candystore::{EventStore, Migrated, StoreError, StoreOptions, StoreUrl};
use clap::Args;

use super::opened;
use crate::FINDINGS;
use crate::table::say;

#[derive(Args)]
#[command(
    after_help = "Programs that write to a store do the same when they open it, if their user may; \
                  programs that only read never do."
)]
pub(crate) struct Migrate {
    /// Only say whether something is missing; exits 100 then.
    #[arg(long)]
    check: bool,
}

impl Migrate {
    /// Exits 0; with `--check` 100 if something is missing.
    pub(crate) async fn run(&self) -> anyhow::Result<u8> {
        let url = StoreUrl::from_env()?;
        let options = StoreOptions::new(url.clone());
        if self.check {
            return check(&url, EventStore::check(options).await);
        }
        match opened(&url, EventStore::migrate(options).await)? {
            Some(migrated) => say(said(&url, migrated))?,
            None => say(format_args!("the store {url} is up to date"))?,
        }
        Ok(0)
    }
}

fn check(url: &StoreUrl, checked: Result<(), StoreError>) -> anyhow::Result<u8> {
    match checked {
        Ok(()) => {
            say(format_args!("the store {url} is up to date"))?;
            Ok(0)
        }
        Err(error @ (StoreError::Missing { .. } | StoreError::Older { .. })) => {
            say(format_args!("{error}"))?;
            Ok(FINDINGS)
        }
        Err(error) => opened(url, Err(error)),
    }
}

/// What was done.
pub(super) fn said(url: &StoreUrl, migrated: Migrated) -> String {
    match migrated {
        Migrated { from: 0, to, .. } => format!("the store {url} was made, of version {to}"),
        Migrated { from, to, .. } => {
            format!("the store {url} was migrated from version {from} to version {to}")
        }
    }
}
