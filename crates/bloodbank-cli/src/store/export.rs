//! `store export`: events as lines of JSON.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use bloodbank::TopicPattern;
use bloodbank::candystore::{EventPages, EventStore, Filter, Position};
use clap::Args;

use super::event;
use super::which::Where;
use crate::FINDINGS;
use crate::figures::count_of;

#[derive(Args)]
#[command(
    after_help = "Each line has the position, when it was stored, the kind, the key, the headers, \
                        the checksum (CRC-32) and the body as it came: `body`, or `body_hex` if it is \
                        no UTF-8. Nothing is masked: what contracts mark as sensitive stands in it, \
                        so that import stores what was stored. What is damaged is told and left \
                        out; the exit code is 100 then."
)]
pub(crate) struct Export {
    /// The file to make; standard output if none is named. One that is there is not overwritten.
    file: Option<PathBuf>,
    /// From this position on.
    #[arg(long, value_name = "POSITION", default_value_t = 1)]
    from: Position,
    /// Up to this position; the last one by default.
    #[arg(long, value_name = "POSITION")]
    to: Option<Position>,
    /// Events whose keys match. May be given several times.
    #[arg(long = "key", value_name = "PATTERN")]
    keys: Vec<TopicPattern>,
    #[command(flatten)]
    fields: Where,
}

impl Export {
    pub(crate) async fn run(&self, store: &EventStore) -> anyhow::Result<u8> {
        let mut filter = Filter::new().with_first(self.from);
        filter.last = self.to;
        filter.keys.clone_from(&self.keys);
        filter.fields.clone_from(&self.fields.fields);
        let pages = store.pages(filter).await?;
        let (count, damaged) = match &self.file {
            None => write(pages, &mut io::stdout().lock()).await?,
            Some(path) => {
                let named = || format!("{} cannot be written", path.display());
                if path.exists() {
                    bail!("{} is there already\nhelp: name a new file", path.display());
                }
                let file = File::create_new(path).with_context(named)?;
                let mut out = BufWriter::new(file);
                let incomplete = || format!("{} does not have all of it", path.display());
                let written = write(pages, &mut out).await.with_context(incomplete)?;
                out.get_ref().sync_all().with_context(incomplete)?;
                written
            }
        };
        eprintln!("{} exported", count_of(count, "event"));
        Ok(if damaged == 0 { 0 } else { FINDINGS })
    }
}

/// Writes what is sound; gives how much that is, and how often something is not.
async fn write(mut pages: EventPages, out: &mut impl Write) -> anyhow::Result<(u64, usize)> {
    let (mut count, mut damaged) = (0, 0);
    loop {
        let page = pages.next().await?;
        for what in pages.take_damaged() {
            eprintln!("{}", event::damaged(&what));
            damaged += 1;
        }
        if page.is_empty() {
            out.flush()?;
            return Ok((count, damaged));
        }
        for event in page {
            writeln!(out, "{}", event.to_line())?;
            count += 1;
        }
    }
}
