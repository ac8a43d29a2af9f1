//! Which queue gets what.

use bloodbank_bus::{Encoded, Headers, Publisher};
use serde_json::json;

use super::tools::{Bus, PROMPT, declare, holds, keys, prompts};
use crate::catalog::{Any, MeetingCreatedV2, contracts, envelope, meeting, queue};

const CREATED: &str = "theboard.meeting.created";
const CREATED_V2: &str = "theboard.meeting.created.v2";
const ENDED: &str = "theboard.meeting.ended";

/// Publishes one event under each of these keys.
async fn publish(bus: &Bus, keys: &[&str]) {
    for key in keys {
        let data = if *key == CREATED { json!(meeting("x")) } else { json!({"title": "x"}) };
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
            queue("star", &["theboard.meeting.*"]),
            queue("stars", &["*.meeting.*"]),
            queue("hash", &["theboard.#"]),
            queue("last", &["#.ended"]),
            queue("all", &["#"]),
            queue("other", &["llm.#"]),
        ],
    )
    .await;
    publish(&bus, &[CREATED, ENDED, PROMPT]).await;
    expect(&bus, "exact", &[CREATED]).await;
    expect(&bus, "star", &[CREATED, ENDED]).await;
    expect(&bus, "stars", &[CREATED, ENDED]).await;
    expect(&bus, "hash", &[CREATED, ENDED]).await;
    expect(&bus, "last", &[ENDED]).await;
    expect(&bus, "all", &[CREATED, ENDED, PROMPT]).await;
    expect(&bus, "other", &[PROMPT]).await;
}

pub async fn a_star_is_one_word(bus: Bus) {
    declare(
        &bus,
        [
            queue("two", &["llm.*"]),
            queue("three", &["llm.*.*"]),
            queue("any", &["llm.#"]),
            queue("short", &["theboard.*"]),
        ],
    )
    .await;
    publish(&bus, &[PROMPT, "llm.session.started", ENDED]).await;
    expect(&bus, "two", &[PROMPT]).await;
    expect(&bus, "three", &["llm.session.started"]).await;
    expect(&bus, "any", &[PROMPT, "llm.session.started"]).await;
    expect(&bus, "short", &[]).await;
}

pub async fn each_version_needs_its_own_binding(bus: Bus) {
    declare(
        &bus,
        [
            queue("first", &[CREATED]),
            queue("star", &["theboard.meeting.*"]),
            queue("second", &[CREATED_V2]),
            queue("both", &["theboard.meeting.created.#"]),
        ],
    )
    .await;
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    publisher.publish(&meeting("old")).await.unwrap();
    publisher.publish(&MeetingCreatedV2 { title: "new".into() }).await.unwrap();
    expect(&bus, "first", &[CREATED]).await;
    expect(&bus, "star", &[CREATED]).await;
    expect(&bus, "second", &[CREATED_V2]).await;
    expect(&bus, "both", &[CREATED, CREATED_V2]).await;
}

pub async fn several_matching_bindings_give_one_copy(bus: Bus) {
    declare(&bus, [queue("q", &["llm.*", "llm.#", "*.prompt", "#"])]).await;
    prompts(&bus, 0..1).await;
    expect(&bus, "q", &[PROMPT]).await;
}

pub async fn every_queue_gets_a_copy(bus: Bus) {
    declare(&bus, ["a", "b", "c"].map(|name| queue(name, &["#"]))).await;
    prompts(&bus, 0..1).await;
    let copies = [holds(&bus, "a", 1).await, holds(&bus, "b", 1).await, holds(&bus, "c", 1).await];
    assert!(copies.iter().all(|copy| copy[0].body == copies[0][0].body));
}

pub async fn an_event_that_nobody_wants_is_fine(bus: Bus) {
    prompts(&bus, 0..1).await;
    declare(&bus, [queue("q", &["#"])]).await;
    expect(&bus, "q", &[]).await;
}
