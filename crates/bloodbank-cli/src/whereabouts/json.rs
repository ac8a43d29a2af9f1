//! Where a message is, for programs.

use bloodbank::candystore::{Held, HeldState, InQueue, StoredEvent};
use bloodbank::serde_json::{Value, json};
use bloodbank::{Reason, Report};

use super::{Known, unknown};

/// Everything, without the payload.
pub(super) fn of(known: &Known) -> Value {
    let stored = known.stored.as_ref();
    let broker = known.broker.as_ref();
    let mut all = json!({
        "id": known.id,
        "known": !known.is_unknown(),
        "searched": known.searched,
        "event": stored.and_then(|stored| stored.event.as_ref()).map(event),
        "reports": stored.map(|stored| stored.reports.iter().map(report).collect::<Vec<_>>()),
        "reports_since": stored.and_then(|stored| stored.reports_since),
        "queues": stored.map(|stored| stored.queues.iter().map(queue).collect::<Vec<_>>()),
        "quarantined": stored.map(|stored| {
            let one = |it: &bloodbank::candystore::Quarantined| {
                json!({"number": it.number, "received": it.received, "key": it.key})
            };
            stored.quarantined.iter().map(one).collect::<Vec<_>>()
        }),
        "scheduled": stored.and_then(|stored| stored.scheduled.as_ref()).map(|it| {
            json!({"key": it.key, "due": it.due, "since": it.since})
        }),
        "moves": stored.map(|stored| {
            let one = |it: &bloodbank::candystore::QueueMove| {
                json!({"queue": it.queue, "at": it.at, "author": it.author, "from": it.from + 1,
                    "to": it.to + 1})
            };
            stored.moves.iter().map(one).collect::<Vec<_>>()
        }),
        "cancelled": stored.and_then(|stored| stored.cancelled),
        "replays": stored.map(|stored| {
            let one = |run: &bloodbank::candystore::ReplayRun| {
                json!({"id": run.id, "started": run.started, "author": run.options.author,
                    "state": run.state.as_str()})
            };
            stored.replays.iter().map(one).collect::<Vec<_>>()
        }),
    });
    if let Some(broker) = broker {
        let letter = |(queue, it): &(String, bloodbank::dead_letters::DeadLetter)| {
            json!({"queue": queue, "key": it.key, "reason": it.reason.map(Reason::as_str),
                "error": it.error, "parked_from": it.parked_from, "parked_at": it.parked_at,
                "attempts": it.attempts, "redrives": it.redrives})
        };
        all["dead_letters"] = broker.letters.iter().map(letter).collect();
        let wanting = |it: &super::broker::Wanting| json!({"queue": it.queue.name, "waiting": it.depth, "recorder": it.queue.recorder});
        all["wanted_by"] = broker.wanting.iter().map(wanting).collect();
    }
    if known.is_unknown() {
        all["reasons"] = unknown::reasons(known).into();
    }
    all
}

fn event(event: &StoredEvent) -> Value {
    json!({
        "position": event.position,
        "kind": event.kind.as_str(),
        "key": event.key,
        "source": event.source,
        "timestamp": event.timestamp,
        "received": event.received,
        "standing": event.standing.as_str(),
        "violation": event.violation,
        "schema": event.schema,
    })
}

fn report(report: &Report) -> Value {
    // A report always has a JSON form.
    bloodbank::serde_json::to_value(report).unwrap_or_default()
}

fn queue(queue: &InQueue) -> Value {
    json!({
        "queue": queue.queue,
        "dead_letters_of": queue.dead_letters_of,
        "bound": queue.is_bound,
        "held": queue.held.iter().map(held).collect::<Vec<_>>(),
    })
}

fn held(held: &Held) -> Value {
    let mut said = match &held.state {
        HeldState::Unread { before } => json!({"state": "unread", "before": before}),
        HeldState::Ready => json!({"state": "ready"}),
        HeldState::InFlight { since, by } => {
            json!({"state": "in_flight", "since": since, "by": by})
        }
        HeldState::Delayed { until } => json!({"state": "delayed", "until": until}),
        _ => json!({"state": "unknown"}),
    };
    said["failed"] = held.failed.into();
    said["error"] = json!(held.error);
    said["reason"] = json!(held.reason);
    said["parked_at"] = json!(held.parked_at);
    said["lost"] = held.lost.into();
    said["replay"] = json!(held.replay);
    said["redrives"] = held.redrives.into();
    said
}
