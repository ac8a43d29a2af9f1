//! `store stats`: how much of what.

use std::io;

use bloodbank::candystore::{By, EventStore, Group, Position, Totals};
use bloodbank::chrono::{DateTime, TimeDelta, Utc};
use bloodbank::serde_json::{Value, json};
use clap::{Args, ValueEnum};

use crate::figures::{count, size};
use crate::table::{Table, say};
use crate::when;

#[derive(Args)]
pub(crate) struct Stats {
    /// What was stored so long ago or later, or since a time: `10m`, `2026-01-31T12:00:00Z`.
    #[arg(long, value_name = "AGE|TIME", default_value = "1h", value_parser = when::parse)]
    since: DateTime<Utc>,
    /// What was stored before then.
    #[arg(long, value_name = "AGE|TIME", value_parser = when::parse)]
    until: Option<DateTime<Utc>>,
    /// Count by one of these; by all three without it.
    #[arg(long)]
    by: Option<Which>,
    /// As JSON: one line for each group, and one for the totals.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Which {
    Minute,
    Key,
    Source,
}

impl Stats {
    pub(crate) async fn run(&self, store: &EventStore) -> anyhow::Result<u8> {
        let by = match self.by {
            None => By::Each,
            Some(Which::Minute) => By::Minute,
            Some(Which::Key) => By::Key,
            Some(Which::Source) => By::Source,
        };
        let groups = store.stats(Some(self.since), self.until, by).await?;
        let totals = store.totals().await?;
        if self.json {
            groups.iter().try_for_each(|group| say(group_json(group)))?;
            say(json!({ "totals": totals_json(&totals) }))?;
            return Ok(0);
        }
        match groups.is_empty() {
            true => eprintln!("nothing was stored in this time"),
            false => show(&groups)?,
        }
        say("")?;
        show_totals(&totals)?;
        Ok(0)
    }
}

fn show(groups: &[Group]) -> io::Result<()> {
    let heading =
        ["minute", "key", "source", "count", "bytes", "mean latency", "longest", "not valid"];
    let mut table = Table::new(heading);
    let latency = |time: Option<TimeDelta>| time.map(signed).unwrap_or_default();
    for group in groups {
        table.row([
            &group.minute.map(|minute| minute.format("%F %H:%MZ").to_string()).unwrap_or_default(),
            group.key.as_deref().unwrap_or_default(),
            group.source.as_deref().unwrap_or_default(),
            &count(group.count),
            &count(group.bytes),
            &latency(group.mean_latency),
            &latency(group.max_latency),
            &count(group.not_valid),
        ]);
    }
    table.without_empty_columns().print(&mut io::stdout().lock())
}

/// A latency is below zero where the publisher's clock is ahead.
fn signed(time: TimeDelta) -> String {
    let minus = if time < TimeDelta::zero() { "-" } else { "" };
    format!("{minus}{}", when::span_of(time))
}

fn show_totals(totals: &Totals) -> io::Result<()> {
    let mut table = Table::plain();
    let end = |end: Option<(Position, DateTime<Utc>)>| match end {
        Some((position, time)) => format!("{position}, stored {}", when::show(time)),
        None => "none".to_owned(),
    };
    for (name, value) in [
        ("events", count(totals.events)),
        ("commands", count(totals.commands)),
        ("not valid", count(totals.not_valid)),
        ("duplicates", count(totals.duplicates)),
        ("quarantined", count(totals.quarantined)),
        ("first position", end(totals.first)),
        ("last position", end(totals.last)),
        ("size", size(totals.size)),
    ] {
        table.row([name, &value]);
    }
    table.print(&mut io::stdout().lock())
}

fn group_json(group: &Group) -> Value {
    let micros = |time: Option<TimeDelta>| time.and_then(|time| time.num_microseconds());
    json!({
        "minute": group.minute,
        "key": group.key,
        "source": group.source,
        "count": group.count,
        "bytes": group.bytes,
        "mean_latency_us": micros(group.mean_latency),
        "max_latency_us": micros(group.max_latency),
        "not_valid": group.not_valid,
    })
}

fn totals_json(totals: &Totals) -> Value {
    let end = |end: Option<(Position, DateTime<Utc>)>| {
        end.map(|(position, received)| json!({ "position": position, "received": received }))
    };
    json!({
        "events": totals.events,
        "commands": totals.commands,
        "not_valid": totals.not_valid,
        "duplicates": totals.duplicates,
        "quarantined": totals.quarantined,
        "first": end(totals.first),
        "last": end(totals.last),
        "size_bytes": totals.size,
    })
}
