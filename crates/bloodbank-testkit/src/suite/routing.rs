//! Which queue gets what.

use bloodbank_bus::{Destination, Encoded, Headers, Publisher, TransportError};
use serde_json::json;
use uuid::Uuid;

use super::tools::{Bus, PARCEL, copy, declare, holds, keys, parcels};
use crate::catalog::{Any, MooringCreatedV2, contracts, envelope, mooring, queue};

const CREATED: &str = "terminal.mooring.created";
const CREATED_V2: &str = "terminal.mooring.created.v2";
const ENDED: &str = "terminal.mooring.ended";

/// Publishes one event under each of these keys.
async fn publish(bus: &Bus, keys: &[&str]) {
    for key in keys {
        let data = if *key == CREATED { json!(mooring("x")) } else { json!({"title": "x"}) };
        bus.publish(Encoded::new(envelope(key, data), Headers::new()).unwrap()).await.unwrap();
    }
}

async fn expect(bus: &Bus, name: &str, expected: &[&str]) {
    assert_eq!(keys(&holds(bus, name, expected.len()).await), expected, "in `{name}`");
}

pub async fn bindings_match_word_by_word(bus: Bus) {
    declare(
        &bus,
        [
            queue("exact", &[CREATED]),
            queue("star", &["terminal.mooring.*"]),
            queue("stars", &["*.mooring.*"]),
            queue("hash", &["terminal.#"]),
            queue("last", &["#.ended"]),
            queue("all", &["#"]),
            queue("other", &["lot.#"]),
        ],
    )
    .await;
    publish(&bus, &[CREATED, ENDED, PARCEL]).await;
    expect(&bus, "exact", &[CREATED]).await;
    expect(&bus, "star", &[CREATED, ENDED]).await;
    expect(&bus, "stars", &[CREATED, ENDED]).await;
    expect(&bus, "hash", &[CREATED, ENDED]).await;
    expect(&bus, "last", &[ENDED]).await;
    expect(&bus, "all", &[CREATED, ENDED, PARCEL]).await;
    expect(&bus, "other", &[PARCEL]).await;
}

pub async fn a_star_is_one_word(bus: Bus) {
    declare(
        &bus,
        [
            queue("two", &["lot.*"]),
            queue("three", &["lot.*.*"]),
            queue("any", &["lot.#"]),
            queue("short", &["terminal.*"]),
        ],
    )
    .await;
    publish(&bus, &[PARCEL, "lot.session.started", ENDED]).await;
    expect(&bus, "two", &[PARCEL]).await;
    expect(&bus, "three", &["lot.session.started"]).await;
    expect(&bus, "any", &[PARCEL, "lot.session.started"]).await;
    expect(&bus, "short", &[]).await;
}

pub async fn each_version_needs_its_own_binding(bus: Bus) {
    declare(
        &bus,
        [
            queue("first", &[CREATED]),
            queue("star", &["terminal.mooring.*"]),
            queue("second", &[CREATED_V2]),
            queue("both", &["terminal.mooring.created.#"]),
        ],
    )
    .await;
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    publisher.publish(&mooring("old")).await.unwrap();
    publisher.publish(&MooringCreatedV2 { title: "new".into() }).await.unwrap();
    expect(&bus, "first", &[CREATED]).await;
    expect(&bus, "star", &[CREATED]).await;
    expect(&bus, "second", &[CREATED_V2]).await;
    expect(&bus, "both", &[CREATED, CREATED_V2]).await;
}

pub async fn several_matching_bindings_give_one_copy(bus: Bus) {
    declare(&bus, [queue("q", &["lot.*", "lot.#", "*.parcel", "#"])]).await;
    parcels(&bus, 0..1).await;
    expect(&bus, "q", &[PARCEL]).await;
}

pub async fn every_queue_gets_a_copy(bus: Bus) {
    declare(&bus, ["a", "b", "c"].map(|name| queue(name, &["#"]))).await;
    parcels(&bus, 0..1).await;
    let copies = [holds(&bus, "a", 1).await, holds(&bus, "b", 1).await, holds(&bus, "c", 1).await];
    assert!(copies.iter().all(|copy| copy[0].body == copies[0][0].body));
}

pub async fn an_event_that_nobody_wants_is_fine(bus: Bus) {
    parcels(&bus, 0..1).await;
    declare(&bus, [queue("q", &["#"])]).await;
    expect(&bus, "q", &[]).await;
}

pub async fn what_is_told_to_listeners_is_not_recorded_again(bus: Bus) {
    let queues = [queue("record", &["#"]).recorder(), queue("work", &[PARCEL]), queue("x", &["x"])];
    declare(&bus, queues).await;
    let event = copy(1, Uuid::now_v7()).with_header("x-mine", "7");
    bus.forward(event.clone(), Destination::Listeners).await.unwrap();
    let held = holds(&bus, "work", 1).await.remove(0);
    assert_eq!((&held.key, &held.body), (&event.key, &event.body));
    assert_eq!(held.headers.get("x-mine"), Some(&"7".into()));
    holds(&bus, "record", 0).await;
    holds(&bus, "x", 0).await;
}

pub async fn what_is_told_to_nobody_is_unroutable_or_lies_with_the_unrouted(bus: Bus) {
    declare(&bus, [queue("record", &["#"]).recorder()]).await;
    let event = copy(1, Uuid::now_v7());
    let told = bus.forward(event.clone(), Destination::Listeners).await;
    match bus.unrouted_queue() {
        None => assert_eq!(told, Err(TransportError::Unroutable { key: PARCEL.to_owned() })),
        Some(unrouted) => {
            told.unwrap();
            assert_eq!(holds(&bus, &unrouted, 1).await[0].body, event.body);
        }
    }
    holds(&bus, "record", 0).await;
}
