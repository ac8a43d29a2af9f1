//! `store stats`: how much of what.

use std::io;

use bloodbank::candystore::{By, EventStore, Group, Latency, Position, Totals};
use bloodbank::chrono::{DateTime, TimeDelta, Utc};
use bloodbank::serde_json::{Value, json};
use clap::{Args, ValueEnum};

use crate::figures::{count, size};
use crate::table::{Table, say};
use crate::when;

#[derive(Args)]
#[command(
    after_help = "Latency is the time from when an event happened, as its envelope says, to when it \
                        was stored. P50, P95 and P99 are what so many of a hundred did not exceed, \
                        within 20 %; what is above 71 minutes counts as that, and for the mean an hour \
                        is the most. By minute, each event is looked at; by anything else, whole hours \
                        and days are not."
)]
pub(crate) struct Stats {
    /// What was stored so long ago or later, or since a time: `10m`, `2026-01-31T12:00:00Z`.
    #[arg(long, value_name = "AGE|TIME", default_value = "1h", value_parser = when::parse)]
    since: DateTime<Utc>,
    /// What was stored before then.
    #[arg(long, value_name = "AGE|TIME", value_parser = when::parse)]
    until: Option<DateTime<Utc>>,
    /// Count by one of these; by minute, key and source without it.
    #[arg(long)]
    by: Option<Which>,
    /// As JSON: one line for each group, and one for the totals.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Which {
    Minute,
    Hour,
    Day,
    Key,
    Source,
}

impl Stats {
    pub(crate) async fn run(&self, store: &EventStore) -> anyhow::Result<u8> {
        let by = match self.by {
            None => By::Each,
            Some(Which::Minute) => By::Minute,
            Some(Which::Hour) => By::Hour,
            Some(Which::Day) => By::Day,
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
            false => show(&groups, by)?,
        }
        say("")?;
        show_totals(&totals)?;
        Ok(0)
    }
}

fn show(groups: &[Group], by: By) -> io::Result<()> {
    let (start, format) = match by {
        By::Hour => ("hour", "%F %HZ"),
        By::Day => ("day", "%F"),
        _ => ("minute", "%F %H:%MZ"),
    };
    let heading = [
        start,
        "key",
        "source",
        "count",
        "bytes",
        "mean",
        "p50",
        "p95",
        "p99",
        "longest",
        "not valid",
    ];
    let mut table = Table::new(heading);
    for group in groups {
        let latency = |time: fn(&Latency) -> TimeDelta| {
            group.latency.as_ref().map(|latency| signed(time(latency))).unwrap_or_default()
        };
        table.row([
            &group.start.map(|start| start.format(format).to_string()).unwrap_or_default(),
            group.key.as_deref().unwrap_or_default(),
            group.source.as_deref().unwrap_or_default(),
            &count(group.count),
            &size(group.bytes),
            &latency(|latency| latency.mean),
            &latency(|latency| latency.p50),
            &latency(|latency| latency.p95),
            &latency(|latency| latency.p99),
            &latency(|latency| latency.max),
            &count(group.not_valid()),
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
    let micros = |time: fn(&Latency) -> TimeDelta| {
        group.latency.as_ref().and_then(|latency| time(latency).num_microseconds())
    };
    json!({
        "start": group.start,
        "key": group.key,
        "source": group.source,
        "count": group.count,
        "bytes": group.bytes,
        "mean_latency_us": micros(|latency| latency.mean),
        "p50_latency_us": micros(|latency| latency.p50),
        "p95_latency_us": micros(|latency| latency.p95),
        "p99_latency_us": micros(|latency| latency.p99),
        "max_latency_us": micros(|latency| latency.max),
        "invalid": group.invalid,
        "unknown": group.unknown,
        "malformed": group.malformed,
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
