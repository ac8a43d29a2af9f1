//! `demo`: the main job in a few lines, on a bus in a store.

use std::collections::BTreeSet;
use std::env;
use std::sync::Arc;

use anyhow::Context;
use bloodbank::candystore::{
    Embedded, EventStore, Filter, Replay, ReplayOptions, ReplayTarget, StoreOptions, StoreUrl,
};
use bloodbank::events::{self, common, github, services, theboard};
use bloodbank::uuid::Uuid;
use bloodbank::{
    Bundle, Bus, Contract, Envelope, Exchange, Kind, PublishError, Queue, Received, SealError,
};
use serde_json::Value;

use crate::bus::block_on;
use crate::store::chain;
use crate::table::say;

/// The queue that the demo listens on.
const QUEUE: &str = "bloodbank.demo";

/// Runs the demo. Exits 0 when everything went as it says.
pub(crate) fn run() -> anyhow::Result<u8> {
    let folder = tempfile::Builder::new().prefix("bloodbank-demo-").tempdir()?;
    let (url, note) = match env::var_os("DATABASE_URL") {
        Some(_) => (StoreUrl::from_env()?, "what is published stays there"),
        None => (StoreUrl::file(folder.path().join("bloodbank.db")), "it goes with the demo"),
    };
    say(contracts(events::contracts().bundle()))?;
    say(format_args!("store      {url}; {note}\n"))?;
    block_on(demo(url))?;
    say(
        "\nNext: change the `minLength` of `topic` in schemas/theboard/meeting.created.v1.json, run \
         `cargo xtask codegen`, and run this again.",
    )?;
    Ok(0)
}

async fn demo(url: StoreUrl) -> anyhow::Result<()> {
    let demo = Demo::open(url.clone()).await?;
    let first = demo.publish().await?;
    demo.refuse().await?;
    demo.handle(&first).await?;
    demo.receive(1).await?;
    demo.bus.close().await;
    say("closed     the bus; three events are not received yet")?;

    let demo = Demo::open(url).await?;
    say("opened     the bus again")?;
    demo.receive(3).await?;
    say("\nchain      what followed from the first event:\n")?;
    demo.chain(first.id).await?;
    demo.replay(first.id).await?;
    demo.embedded.remove_queue(QUEUE).await?;
    demo.bus.close().await;
    Ok(())
}

struct Demo {
    store: EventStore,
    embedded: Embedded,
    bus: Bus,
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

/// The example of a contract.
fn example(key: &str) -> anyhow::Result<Value> {
    let contracts = events::contracts();
    let examples = contracts.bundle().examples(contracts.find(key)?);
    examples.first().cloned().with_context(|| format!("the contract of `{key}` has no example"))
}

impl Demo {
    async fn open(url: StoreUrl) -> anyhow::Result<Self> {
        let store = EventStore::open(StoreOptions::new(url), events::contracts()).await?;
        let embedded = Embedded::new(store.clone());
        let bus = Bus::new(Arc::new(embedded.clone()), events::contracts());
        let demo = Demo { store, embedded, bus };
        demo.inbox().await?.close().await;
        Ok(demo)
    }

    async fn inbox(&self) -> anyhow::Result<bloodbank::Inbox<events::AnyEvent>> {
        let queue = Queue::new(QUEUE).bind(Exchange::Events, "theboard.#".parse()?);
        Ok(self.bus.inbox::<events::AnyEvent>(queue).await?)
    }

