//! What is there, and what is not.

use bloodbank_bus::{
    Destination, Headers, Queue, Subscription, Topology, TransportError, Verbatim,
};

use super::tools::{Bus, PARCEL, holds, ms, parcels};
use crate::catalog::queue;

pub async fn declaring_twice_is_fine_and_adds_bindings(bus: Bus) {
    let with = |patterns: &[&str]| {
        Topology::new().with_parked_queue(queue("q", patterns)).with_delays([ms(100), ms(200)])
    };
    bus.declare(&with(&["terminal.#"])).await.unwrap();
    parcels(&bus, 0..1).await;
    bus.declare(&with(&["terminal.#"])).await.unwrap();
    bus.declare(&with(&[PARCEL])).await.unwrap();
    parcels(&bus, 1..2).await;
    bus.declare(&with(&[])).await.unwrap();
    parcels(&bus, 2..3).await;
    holds(&bus, "q", 2).await;
}

pub async fn declaring_with_other_properties_is_a_conflict(bus: Bus) {
    bus.declare(&Topology::new().with_queue(queue("q", &["#"]))).await.unwrap();
    let dead = Queue::new("dead");
    for other in [
        queue("q", &["#"]).with_max_len(10),
        queue("q", &["#"]).ordered(),
        queue("q", &["#"]).with_dead_letters("dead"),
        queue("q", &["#"]).temporary(),
    ] {
        let topology = Topology::new().with_queue(dead.clone()).with_queue(other.clone());
        let error = bus.declare(&topology).await.unwrap_err();
        assert!(
            matches!(&error, TransportError::Conflict { name, .. } if name == "q"),
            "{other:?}: {error}"
        );
    }
    // Nothing is the worse for it.
    parcels(&bus, 0..1).await;
    holds(&bus, "q", 1).await;
}

pub async fn a_dead_letter_queue_must_be_declared(bus: Bus) {
    let orphan = || queue("q", &["#"]).with_dead_letters("dead");
    let error = bus.declare(&Topology::new().with_queue(orphan())).await.unwrap_err();
    assert_eq!(error, TransportError::Undeclared { queue: "dead".into() });
    // In any order, and also one that was declared before.
    let both = Topology::new().with_queue(orphan()).with_queue(Queue::new("dead"));
    bus.declare(&both).await.unwrap();
}

pub async fn a_queue_that_is_not_there_is_undeclared(bus: Bus) {
    let undeclared = || Err(TransportError::Undeclared { queue: "nowhere".into() });
    for subscription in [Subscription::new("nowhere"), Subscription::browse("nowhere")] {
        assert_eq!(bus.subscribe(subscription).await.map(|_| ()), undeclared());
    }
    let message = Verbatim::stored(PARCEL, *b"{}", Headers::new());
    assert_eq!(bus.forward(message, Destination::queue("nowhere")).await, undeclared());
}
