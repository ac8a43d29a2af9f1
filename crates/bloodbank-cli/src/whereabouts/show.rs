//! Where a message is, for people.

use std::io;

use bloodbank::candystore::{ReplayRun, ReplayTarget, StoredEvent, Whereabouts};
use bloodbank::{escape_control, read_envelope};

use super::Known;
use super::rows::{self, ago, attempt};
use crate::store::reset;
use crate::table::{Table, say};
use crate::when;

/// Everything, calmly.
pub(super) fn all(known: &Known) -> io::Result<()> {
    facts(known).print(&mut io::stdout().lock())?;
    let rows = rows::of(known);
    say("")?;
    if rows.is_empty() {
        return say(nobody(known));
    }
    let mut table = Table::new(["queue", "state", "when", "attempt", ""]);
    for (queue, rows) in &rows {
        for (index, row) in rows.iter().enumerate() {
            let name = if index == 0 { queue.as_str() } else { "" };
            let when = row.when.map(ago).unwrap_or_default();
            table.row([name, row.state, &when, &attempt(row), &row.more]);
        }
    }
    table.without_empty_columns().print(&mut io::stdout().lock())
}

/// Why there is nothing to say of queues.
fn nobody(known: &Known) -> String {
    let stored = known.stored.as_ref();
    match stored.and_then(|stored| stored.event.as_ref()) {
        Some(event) => {
            format!("no queue is bound to `{}` as it was published", escape_control(&event.key))
        }
        None => "it is in no queue".to_owned(),
    }
}

fn facts(known: &Known) -> Table {
    let mut table = Table::plain();
    table.row(["id", &known.id.to_string()]);
    let Some(stored) = &known.stored else { return table };
    match &stored.event {
        Some(event) => of_event(&mut table, event),
        None => of_no_event(&mut table, stored),
    }
    for one in &stored.quarantined {
        let what = format!(
            "{}, another message with this id, as `{}`; number {}",
            ago(one.received),
            one.key,
            one.number
        );
        table.row(["quarantine", &what]);
    }
    if let Some(scheduled) = &stored.scheduled {
        table
            .row(["due", &format!("{}, as `{}`; not sent yet", ago(scheduled.due), scheduled.key)]);
    }
    if let Some(cancelled) = stored.cancelled {
        table.row(["cancelled", &format!("{}, before it was due", ago(cancelled))]);
    }
    for replay in &stored.replays {
        table.row(["replayed", &of_replay(replay)]);
    }
    for moved in &stored.moves {
        table.row(["moved", &reset::passed(moved)]);
    }
    table
}

fn of_event(table: &mut Table, event: &StoredEvent) {
    table.row([event.kind.as_str(), &event.key]);
    table.row(["stored", &format!("{}, at position {}", ago(event.received), event.position)]);
    if let Some(timestamp) = event.timestamp {
        table.row(["published", &when::show(timestamp)]);
    }
    if !event.source.is_empty() {
        table.row(["by", &event.source]);
    }
    table.row(["contract", &contract(event)]);
}

/// What judged it, and how.
fn contract(event: &StoredEvent) -> String {
    let envelope =
        read_envelope(&event.key, &event.body, &event.headers, event.properties.as_deref());
    let named = envelope.ok().and_then(|envelope| envelope.schema.clone());
    let mut said = event.standing.to_string();
    if let Some(violation) = &event.violation {
        said.push_str(&format!(": {violation}"));
    }
    match (named, event.schema) {
        (Some(name), Some(digest)) => format!("{said} by {name}, digest {digest}"),
        (None, Some(digest)) => format!("{said}, digest {digest}"),
        (Some(name), None) => format!("{said}; it names {name}"),
        (None, None) => said,
    }
}

fn of_no_event(table: &mut Table, stored: &Whereabouts) {
    let pruned: u64 = stored.pruned.iter().map(|range| range.count()).sum();
    let why = match pruned {
        0 => "no, not in this store".to_owned(),
        n => format!("no; {n} positions were pruned, it may be one of them"),
    };
    table.row(["stored", &why]);
}

fn of_replay(run: &ReplayRun) -> String {
    let to = match &run.options.target {
        ReplayTarget::Queue(queue) => format!("into `{queue}`"),
        ReplayTarget::Live => "to everybody".to_owned(),
        _ => "to who hears replays".to_owned(),
    };
    format!("{}, {to}, by {}; {} ({})", ago(run.started), run.options.author, run.state, run.id)
}
