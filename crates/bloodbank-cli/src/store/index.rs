//! `store index`: indexes on fields of the payload.

use std::io;

use anyhow::bail;
use bloodbank::candystore::EventStore;
use clap::Subcommand;

use crate::table::{Table, say};
use crate::when;

#[derive(Subcommand)]
pub(crate) enum Index {
    /// Make an index, which `--where` then uses for texts, UUIDs and whole numbers.
    #[command(
        after_help = "It takes long where much is stored. On PostgreSQL others write meanwhile; in a \
                            SQLite file they wait. Times are found without it, as they can be written \
                            in many ways."
    )]
    Add {
        /// The field: `/meeting_id`, `/order/customer`.
        pointer: String,
    },
    /// List them.
    Ls,
    /// Remove one.
    Drop {
        /// The field.
        pointer: String,
    },
}

impl Index {
    pub(super) fn writes(&self) -> bool {
        !matches!(self, Index::Ls)
    }

    pub(super) async fn run(&self, store: &EventStore) -> anyhow::Result<u8> {
        match self {
            Index::Ls => ls(store).await?,
            Index::Add { pointer } => match store.add_payload_index(pointer).await? {
                true => say(format_args!("`{pointer}` has an index now"))?,
                false => say(format_args!("`{pointer}` has an index already"))?,
            },
            Index::Drop { pointer } => {
                if !store.drop_payload_index(pointer).await? {
                    bail!(
                        "`{pointer}` has no index\nhelp: `bloodbank store index ls` shows them all"
                    );
                }
                say(format_args!("`{pointer}` has no index any more"))?;
            }
        }
        Ok(0)
    }
}

async fn ls(store: &EventStore) -> anyhow::Result<()> {
    let all = store.payload_indexes().await?;
    if all.is_empty() {
        eprintln!("no indexes on fields of the payload");
        return Ok(());
    }
    let mut table = Table::new(["field", "made"]);
    for index in &all {
        table.row([&index.pointer, &when::show(index.made)]);
    }
    Ok(table.print(&mut io::stdout().lock())?)
}
