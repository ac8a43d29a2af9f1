//! `store tail`: what was stored, then what comes.

use std::io::{self, Write};

use bloodbank::candystore::{EventStore, Followed, Start};
use clap::Args;

use super::event;
use super::which::Keys;
use crate::table::say;
use crate::when;

#[derive(Args)]
pub(crate) struct Tail {
    #[command(flatten)]
    keys: Keys,
    /// Begin at this position, so long ago, or at a time: `1`, `10m`, `2026-01-31T12:00:00Z`.
    /// Without it, with what comes.
    #[arg(long, value_name = "POSITION|AGE|TIME", value_parser = start)]
    from: Option<Start>,
    /// Whole events as JSON, one a line.
    #[arg(long)]
    json: bool,
}

fn start(text: &str) -> Result<Start, String> {
    match text.parse() {
        Ok(position) => Ok(Start::Position(position)),
        Err(_) => when::parse(text)
            .map(Start::Time)
            .map_err(|error| format!("{error}, or a position, as in `1`")),
    }
}

impl Tail {
    /// Runs until it is interrupted.
    pub(crate) async fn run(&self, store: &EventStore) -> anyhow::Result<u8> {
        let start = self.from.unwrap_or(Start::Now);
        let mut follow = store.follow(self.keys.filter(), start).await?;
        eprintln!("following {}; Ctrl-C ends", store.url());
        loop {
            let followed = tokio::select! {
                followed = follow.next() => followed?,
                interrupted = tokio::signal::ctrl_c() => {
                    interrupted?;
                    return Ok(0);
                }
            };
            self.show(&followed)?;
        }
    }

    fn show(&self, followed: &Followed) -> io::Result<()> {
        match followed {
            Followed::Event(event) if self.json => say(event::json_line(event))?,
            Followed::Event(event) => say(event::line(event))?,
            Followed::Pruned(range) => eprintln!(
                "note: positions {} to {} were pruned; it goes on behind them",
                range.first, range.last
            ),
            other => eprintln!("note: {other:?}"),
        }
        io::stdout().flush()
    }
}
