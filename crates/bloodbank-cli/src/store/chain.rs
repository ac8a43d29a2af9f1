//! `store chain`: what caused it, and what followed.

use std::collections::HashMap;
use std::io;

use anyhow::bail;
use bloodbank::candystore::{self, Cause, EventStore, Link, Position, Standing};
use bloodbank::serde_json::{Value, json};
use bloodbank::uuid::Uuid;
use clap::Args;

use crate::figures::count;
use crate::table::{Table, say};
use crate::{place, when};

/// How deep branches are drawn. What is deeper says how deep it is.
const DEEPEST: usize = 24;

#[derive(Args)]
pub(crate) struct Chain {
    /// The id of an event, or a correlation id.
    #[arg(value_parser = place::id)]
    id: Uuid,
    /// Go on where another part of it ended: behind this position.
    #[arg(long, value_name = "POSITION", default_value_t = 0)]
    cursor: Position,
    /// The most events.
    #[arg(long, value_name = "N", default_value_t = EventStore::MOST_IN_CHAIN as u64)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=EventStore::MOST_IN_CHAIN as u64))]
    limit: u64,
    /// As JSON, one event a line, without payloads.
    #[arg(long)]
    json: bool,
}

impl Chain {
    pub(crate) async fn run(&self, store: &EventStore) -> anyhow::Result<u8> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let Some(chain) = store.chain_after(self.id, self.cursor, limit).await? else {
            bail!("no event with the id or the correlation id {} is stored", self.id)
        };
        match self.json {
            true => chain.links.iter().try_for_each(|link| say(as_json(link)))?,
            false => draw(&chain)?,
        }
        if let Some(next) = chain.next {
            eprintln!("next: --cursor {next}");
        }
        if chain.is_cut {
            let most = count(EventStore::MOST_IN_CHAINS as u64);
            eprintln!("note: it has more than {most} events; the rest is left out");
        }
        Ok(0)
    }
}

/// A tree, one event a line.
pub(crate) fn draw(chain: &candystore::Chain) -> io::Result<()> {
    let links = &chain.links;
    let mut last_effect = HashMap::new();
    for (index, link) in links.iter().enumerate() {
        if let Cause::Link(cause) = link.cause {
            last_effect.insert(cause, index);
        }
    }
    let is_last = |index: usize| match links[index].cause {
        Cause::Link(cause) => last_effect.get(&cause) == Some(&index),
        _ => true,
    };
    let mut table = Table::new(["key", "source", "time", "position", ""]);
    for (index, link) in links.iter().enumerate() {
        let key = format!("{}{}", branch(links, index, &is_last), link.key);
        let position = link.position.to_string();
        table.row([&key, &link.source, &time(link), &position, &note(link)]);
    }
    table.print(&mut io::stdout().lock())
}

/// The lines before a key.
fn branch(links: &[Link], index: usize, is_last: &impl Fn(usize) -> bool) -> String {
    let depth = links[index].depth;
    if depth > DEEPEST {
        return format!("{}└─ ({depth} deep) ", "   ".repeat(DEEPEST));
    }
    let Cause::Link(mut above) = links[index].cause else { return String::new() };
    let mut parts = vec![if is_last(index) { "└─ " } else { "├─ " }];
    while let Cause::Link(cause) = links[above].cause {
        parts.push(if is_last(above) { "   " } else { "│  " });
        above = cause;
    }
    parts.reverse();
    parts.concat()
}

/// When it happened; below a cause, how long after it.
fn time(link: &Link) -> String {
    let absolute = || when::show(link.timestamp.unwrap_or(link.received));
    link.since_cause.map_or_else(absolute, when::after)
}

fn note(link: &Link) -> String {
    let cause = match link.cause {
        Cause::Missing(id) => format!("orphan: its cause {id} is not stored"),
        Cause::Cycle(id) => format!("its cause {id} follows from it"),
        Cause::LeftOut(id) => format!("its cause {id} is on another page"),
        _ => String::new(),
    };
    match (link.standing, cause.is_empty()) {
        (Standing::Valid, _) => cause,
        (standing, true) => standing.to_string(),
        (standing, false) => format!("{standing}; {cause}"),
    }
}

fn as_json(link: &Link) -> Value {
    let cause = match link.cause {
        Cause::None => "none",
        Cause::Link(_) => "stored",
        Cause::Missing(_) => "missing",
        Cause::Cycle(_) => "cycle",
        _ => "left_out",
    };
    json!({
        "position": link.position,
        "id": link.id,
        "key": link.key,
        "source": link.source,
        "timestamp": link.timestamp,
        "received": link.received,
        "correlation_id": link.correlation_id,
        "causation_id": link.causation_id,
        "standing": link.standing.as_str(),
        "depth": link.depth,
        "cause": cause,
        "since_cause_us": link.since_cause.and_then(|time| time.num_microseconds()),
    })
}
