//! A typed event of seven fields, validated and put into a queue in memory, beside serialising
//! alone. One core; the queue is emptied between rounds, off the clock.
#![allow(clippy::expect_used)]

mod support;

use std::hint::black_box;

use bloodbank::events::{self, services, theboard};
use bloodbank::serde_json;
use bloodbank::{Bus, Contract, Exchange, Queue};
use support::{heading, median, meeting, row};

const ROUNDS: usize = 101;
const CALLS: u32 = 1000;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let event = meeting();

    heading("publish: one event of 7 fields");
    let none = || {};
    let to_text = median(ROUNDS, CALLS, none, || {
        black_box(serde_json::to_vec(black_box(&event)).expect("JSON"));
    });
    row("serialise the payload alone", to_text, None);

    let value = serde_json::to_value(&event).expect("JSON");
    let contracts = theboard::MeetingCreated::contracts();
    let check = median(ROUNDS, CALLS, none, || {
        contracts.check(theboard::MeetingCreated::KEYS[0], black_box(&value)).expect("valid");
    });
    row("validate a parsed payload", check, Some(("serialise", to_text)));

    let bus = Bus::in_memory(events::contracts());
    let publisher = bus.publisher::<services::TheboardProducer>();
    let queue =
        || Queue::new("bench").bind(Exchange::Events, "theboard.#".parse().expect("a pattern"));
    let mut inbox = runtime.block_on(bus.inbox::<serde_json::Value>(queue())).expect("a queue");
    let drain = || {
        runtime.block_on(async {
            for _ in 0..CALLS {
                let received = inbox.next().await.expect("open").expect("a message");
                inbox.ack(received).await.expect("settled");
            }
        });
    };
    // The first round finds the queue empty.
    runtime.block_on(async {
        for _ in 0..CALLS {
            publisher.publish(&event).await.expect("accepted");
        }
    });
    let publish = median(ROUNDS, CALLS, drain, || {
        runtime.block_on(publisher.publish(black_box(&event)).into_future()).expect("accepted");
    });
    row("publish: envelope, validate, serialise, enqueue", publish, Some(("serialise", to_text)));
}
