//! `store quarantine`: what came with the id of another event and is not the same.

use std::io::{self, Write};

use anyhow::bail;
use bloodbank::candystore::{Difference, EventStore, Quarantined, Retried, body_field};
use bloodbank::escape_control;
use clap::{Args, Subcommand};
use serde_json::json;

use super::event::print_body;
use crate::FINDINGS;
use crate::contracts::Source;
use crate::figures::count_of;
use crate::mask::Mask;
use crate::table::{Table, say};
use crate::when;

/// How many are read at a time.
const PAGE: u64 = 100;

const DRY_RUN: &str = "a dry run; `--yes` does it";

#[derive(Subcommand)]
pub(crate) enum Quarantine {
    /// List it, oldest first; payloads only with `--json`.
    Ls(Ls),
    /// Show one message in quarantine beside the event that has its id.
    Show {
        /// Its number, as `ls` shows it.
        number: u64,
        /// Also what contracts mark as sensitive.
        #[arg(long)]
        reveal: bool,
    },
    /// Delete messages from quarantine for good. A dry run without `--yes`.
    Drop(Numbers),
    /// Store messages whose id is free by now, as the event that had it was pruned; queues get them as
    /// if they came now. A dry run without `--yes`.
    Retry(Numbers),
}

#[derive(Args)]
pub(crate) struct Ls {
    /// As JSON, one a line, with the bytes: `body`, or `body_hex` if they are not UTF-8.
    #[arg(long)]
    json: bool,
    /// Also what contracts mark as sensitive.
    #[arg(long, requires = "json")]
    reveal: bool,
    /// What came after the one of this number.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    after: u64,
    /// The most to show.
    #[arg(long, value_name = "N", default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000))]
    limit: u64,
}

/// Which messages in quarantine.
#[derive(Args)]
pub(crate) struct Numbers {
    /// Their numbers, as `ls` shows them.
    #[arg(required_unless_present = "all")]
    numbers: Vec<u64>,
    /// All of them.
    #[arg(long, conflicts_with = "numbers")]
    all: bool,
    /// Do it.
    #[arg(long)]
    yes: bool,
}

impl Quarantine {
    /// Whether what it does judges by contracts.
    pub(super) fn judges(&self) -> bool {
        matches!(self, Quarantine::Retry(Numbers { yes: true, .. }))
    }

    pub(super) fn writes(&self) -> bool {
        matches!(self, Quarantine::Drop(Numbers { yes: true, .. })) || self.judges()
    }

    pub(super) async fn run(&self, store: &EventStore, source: &Source) -> anyhow::Result<u8> {
        match self {
            Quarantine::Ls(ls) => ls.run(store, source).await,
            Quarantine::Show { number, reveal } => {
                show(store, *number, &Mask::new(source, *reveal)?).await
            }
            Quarantine::Drop(which) => which.drop(store).await,
            Quarantine::Retry(which) => which.retry(store).await,
        }
    }
}

impl Ls {
    async fn run(&self, store: &EventStore, source: &Source) -> anyhow::Result<u8> {
        let mask = Mask::new(source, self.reveal || !self.json)?;
        let all = store.quarantined(self.after, self.limit).await?;
        let heading = ["number", "came", "id", "key", "position", "differs"];
        let mut table = Table::new(heading);
        for one in &all {
            match self.json {
                true => say(as_json(one, &mask))?,
                false => add(&mut table, one),
            }
        }
        match all.last() {
            None => eprintln!("nothing in quarantine"),
            Some(_) if !self.json => table.print(&mut io::stdout().lock())?,
            Some(_) => {}
        }
        if let Some(last) = all.last()
            && all.len() as u64 == self.limit
        {
            eprintln!("there may be more: `--after {}`", last.number);
        }
        Ok(0)
    }
}

async fn show(store: &EventStore, number: u64, mask: &Mask) -> anyhow::Result<u8> {
    let Some(found) = store.quarantined_at(number).await? else {
        bail!("there is no number {number} in quarantine")
    };
    let stored = store.at(found.position).await?.filter(|stored| stored.id == found.id);
    let mut table = Table::plain();
    for (name, value) in [
        ("number", found.number.to_string()),
        ("came", when::show(found.received)),
        ("id", found.id.to_string()),
        ("kind", found.kind.as_str().to_owned()),
        ("key", found.key.clone()),
        ("position", found.position.to_string()),
        ("differs", differs(&found)),
    ] {
        table.row([name, &value]);
    }
    let out = &mut io::stdout().lock();
    table.print(out)?;
    writeln!(out, "\nin quarantine")?;
    print_body(out, &mask.body(&found.key, &found.body))?;
    if let Some(stored) = stored {
        writeln!(out, "\nstored")?;
        print_body(out, &mask.body(&stored.key, &stored.body))?;
    }
    Ok(0)
}

