//! `store tail`: what was stored, then what comes.

use std::io::{self, Write};

use bloodbank::candystore::{EventStore, Followed, Start};
use clap::Args;

use super::event;
use super::which::{Keys, Where};
use crate::contracts::Source;
use crate::mask::Mask;
use crate::place::{self, Place};
use crate::table::say;

#[derive(Args)]
pub(crate) struct Tail {
    #[command(flatten)]
    keys: Keys,
    #[command(flatten)]
    fields: Where,
    /// Begin at this position, so long ago, or at a time: `1`, `10m`, `2026-01-31T12:00:00Z`.
    /// Without it, with what comes.
    #[arg(long, value_name = "POSITION|AGE|TIME", value_parser = place::parse)]
    from: Option<Place>,
    /// Whole events as JSON, one a line.
    #[arg(long)]
    json: bool,
    /// Also what contracts mark as sensitive.
    #[arg(long, requires = "json")]
    reveal: bool,
}

impl Tail {
    /// Runs until it is interrupted.
    pub(crate) async fn run(&self, store: &EventStore, source: &Source) -> anyhow::Result<u8> {
        let mask = Mask::new(source, self.reveal || !self.json)?;
        let start = match self.from {
            Some(Place::Position(position)) => Start::Position(position),
            Some(Place::Time(time)) => Start::Time(time),
            None => Start::Now,
        };
        let mut filter = self.keys.filter();
        filter.fields.clone_from(&self.fields.fields);
        let mut follow = store.follow(filter, start).await?;
        eprintln!("following {}; Ctrl-C ends", store.url());
        loop {
            let followed = tokio::select! {
                followed = follow.next() => followed?,
                interrupted = tokio::signal::ctrl_c() => {
                    interrupted?;
                    return Ok(0);
                }
            };
            self.show(&followed, &mask)?;
        }
    }

    fn show(&self, followed: &Followed, mask: &Mask) -> io::Result<()> {
        match followed {
            Followed::Event(event) if self.json => say(event::json_line(event, mask))?,
            Followed::Event(event) => say(event::line(event))?,
            Followed::Damaged(damaged) => eprintln!("{}", event::damaged(damaged)),
            Followed::Pruned(range) => eprintln!("{}", event::pruned(range)),
            other => eprintln!("note: {other:?}"),
        }
        io::stdout().flush()
    }
}
