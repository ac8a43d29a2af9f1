//! `store queues --reset`: a queue is moved over the log.

use bloodbank::candystore::{Embedded, QueueMove};
use bloodbank::{Start, TransportError};

use crate::figures::count_of;
use crate::place::{self, Place};
use crate::table::say;
use crate::{replay, when};

/// `beginning`, `now`, a position (`1`), an age (`2h`) or a time.
///
/// # Errors
/// If it is none of these.
pub(super) fn target(text: &str) -> Result<Start, String> {
    match text {
        "beginning" => Ok(Start::Beginning),
        "now" => Ok(Start::Now),
        other => match place::parse(other) {
            Ok(Place::Position(position)) => Ok(Start::Position(position)),
            Ok(Place::Time(time)) => Ok(Start::Time(time)),
            Err(error) => Err(format!("{error}, or `beginning`, or `now`")),
        },
    }
}

/// Says what it would do, or does it.
pub(super) async fn reset(bus: &Embedded, queue: &str, to: Start, yes: bool) -> anyhow::Result<u8> {
    let moved = match yes {
        false => bus.plan_move(queue, to).await,
        true => bus.move_queue(queue, to, &replay::author()).await,
    };
    let moved = moved.map_err(|error| explained(error, queue))?;
    let what = what(&moved);
    if yes {
        say(format_args!("moved {what}"))?;
    } else {
        say(format_args!("would move {what}"))?;
        eprintln!("a dry run; `--yes` does it");
    }
    Ok(0)
}

fn what(moved: &QueueMove) -> String {
    let QueueMove { queue, from, to, again, skipped, .. } = moved;
    let effect = match to < from {
        true => format!("{} handed out again", count_of(*again, "message")),
        false => format!("{} skipped", count_of(*skipped, "message")),
    };
    let way = if to < from { "back" } else { "on" };
    format!("{queue} {way} from position {} to {}: {effect}", from + 1, to + 1)
}

fn explained(error: TransportError, queue: &str) -> anyhow::Error {
    match error {
        TransportError::Undeclared { .. } => anyhow::anyhow!(
            "there is no queue `{queue}`\nhelp: `bloodbank store queues` shows them all"
        ),
        error @ TransportError::InUse { .. } => anyhow::anyhow!(
            "{error}\nhelp: stop the service that consumes it first; a process that was killed is \
             given up after some seconds"
        ),
        error => error.into(),
    }
}

/// A move, for who looks for an event that it has passed.
pub(crate) fn passed(moved: &QueueMove) -> String {
    let QueueMove { queue, at, author, from, to, .. } = moved;
    let way = match to < from {
        true => "back, so that it was given again",
        false => "on, past it",
    };
    format!("{}, `{queue}` {way}, by {author}", when::show(*at))
}
