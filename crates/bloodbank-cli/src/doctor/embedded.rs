//! The doctor's look at the bus in the store.

use std::time::Instant;

use bloodbank::candystore::{ClockState, Embedded, EventStore, QueueStatus, StoreError};
use bloodbank::uuid::Uuid;
use bloodbank::{
    Contracts, Destination, Headers, Queue, Topology, Transport, TransportError, Verbatim,
};

use super::Report;
use crate::figures::count_of;
use crate::hints;
use crate::store;
use crate::topology::without_recorders;

/// Looks at everything, as far as it gets.
pub(super) async fn look(
    report: &mut Report,
    contracts: Contracts,
    topology: Topology,
    dead_letters: &[String],
) {
    let topology = without_recorders(topology);
    report.fine("configuration", "RABBIT_URL is not set, so the bus lies in the store");
    let Some(store) = opened(report, contracts.clone()).await else { return };
    match store.position().await {
        Ok(position) => {
            let so_far = count_of(position, "event");
            report.fine("store", format!("{}, {so_far} so far", store.url()));
        }
        Err(error) => return report.wrong("store", error.to_string(), fix(&error)),
    }
    match writable(contracts).await {
        Ok(bus) => {
            round_trip(report, &bus).await;
            bus.close().await;
        }
        Err(error) => report.wrong("publishing", format!("{error:#}"), fix_of(&error)),
    }
    clock(report, &store).await;
    let bus = Embedded::new(store);
    match bus.queues().await {
        Ok(queues) => {
            declared(report, &queues, &topology);
            dead(report, &queues, dead_letters);
        }
        Err(error) => {
            report.wrong("queues", error.to_string(), fix(&error));
        }
    }
    bus.close().await;
}

async fn clock(report: &mut Report, store: &EventStore) {
    let fix = "set the clocks, then `bloodbank store repair-clock` puts the times right";
    match store.clock_state().await {
        Ok(ClockState { ahead: Some(ahead), .. }) => {
            let minutes = ahead.num_minutes();
            let said = format!("the last event was stored {minutes} minutes ahead of now");
            report.wrong("clock", said, fix);
        }
        Ok(ClockState { steps, .. }) if !steps.is_empty() => {
            let positions: Vec<String> = steps.iter().take(10).map(ToString::to_string).collect();
            let said = format!("times go back at position {}", positions.join(", "));
            report.wrong("clock", said, fix);
        }
        Ok(_) => report.fine("clock", "times go forward, and none is ahead of now"),
        Err(error) => {
            report.wrong("clock", error.to_string(), "`bloodbank store verify` says more");
        }
    }
}

/// The store, opened to be read, so that whoever holds it is not in the way. One that is not there is
/// made, as whoever publishes first would.
async fn opened(report: &mut Report, contracts: Contracts) -> Option<EventStore> {
    let opened = match store::open_to_read(contracts.clone()).await {
        Err(error) if is_missing(&error) => store::open(contracts).await,
        opened => opened,
    };
    opened.map_err(|error| report.wrong("store", format!("{error:#}"), fix_of(&error))).ok()
}

fn is_missing(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(StoreError::Missing { .. }))
}

async fn writable(contracts: Contracts) -> anyhow::Result<Embedded> {
    store::open(contracts).await.map(Embedded::new)
}

/// What to do about it.
fn fix_of(error: &anyhow::Error) -> &'static str {
    match error.downcast_ref::<StoreError>() {
        Some(error) => fix(error),
        None => error.chain().find_map(hints::of).unwrap_or(NAME_ANOTHER),
    }
}

const NAME_ANOTHER: &str = "name a file or a database in DATABASE_URL that can be written";

fn fix(error: &StoreError) -> &'static str {
    match error {
        StoreError::Open { .. } | StoreError::NotAFile { .. } => NAME_ANOTHER,
        error => hints::of(error).unwrap_or(error.code().remedy()),
    }
}

async fn round_trip(report: &mut Report, bus: &Embedded) {
    let since = Instant::now();
    match echo(bus).await {
        Ok(()) => {
            let took = since.elapsed().as_secs_f64() * 1_000.0;
            report.fine("publishing", format!("declared and committed in {took:.1} ms"));
        }
        Err(error) => {
            let fix = hints::of(&error).unwrap_or(error.code().remedy());
            report.wrong("publishing", error.to_string(), fix);
        }
    }
}

/// A message into a queue of our own, which goes when it is settled.
async fn echo(bus: &Embedded) -> Result<(), TransportError> {
    let name = format!("bloodbank.doctor.{}", Uuid::now_v7().simple());
    bus.declare(&Topology::new().with_queue(Queue::new(&*name).recorder())).await?;
    let message = Verbatim::stored("bloodbank.doctor", *b"", Headers::new());
    let echoed = bus.forward(message, Destination::queue(&*name)).await;
    bus.remove_queue(&name).await?;
    echoed
}

fn declared(report: &mut Report, queues: &[QueueStatus], topology: &Topology) {
    let is_there = |queue: &&Queue| queues.iter().any(|there| there.queue.name == queue.name);
    let there = topology.queues.iter().filter(is_there).count();
    let consumed = queues.iter().filter(|queue| queue.consumers > 0).count();
    report.fine(
        "topology",
        format!(
            "{there} of the {} queues of registry.yaml are there, and {consumed} queues are being \
             read; services declare theirs",
            topology.queues.len()
        ),
    );
}

fn dead(report: &mut Report, queues: &[QueueStatus], dead_letters: &[String]) {
    let is_dead = |queue: &&QueueStatus| dead_letters.contains(&queue.queue.name);
    let dead: u64 = queues.iter().filter(is_dead).map(|queue| queue.ready).sum();
    match dead {
        0 => report.fine("dead letters", "none"),
        n => report.wrong("dead letters", n.to_string(), "`bloodbank dlq ls` says where and why"),
    }
}
