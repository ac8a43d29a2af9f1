//! What is wrong goes to the dead letters, byte for byte.

use bloodbank_bus::{
    Delivery, Destination, Exchange, Headers, Reason, Received, Subscriber, Verbatim, Verdict,
    headers,
};
use bloodbank_core::{Envelope, Meta};
use serde_json::{Value, json};

use super::tools::{Bus, PARCEL, declare, holds, inbox, log, next, number, parcels, run};
use crate::catalog::{Any, MooringCreated, Parcel, contracts, mooring, queue};

const CREATED: &str = "terminal.mooring.created";

/// Forwards a message to a subscriber that takes everything, and gives what it has parked.
async fn parked(bus: &Bus, key: &str, body: Vec<u8>) -> Delivery {
    let (sender, mut calls) = log();
    let any = sender.clone();
    declare(bus, [queue("q", &["#"])]).await;
    let running = run(Subscriber::<Any>::new(bus.clone(), contracts())
        .queue("q")
        .bind("#")
        .on(move |received: Received<MooringCreated>| {
            sender.send(received.envelope.event_type.clone()).unwrap();
            async {}
        })
        .on_any(move |received: Received<Value>| {
            any.send(received.envelope.event_type.clone()).unwrap();
            async {}
        }));
    let message = Verbatim::stored(key, body.clone(), Headers::new()).with_header("x-mine", "kept");
    bus.forward(message, Destination::Exchange(Exchange::Events)).await.unwrap();
    let parked = holds(bus, "q.dlq", 1).await.remove(0);
    assert_eq!((&*parked.key, &*parked.body), (key, &body[..]), "as it came");
    assert_eq!(parked.headers["x-mine"], "kept");
    assert_eq!(parked.headers[headers::PARKED_FROM], "q");
    assert_eq!(parked.headers[headers::ATTEMPTS], "1");
    // What comes after it is handled.
    parcels(bus, 0..1).await;
    assert_eq!(calls.next().await, PARCEL);
    running.stop().await.unwrap();
    assert!(calls.so_far().is_empty());
    parked
}

fn expect(parked: &Delivery, reason: Reason, error: &str) {
    assert_eq!(parked.headers[headers::REASON], reason.as_str());
    let said = &parked.headers[headers::ERROR];
    assert!(said.to_string().contains(error), "{said}");
}

fn bytes(key: &str, data: Value) -> Vec<u8> {
    Envelope::new(key, "foreign", data, Meta::new()).to_bytes().unwrap()
}

pub async fn what_is_no_envelope_is_parked_as_it_came(bus: Bus) {
    let parked = parked(&bus, CREATED, b"\xff\x00{not json".to_vec()).await;
    expect(&parked, Reason::NoEnvelope, "not an envelope: ");
}

pub async fn what_travelled_under_another_key_is_parked(bus: Bus) {
    let parked = parked(&bus, PARCEL, bytes(CREATED, json!(mooring("x")))).await;
    let error = "it travelled as `lot.parcel` and says that it is `terminal.mooring.created`";
    expect(&parked, Reason::NoEnvelope, error);
}

pub async fn what_breaks_its_contract_is_parked(bus: Bus) {
    let mut data = json!(mooring("x"));
    data["max_rounds"] = json!(99);
    let parked = parked(&bus, CREATED, bytes(CREATED, data)).await;
    expect(&parked, Reason::BreaksContract, "/max_rounds  expected at most 10, found 99");
}

pub async fn what_no_contract_knows_is_parked(bus: Bus) {
    let parked = parked(&bus, "no.such.key", bytes("no.such.key", json!({}))).await;
    expect(&parked, Reason::NoHandler, "no.such.key");
}

/// Handles the parcels 0 and 1, the first with this verdict.
async fn with_verdict(bus: &Bus, verdict: Verdict) {
    let (sender, mut calls) = log();
    let handler = move |received: Received<Parcel>| {
        sender.send(received.payload.n).unwrap();
        let verdict = if received.payload.n == 0 { verdict.clone() } else { Verdict::Done };
        async { verdict }
    };
    declare(bus, [queue("q", &[PARCEL])]).await;
    parcels(bus, 0..2).await;
    let subscriber = Subscriber::<Any>::new(bus.clone(), contracts()).queue("q").bind(PARCEL);
    let running = run(subscriber.concurrency(1).on(handler));
    assert_eq!(calls.take(2).await, [0, 1]);
    calls.ends().await;
    running.stop().await.unwrap();
    holds(bus, "q", 0).await;
}

pub async fn a_handler_parks_what_is_of_no_use_to_try_again(bus: Bus) {
    with_verdict(&bus, Verdict::Park("no such room".into())).await;
    let parked = holds(&bus, "q.dlq", 1).await.remove(0);
    assert_eq!(number(&parked), 0);
    expect(&parked, Reason::Parked, "no such room");
}

pub async fn a_handler_drops_what_is_of_no_use_at_all(bus: Bus) {
    with_verdict(&bus, Verdict::Drop("too old".into())).await;
    holds(&bus, "q.dlq", 0).await;
}

pub async fn an_inbox_parks_what_is_wrong_and_hands_out_the_rest(bus: Bus) {
    declare(&bus, [queue("q", &["#"])]).await;
    for body in
        [b"garbage".to_vec(), bytes(CREATED, json!({})), bytes(CREATED, json!(mooring("x")))]
    {
        let message = Verbatim::stored(CREATED, body, Headers::new());
        bus.forward(message, Destination::Exchange(Exchange::Events)).await.unwrap();
    }
    let mut inbox = inbox::<MooringCreated>(&bus, "q").await;
    let received = next(&mut inbox).await;
    assert_eq!(received.payload, mooring("x"));
    assert_eq!(inbox.parked(), 2);
    inbox.park(received, "seen enough").await.unwrap();
    let parked = holds(&bus, "q.dlq", 3).await;
    expect(&parked[0], Reason::NoEnvelope, "not an envelope");
    expect(&parked[1], Reason::BreaksContract, "/topic");
    expect(&parked[2], Reason::Parked, "seen enough");
}