impl Numbers {
    /// The messages that are meant. Those that are not there are told.
    async fn found(&self, store: &EventStore) -> anyhow::Result<Vec<Quarantined>> {
        let (mut found, mut after) = (Vec::new(), 0);
        // All of them may be too many for their bodies.
        let small = |one: Quarantined| {
            let mut one = one;
            one.body = [].into();
            one
        };
        for number in &self.numbers {
            match store.quarantined_at(*number).await? {
                Some(one) => found.push(small(one)),
                None => eprintln!("there is no number {number} in quarantine"),
            }
        }
        if !self.all {
            return Ok(found);
        }
        loop {
            let page = store.quarantined(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(found) };
            after = last.number;
            found.extend(page.into_iter().map(small));
        }
    }

    async fn drop(&self, store: &EventStore) -> anyhow::Result<u8> {
        let found = self.found(store).await?;
        if self.yes {
            let numbers = found.iter().map(|one| one.number).collect();
            let gone = store.drop_quarantined(numbers).await?;
            say(format_args!("{} dropped", count_of(gone, "message")))?;
            return Ok(0);
        }
        for one in &found {
            say(format_args!("would drop {}: {} of `{}`", one.number, one.id, key_of(one)))?;
        }
        dry_run(&found)
    }

    /// Exits 100 when some are still in conflict.
    async fn retry(&self, store: &EventStore) -> anyhow::Result<u8> {
        let found = self.found(store).await?;
        let mut code = 0;
        for one in &found {
            let number = one.number;
            if !self.yes {
                match one.difference {
                    Some(_) => {
                        say(format_args!("{number} is still in conflict: {}", differs(one)))?
                    }
                    None => say(format_args!("would store {number} of `{}`", key_of(one)))?,
                }
                continue;
            }
            match store.retry_quarantined(number).await? {
                Retried::Stored(at) => say(format_args!("{number} is stored at position {at}"))?,
                Retried::Duplicate(at) => say(format_args!("{number} is the event at {at}"))?,
                Retried::Conflict(at) => {
                    code = FINDINGS;
                    say(format_args!(
                        "{number} is still in conflict with position {at}; it stays"
                    ))?;
                }
                _ => {}
            }
        }
        if self.yes { Ok(code) } else { dry_run(&found) }
    }
}

fn key_of(one: &Quarantined) -> String {
    escape_control(&one.key)
}

fn dry_run(found: &[Quarantined]) -> anyhow::Result<u8> {
    eprintln!("{}", if found.is_empty() { "nothing in quarantine" } else { DRY_RUN });
    Ok(0)
}

fn add(table: &mut Table, one: &Quarantined) {
    table.row([
        &one.number.to_string(),
        &when::show(one.received),
        &one.id.to_string(),
        &one.key,
        &one.position.to_string(),
        &differs(one),
    ]);
}

fn differs(one: &Quarantined) -> String {
    one.difference.map_or_else(|| "that one was pruned".to_owned(), |d| words(d).join(", "))
}

fn words(difference: Difference) -> Vec<&'static str> {
    let words = [
        ("kind", difference.kind),
        ("key", difference.key),
        ("data", difference.data),
        ("source", difference.source),
        ("correlation", difference.correlation),
        ("causation", difference.causation),
        ("session", difference.session),
    ];
    words.iter().filter(|(_, differs)| *differs).map(|(word, _)| *word).collect()
}

fn as_json(one: &Quarantined, mask: &Mask) -> serde_json::Value {
    let body = mask.body(&one.key, &one.body);
    let (name, body) = body_field(&body);
    json!({
        "number": one.number,
        "received": one.received,
        "id": one.id,
        "position": one.position,
        "kind": one.kind.as_str(),
        "key": one.key,
        "differs": one.difference.map(words),
        "headers": one.headers,
        "properties": one.properties,
        name: body,
    })
}
