//! `store get`: one event.

use anyhow::bail;
use bloodbank::candystore::{EventStore, Position};
use bloodbank::uuid::Uuid;
use clap::Args;

use crate::table::say;

#[derive(Args)]
pub(crate) struct Get {
    /// An id, or a position.
    #[arg(value_name = "ID|POSITION")]
    which: String,
}

impl Get {
    pub(crate) async fn run(&self, store: &EventStore) -> anyhow::Result<u8> {
        let event = match (self.which.parse::<Position>(), self.which.parse::<Uuid>()) {
            (Ok(position), _) => store.at(position).await?,
            (_, Ok(id)) => store.get(id).await?,
            _ => bail!("`{}` is neither an id nor a position", self.which),
        };
        let Some(event) = event else { bail!("no event `{}` is stored", self.which) };
        say(String::from_utf8_lossy(&event.body))?;
        Ok(0)
    }
}
