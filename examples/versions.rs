//! Two versions of one event side by side, and a reader who needs to know only the new one.
//!
//! `cargo run --example versions`

use bloodbank::events::{AnyEvent, common, services, theboard};
use bloodbank::uuid::Uuid;
use bloodbank::{Bus, Exchange, Queue};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bus = Bus::in_memory();
    // `#` and not `*`: version 2 routes as `theboard.meeting.created.v2`, one word more.
    let queue = Queue::new("meetings").bind(Exchange::Events, "theboard.meeting.#".parse()?);
    let mut inbox = bus.subscribe::<services::TheboardSync, AnyEvent>(queue).await?;
    let publisher = bus.publisher::<services::TheboardProducer>();
    publisher.publish(&old()).await?;
    publisher.publish(&theboard::MeetingCreatedV2::from(old())).await?;
    for _ in 0..2 {
        let Some(received) = inbox.next().await? else { break };
        let meeting = match received.payload.clone() {
            AnyEvent::TheboardMeetingCreated(old) => theboard::MeetingCreatedV2::from(*old),
            AnyEvent::TheboardMeetingCreatedV2(new) => *new,
            other => return Err(format!("unexpected: {other:?}").into()),
        };
        println!(
            "{:<28} \"{}\", led by {}",
            received.envelope.event_type, meeting.topic.title, meeting.facilitator.name
        );
        received.ack().await?;
    }
    Ok(())
}

/// What a producer of version 1 sends.
fn old() -> theboard::MeetingCreated {
    theboard::MeetingCreated::new(
        Uuid::now_v7(),
        "What do we call the new gateway?",
        common::MeetingStrategy::Simple,
        2,
        None,
    )
}
