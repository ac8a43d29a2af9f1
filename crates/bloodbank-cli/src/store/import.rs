//! `store import`: events from lines of JSON.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use bloodbank::candystore::{Appended, EventStore, Incoming};
use clap::Args;

use crate::FINDINGS;
use crate::figures::{count, count_of};
use crate::table::say;

/// The most events that are stored at once.
const MOST_EVENTS: usize = 1_000;

/// Events are stored when their lines have this many bytes together.
const MOST_BYTES: usize = 8 << 20;

/// What some editors write before the first line.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// The longest line that is read, in bytes.
const LONGEST: u64 = 256 << 20;

#[derive(Args)]
#[command(
    after_help = "What is stored already is not stored again, so the same file may be imported \
                        twice. Positions are given anew; times are kept, unless they lie before the \
                        last one of the store.\nExits 100 when lines were faulty, or events in \
                        conflict with stored ones."
)]
pub(crate) struct Import {
    /// The files, one after the other; `-`, or none, is standard input.
    files: Vec<PathBuf>,
}

/// What became of the lines.
#[derive(Default)]
struct Imported {
    stored: u64,
    duplicates: u64,
    conflicts: u64,
    faulty: u64,
}

impl Import {
    /// Exits 100 when lines were faulty or events in conflict with stored ones.
    pub(crate) async fn run(&self, store: &EventStore) -> anyhow::Result<u8> {
        let mut imported = Imported::default();
        let stdin = [PathBuf::from("-")];
        for path in if self.files.is_empty() { &stdin[..] } else { &self.files } {
            let named = || format!("{} cannot be read", path.display());
            if path == Path::new("-") {
                imported.read(store, "-", io::stdin().lock()).await?;
            } else {
                let file = BufReader::new(File::open(path).with_context(named)?);
                imported.read(store, &path.display().to_string(), file).await?;
            }
        }
        say(format_args!(
            "{} stored, {} there already, {}, {}",
            count(imported.stored),
            count(imported.duplicates),
            count_of(imported.conflicts, "conflict"),
            count_of(imported.faulty, "faulty line"),
        ))?;
        if imported.conflicts > 0 {
            eprintln!("`bloodbank store quarantine ls` shows what is in conflict");
        }
        Ok(if imported.conflicts + imported.faulty > 0 { FINDINGS } else { 0 })
    }
}

impl Imported {
    async fn read(
        &mut self,
        store: &EventStore,
        name: &str,
        mut input: impl BufRead,
    ) -> anyhow::Result<()> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for number in 1_u64.. {
            let line =
                next_line(&mut input, LONGEST).with_context(|| format!("{name}:{number}"))?;
            let Some(mut line) = line else { break };
            if let (1, Ok(line)) = (number, &mut line)
                && line.starts_with(BOM)
            {
                line.drain(..BOM.len());
            }
            bytes += line.as_ref().map_or(0, Vec::len);
            match line.and_then(|line| parsed(&line)) {
                Ok(event) => batch.extend(event.map(|event| (number, event))),
                Err(fault) => {
                    self.faulty += 1;
                    eprintln!("{name}:{number}: {fault}");
                }
            }
            if batch.len() == MOST_EVENTS || bytes >= MOST_BYTES {
                self.append(store, name, std::mem::take(&mut batch)).await?;
                bytes = 0;
            }
        }
        self.append(store, name, batch).await
    }

    async fn append(
        &mut self,
        store: &EventStore,
        name: &str,
        batch: Vec<(u64, Incoming)>,
    ) -> anyhow::Result<()> {
        let (numbers, batch): (Vec<u64>, Vec<Incoming>) = batch.into_iter().unzip();
        for (number, appended) in numbers.into_iter().zip(store.append(batch).await?) {
            match appended {
                Appended::Stored(_) => self.stored += 1,
                Appended::Duplicate(_) => self.duplicates += 1,
                Appended::Conflict(position) => {
                    self.conflicts += 1;
                    eprintln!(
                        "{name}:{number}: the event at position {position} has this id and is another \
                         one; this one lies in quarantine"
                    );
                }
            }
        }
        Ok(())
    }
}

/// The event of a line; none if the line is empty.
fn parsed(line: &[u8]) -> Result<Option<Incoming>, String> {
    if line.trim_ascii().is_empty() {
        return Ok(None);
    }
    Incoming::from_line(line).map(Some).map_err(|error| error.to_string())
}

/// The next line, or that it is longer than `longest`, its line break included.
fn next_line(
    input: &mut impl BufRead,
    longest: u64,
) -> io::Result<Option<Result<Vec<u8>, String>>> {
    let mut line = Vec::new();
    input.by_ref().take(longest).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    // At the very end of the input a line needs no break.
    let is_cut = line.last() != Some(&b'\n') && !input.fill_buf()?.is_empty();
    if is_cut {
        input.skip_until(b'\n')?;
        return Ok(Some(Err(format!("expected a line of at most {} bytes", count(longest)))));
    }
    Ok(Some(Ok(line)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_line_that_is_too_long_is_skipped_and_the_next_one_is_read() {
        let mut input = &b"abc\nabcd\n\nabcdefgh\nabcd"[..];
        let mut lines = Vec::new();
        while let Some(line) = next_line(&mut input, 4).unwrap() {
            lines.push(line.map(|line| String::from_utf8(line).unwrap()).ok());
        }
        let expected = [Some("abc\n"), None, Some("\n"), None, Some("abcd")];
        assert_eq!(lines, expected.map(|line| line.map(str::to_owned)));
    }
}
