//! `store get`: one event.

use std::io::{self, Write};
use std::str::FromStr;

use anyhow::bail;
use bloodbank::candystore::{EventStore, Position, StoredEvent};
use bloodbank::uuid::Uuid;
use clap::Args;

use super::event;
use crate::contracts::Source;
use crate::figures::count_of;
use crate::mask::Mask;
use crate::table::{Table, say};
use crate::when;

/// An id, or a position.
#[derive(Clone, Copy)]
enum IdOrPosition {
    Id(Uuid),
    Position(Position),
}

impl FromStr for IdOrPosition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text.parse(), text.parse()) {
            (Ok(position), _) => Ok(IdOrPosition::Position(position)),
            (_, Ok(id)) => Ok(IdOrPosition::Id(id)),
            _ => Err("expected an id (a UUID) or a position (a number)".to_owned()),
        }
    }
}

#[derive(Args)]
pub(crate) struct Get {
    /// An id, or a position.
    #[arg(value_name = "ID|POSITION")]
    which: IdOrPosition,
    /// Only the bytes, as they came; with `--reveal`, where contracts mark anything as sensitive.
    #[arg(long, conflicts_with = "json")]
    raw: bool,
    /// Also what contracts mark as sensitive.
    #[arg(long)]
    reveal: bool,
    /// As JSON, on one line.
    #[arg(long)]
    json: bool,
}

impl Get {
    pub(crate) async fn run(&self, store: &EventStore, source: &Source) -> anyhow::Result<u8> {
        let mask = Mask::new(source, self.reveal)?;
        let (found, name) = match self.which {
            IdOrPosition::Position(position) => {
                (store.at(position).await?, format!("at position {position}"))
            }
            IdOrPosition::Id(id) => (store.get(id).await?, format!("with the id {id}")),
        };
        let Some(event) = found else { bail!("no event {name} is stored") };
        match (self.raw, self.json) {
            (true, _) => io::stdout().lock().write_all(&mask.body(&event.key, &event.body))?,
            (_, true) => say(event::json_line(&event, &mask))?,
            _ => show(&event, &mask)?,
        }
        Ok(0)
    }
}

fn show(event: &StoredEvent, mask: &Mask) -> io::Result<()> {
    let out = &mut io::stdout().lock();
    facts(event).print(out)?;
    if !event.headers.is_empty() {
        writeln!(out, "\nheaders")?;
        let mut headers = Table::plain();
        for (name, value) in &event.headers {
            headers.row([&format!("  {name}"), &value.to_string()]);
        }
        headers.print(out)?;
    }
    if let Some(properties) = &event.properties {
        writeln!(out, "\nproperties")?;
        let mut rows = Table::plain();
        let said = serde_json::to_value(properties)?;
        for (name, value) in said.as_object().into_iter().flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            rows.row([&format!("  {name}"), &value]);
        }
        rows.print(out)?;
    }
    writeln!(out)?;
    event::print_body(out, &mask.body(&event.key, &event.body))
}

fn facts(event: &StoredEvent) -> Table {
    let mut table = Table::plain();
    let mut fact = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            table.row([name, &value]);
        }
    };
    let standing = match &event.violation {
        Some(violation) => format!("{}: {violation}", event.standing),
        None => event.standing.to_string(),
    };
    fact("position", Some(event.position.to_string()));
    fact("id", Some(event.id.to_string()));
    fact("kind", Some(event.kind.as_str().to_owned()));
    fact("key", Some(event.key.clone()));
    fact("source", Some(event.source.clone()).filter(|source| !source.is_empty()));
    fact("timestamp", event.timestamp.map(when::show));
    fact("stored", Some(when::show(event.received)));
    fact("correlation", event.correlation_id.map(|id| id.to_string()));
    fact("caused by", event.causation_id.map(|id| id.to_string()));
    fact("session", event.session_id.clone());
    fact("standing", Some(standing));
    fact("schema", event.schema.map(|digest| digest.to_string()));
    fact("size", Some(count_of(event.body.len() as u64, "byte")));
    fact("checksum", Some(format!("{:08x} (CRC-32)", event.checksum)));
    table
}
