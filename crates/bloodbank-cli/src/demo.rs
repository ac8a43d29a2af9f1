//! `demo`: the main job in a few lines, on a bus in memory.

use std::collections::BTreeSet;

use bloodbank::events::{self, common, github, services, theboard};
use bloodbank::uuid::Uuid;
use bloodbank::{Bundle, Bus, Contract, Exchange, Kind, PublishError, Queue, TopicPattern};

/// Runs the demo. Exits 0 when everything went as it says.
pub(crate) fn run() -> anyhow::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(demo())?;
    Ok(0)
}

async fn demo() -> anyhow::Result<()> {
    println!("{}\n", contracts(events::contracts().bundle()));
    let bus = Bus::in_memory();
    publish_and_receive(&bus).await?;
    refuse(&bus).await?;
    handle(&bus).await?;
    println!(
        "\nNext: change a bound in schemas/theboard/meeting.created.v1.json, run `cargo xtask \
         codegen`, and run this again."
    );
    Ok(())
}

fn contracts(bundle: &Bundle) -> String {
    let count = |kind| bundle.contracts.iter().filter(|contract| contract.kind == kind).count();
    let domains: BTreeSet<_> = bundle
        .contracts
        .iter()
        .filter_map(|contract| contract.keys.first()?.as_str().split('.').next())
        .collect();
    format!(
        "contracts  {} events and {} commands in {} domains; {} services",
        count(Kind::Event),
        count(Kind::Command),
        domains.len(),
        bundle.services.len(),
    )
}

fn meeting() -> theboard::MeetingCreated {
    theboard::MeetingCreated::new(
        Uuid::now_v7(),
        "How do we make the roadmap legible?",
        common::MeetingStrategy::MultiAgent,
        5,
        Some(4),
    )
}

async fn publish_and_receive(bus: &Bus) -> anyhow::Result<()> {
    let pattern: TopicPattern = "theboard.meeting.*".parse()?;
    let queue = Queue::new("theboard_sync_queue").bind(Exchange::Events, pattern);
    let mut inbox = bus.inbox::<services::TheboardSync, theboard::MeetingCreated>(queue).await?;
    let receipt = bus.publisher::<services::TheboardProducer>().publish(&meeting()).await?;
    println!("published  {}  {}", theboard::MeetingCreated::KEYS[0], receipt.id);
    if let Some(received) = inbox.next().await? {
        println!(
            "received   {}  \"{}\", {} rounds, from {}",
            received.envelope.event_type,
            received.payload.topic,
            received.payload.max_rounds,
            received.envelope.source,
        );
        inbox.ack(received).await?;
    }
    Ok(())
}

async fn refuse(bus: &Bus) -> anyhow::Result<()> {
    let bad = theboard::MeetingCreated { topic: String::new(), max_rounds: 500, ..meeting() };
    match bus.publisher::<services::TheboardProducer>().publish(&bad).await {
        Err(PublishError::Refused(refusal)) => {
            println!("refused    {}", refusal.to_string().replace('\n', "\n           "));
            Ok(())
        }
        Err(error) => Err(error.into()),
        Ok(_) => anyhow::bail!("an event that breaks its contract was published"),
    }
}

async fn handle(bus: &Bus) -> anyhow::Result<()> {
    let key = github::MergePullRequest::KEYS[0];
    let queue = Queue::new(key).bind(Exchange::Commands, key.parse()?);
    let mut worker = bus.inbox::<services::GithubBridge, github::MergePullRequest>(queue).await?;
    let command = github::MergePullRequest::new(
        "33god/bloodbank",
        7,
        "3f1c2d4e5b6a79880917263544536271809fa0b1",
        github::MergePullRequestMethod::Squash,
        true,
        1,
        common::Person::new("Ada Lovelace", "ada@example.com"),
    );
    let receipt = bus.publisher::<services::AgentFeedbackRouter>().send(&command).await?;
    println!("sent       {key}  {}", receipt.id);
    if let Some(received) = worker.next().await? {
        let command = &received.payload;
        println!(
            "handled    {key}  {}#{} by {}, as {}",
            command.repository, command.number, command.method, received.envelope.source,
        );
        worker.ack(received).await?;
    }
    Ok(())
}
