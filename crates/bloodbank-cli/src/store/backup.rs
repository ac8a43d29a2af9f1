//! `store backup` and `store restore`: a copy of everything, and a store of it.

use std::path::PathBuf;

use bloodbank::candystore::{EventStore, StoreUrl};
use clap::Args;

use crate::figures::{count_of, size};
use crate::table::say;

#[derive(Args)]
#[command(
    after_help = "Others go on reading and writing. The copy has everything that was confirmed before: \
                        events, queues and where they are, dead letters, schedules. It is verified \
                        before the file gets its name. A store on PostgreSQL is copied by `pg_dump`."
)]
pub(crate) struct Backup {
    /// The file to make; one that is there is not overwritten.
    file: PathBuf,
}

#[derive(Args)]
#[command(
    after_help = "DATABASE_URL names the store. Nobody may use it meanwhile. The same file may be \
                        restored any number of times, but only one store of it should be used: two \
                        have the same events and would give out the same positions."
)]
pub(crate) struct Restore {
    /// A file that `store backup` has made.
    file: PathBuf,
    /// Also where the store is not empty: what is in it is lost.
    #[arg(long)]
    replace: bool,
}

impl Backup {
    pub(super) async fn run(&self, store: &EventStore) -> anyhow::Result<u8> {
        let made = store.backup(&self.file).await?;
        let events = made.verified.map(|verified| count_of(verified.events, "event"));
        let what = match events {
            Some(events) => format!("{events}, all verified"),
            None => "as `pg_dump` writes it".to_owned(),
        };
        say(format_args!("{}: {}, {what}", made.file.display(), size(made.bytes)))?;
        Ok(0)
    }
}

impl Restore {
    pub(super) async fn run(&self) -> anyhow::Result<u8> {
        let url = StoreUrl::from_env()?;
        let place = url.to_string();
        let verified = EventStore::restore(url, &self.file, self.replace).await?;
        say(format_args!(
            "{place}: {} restored, all verified",
            count_of(verified.events, "event")
        ))?;
        Ok(0)
    }
}
