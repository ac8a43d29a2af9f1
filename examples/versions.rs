//! Two versions of one event side by side, and a reader who needs to know only the new one.
//!
//! `cargo run --example versions`

use bloodbank::events::theboard::{MeetingCreated, MeetingCreatedV2};
use bloodbank::events::{self, common, services};
use bloodbank::uuid::Uuid;
use bloodbank::{Bus, Topology};
use tokio::sync::mpsc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bus = Bus::in_memory(events::contracts());
    // The queues are there before anything is published.
    let contracts = events::contracts();
    bus.transport().declare(&Topology::of(contracts.bundle())).await?;
    let publisher = bus.publisher::<services::TheboardProducer>();
    publisher.publish(&old()).await?;
    publisher.publish(&MeetingCreatedV2::from(old())).await?;

    let (sender, mut handled) = mpsc::channel(2);
    bus.subscriber::<services::TheboardSync>()
        .on_upcast::<MeetingCreated, MeetingCreatedV2, _, _>(move |received| {
            let meeting = &received.payload;
            println!(
                "{:<28} \"{}\", led by {}",
                received.envelope.event_type, meeting.topic.title, meeting.facilitator.name
            );
            let sender = sender.clone();
            async move { sender.send(()).await }
        })
        .skip_others()
        .run_until(async {
            for _ in 0..2 {
                handled.recv().await;
            }
        })
        .await?;
    Ok(())
}

/// What a producer of version 1 sends.
fn old() -> MeetingCreated {
    MeetingCreated::new(
        Uuid::now_v7(),
        "What do we call the new gateway?",
        common::MeetingStrategy::Simple,
        2,
        None,
    )
}
