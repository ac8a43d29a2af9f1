//! The doctor's look at the bus in the store.

use std::time::Instant;

use bloodbank::candystore::{ClockState, Embedded, EventStore, QueueStatus};
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
    let store = match store::open(contracts).await {
        Ok(store) => store,
        Err(error) => {
            let fix = error.chain().find_map(hints::of);
            let fix =
                fix.unwrap_or("name a file or a database in DATABASE_URL that can be written");
            return report.wrong("store", format!("{error:#}"), fix);
        }
    };
    match store.position().await {
        Ok(position) => {
            let so_far = count_of(position, "event");
            report.fine("store", format!("{}, {so_far} so far", store.url()));
        }
        Err(error) => {
            return report.wrong("store", error.to_string(), "`bloodbank store verify` says more");
        }
    }
    clock(report, &store).await;
    let bus = Embedded::new(store);
    round_trip(report, &bus).await;
    match bus.queues().await {
        Ok(queues) => {
            declared(report, &queues, &topology);
            dead(report, &queues, dead_letters);
        }
        Err(error) => {
            report.wrong("queues", error.to_string(), "`bloodbank store verify` says more");
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

async fn round_trip(report: &mut Report, bus: &Embedded) {
    let since = Instant::now();
    match echo(bus).await {
        Ok(()) => {
            let took = since.elapsed().as_secs_f64() * 1_000.0;
            report.fine("publishing", format!("declared and committed in {took:.1} ms"));
        }
        Err(error @ TransportError::Blocked) => {
            report.wrong("publishing", error.to_string(), "make room on the store's disk");
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