    /// A meeting, and what follows from it. Gives the first envelope.
    async fn publish(&self) -> anyhow::Result<Envelope> {
        let publisher = self.bus.publisher::<services::TheboardProducer>();
        let created = publisher.publish(&meeting()).await?;
        let key = theboard::MeetingCreated::KEYS[0];
        say(format_args!("published  {key:<28}  {}", created.id))?;
        let stored = self.store.get(created.id).await?.context("the event is not stored")?;
        let first = Envelope::from_bytes(&stored.body)?;
        let mut cause = first.clone();
        for key in
            ["theboard.meeting.started", "theboard.comment.extracted", "theboard.meeting.completed"]
        {
            let receipt = publisher.publish_json(key, example(key)?).caused_by(&cause).await?;
            say(format_args!("published  {key:<28}  {}", receipt.id))?;
            if key == "theboard.meeting.started" {
                cause.correlation_id = Some(first.id);
                cause.id = receipt.id;
            }
        }
        Ok(first)
    }

    async fn refuse(&self) -> anyhow::Result<()> {
        let bad = theboard::MeetingCreated { topic: String::new(), max_rounds: 500, ..meeting() };
        match self.bus.publisher::<services::TheboardProducer>().publish(&bad).await {
            Err(PublishError::Seal(SealError::Refused(refusal))) => {
                let refusal = refusal.to_string().replace('\n', "\n           ");
                Ok(say(format_args!("refused    {refusal}"))?)
            }
            Err(error) => Err(error.into()),
            Ok(_) => anyhow::bail!("an event that breaks its contract was published"),
        }
    }

    /// A command that follows from the meeting, and its answer.
    async fn handle(&self, first: &Envelope) -> anyhow::Result<()> {
        let key = github::MergePullRequest::KEYS[0];
        let queue = Queue::of_command(key).context("a command has a worker queue")?;
        let mut worker = self.bus.inbox::<github::MergePullRequest>(queue).await?;
        let command = github::MergePullRequest::new(
            "33god/bloodbank",
            7,
            "3f1c2d4e5b6a79880917263544536271809fa0b1",
            github::MergePullRequestMethod::Squash,
            true,
            1,
            common::Person::new("Ada Lovelace", "ada@example.com"),
        );
        let sender = self.bus.publisher::<services::AgentFeedbackRouter>();
        let receipt = sender.send(&command).caused_by(first).await?;
        say(format_args!("sent       {key:<28}  {}", receipt.id))?;
        if let Some(received) = worker.next().await? {
            let command = &received.payload;
            say(format_args!(
                "handled    {key:<28}  {}#{} by {}",
                command.repository, command.number, command.method,
            ))?;
            worker.ack(received).await?;
        }
        worker.close().await;
        Ok(())
    }

    async fn receive(&self, count: usize) -> anyhow::Result<()> {
        let mut inbox = self.inbox().await?;
        for _ in 0..count {
            let received = inbox.next().await?.context("the bus has ended the listening")?;
            say(format_args!("received   {}", line(&received)))?;
            inbox.ack(received).await?;
        }
        inbox.close().await;
        Ok(())
    }

    async fn chain(&self, id: Uuid) -> anyhow::Result<()> {
        let chain = self.store.chain(id).await?.context("the chain is not stored")?;
        Ok(chain::draw(&chain)?)
    }

    /// The meeting's events again, into the same queue.
    async fn replay(&self, id: Uuid) -> anyhow::Result<()> {
        let first = self.store.get(id).await?.context("the event is not stored")?;
        let filter =
            Filter::new().with_key("theboard.meeting.*".parse()?).with_first(first.position);
        let plan = self.store.plan_replay(filter).await?;
        let options = ReplayOptions::new("demo").with_target(ReplayTarget::Queue(QUEUE.to_owned()));
        let transport = self.bus.transport().clone();
        let replay = Replay::begin(self.store.clone(), transport, &plan, options).await?;
        let run = replay.run_until(std::future::pending()).await?;
        say(format_args!("\nreplayed   {} events, as replay {}", run.sent, run.id))?;
        self.receive(usize::try_from(run.sent)?).await
    }
}

fn line(received: &Received<events::AnyEvent>) -> String {
    let Envelope { event_type, id, .. } = &*received.envelope;
    let again = if received.replay().is_some() { "  again" } else { "" };
    format!("{event_type:<28}  {id}{again}")
}
