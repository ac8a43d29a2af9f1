//! A service: publishes, listens and carries out a command, on whatever bus the environment names.
//!
//! `RABBIT_URL=amqp://guest:guest@127.0.0.1:5672/ cargo run --example service`

use bloodbank::events::{self, common, github, services, theboard};
use bloodbank::uuid::Uuid;
use bloodbank::{Bus, Received, SubscribeError};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bus = Bus::from_env(events::contracts()).await?;
    // Both listen before anything is said.
    let (meetings, merges) =
        (tokio::spawn(meetings(bus.clone())), tokio::spawn(merges(bus.clone())));
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;

    let meeting = theboard::MeetingCreated::new(
        Uuid::now_v7(),
        "How do we make the roadmap legible?",
        common::MeetingStrategy::Simple,
        2,
        None,
    );
    let receipt = bus.publisher::<services::TheboardProducer>().publish(&meeting).await?;
    println!("published  {}", receipt.id);

    let merge = github::MergePullRequest::new(
        "33god/bloodbank",
        7,
        "3f1c2d4e5b6a79880917263544536271809fa0b1",
        github::MergePullRequestMethod::Squash,
        true,
        1,
        common::Person::new("Ada Lovelace", "ada@example.com"),
    );
    // What it is answered with, the schema of the command says.
    let merged = bus.publisher::<services::AgentFeedbackRouter>().call(&merge).await?;
    println!("answered   merged as {}", merged.merge_sha);

    meetings.await??;
    merges.await??;
    bus.close().await;
    Ok(())
}

/// Queue and bindings are those of `theboard-sync` in services/registry.yaml.
async fn meetings(bus: Bus) -> Result<(), SubscribeError> {
    bus.subscriber::<services::TheboardSync>()
        .on_upcast::<theboard::MeetingCreated, _, _, _>(
            |meeting: Received<theboard::MeetingCreatedV2>| async move {
                println!("heard      {}", meeting.payload.topic.title);
            },
        )
        .skip_others()
        .run_until(a_while())
        .await
}

async fn merges(bus: Bus) -> Result<(), SubscribeError> {
    bus.subscriber::<services::GithubBridge>()
        .handle(|merge: Received<github::MergePullRequest>| async move {
            let merge_sha = "9d2c4b6f8a1e3c5d7f90b2a4c6e8d0f1a3b5c7d9";
            match merge.payload.number {
                7 => Ok(github::MergePullRequestReply::new(merge_sha, true)),
                _ => Err("only pull request 7 is approved"),
            }
        })
        .run_until(a_while())
        .await
}

/// A service would wait for a signal.
async fn a_while() {
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
}
