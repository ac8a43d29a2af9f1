//! `tail`: what passes on the bus.

use std::io::{self, Write};
use std::time::Duration;

use anyhow::Context;
use bloodbank::amqp::Amqp;
use bloodbank::candystore::{EventStore, Filter, Followed, Start};
use bloodbank::chrono::{TimeDelta, Utc};
use bloodbank::uuid::Uuid;
use bloodbank::{
    Envelope, Exchange, Kind, Queue, Settlement, Subscription, TopicPattern, Topology, Transport,
    escape_control,
};
use clap::Args;

use crate::bus::{Connected, block_on};
use crate::contracts::{self, Source};
use crate::mask::Mask;
use crate::store::event;
use crate::{span, when};

#[derive(Args)]
pub(crate) struct Tail {
    /// Which keys: `*` is one word, `#` any number of them.
    #[arg(default_value = "#")]
    pattern: TopicPattern,
    /// Whole envelopes, one a line, instead of a line for people without the payload.
    #[arg(long)]
    json: bool,
    /// Also what contracts mark as sensitive.
    #[arg(long, requires = "json")]
    reveal: bool,
    /// Commands, too, once their worker queue has them.
    #[arg(long)]
    commands: bool,
    /// Begin this long ago: `90s`, `10m`, `2h`, `1d`. RabbitMQ must keep a history for it:
    /// `bloodbank topology --apply --history`.
    #[arg(long, value_name = "AGE", value_parser = span::parse)]
    since: Option<Duration>,
}

impl Tail {
    /// Runs until it is interrupted.
    pub(crate) fn run(&self, source: &Source) -> anyhow::Result<u8> {
        block_on(self.follow(source))?;
        Ok(0)
    }

    async fn follow(&self, source: &Source) -> anyhow::Result<()> {
        let mask = Mask::new(source, self.reveal || !self.json)?;
        match Connected::open(contracts::at_hand(source)?).await? {
            Connected::RabbitMq(amqp) => self.on_rabbitmq(&amqp, &mask).await,
            Connected::Embedded(embedded) => self.in_store(embedded.store(), &mask).await,
        }
    }

    async fn on_rabbitmq(&self, amqp: &Amqp, mask: &Mask) -> anyhow::Result<()> {
        let mut deliveries = match self.since {
            None => self.subscribe(amqp).await?,
            Some(age) => amqp.history(age).await.context(
                "there is no history; `bloodbank topology --apply --history` begins one",
            )?,
        };
        self.listening();
        loop {
            let delivery = tokio::select! {
                delivery = deliveries.recv() => delivery,
                interrupted = tokio::signal::ctrl_c() => return Ok(interrupted?),
            };
            let Some(delivery) = delivery else { anyhow::bail!("the bus has ended the listening") };
            if self.pattern.matches(&delivery.key) {
                self.show(&delivery.key, &delivery.body, mask)?;
            }
            amqp.settle(&delivery, Settlement::Ack).await.ok();
        }
    }

    /// The log is the bus: nothing needs to be declared to hear it.
    async fn in_store(&self, store: &EventStore, mask: &Mask) -> anyhow::Result<()> {
        let filter = Filter::new().with_key(self.pattern.clone());
        let filter = if self.commands { filter } else { filter.with_kind(Kind::Event) };
        let start = self.since.map_or(Start::Now, |age| {
            let age = TimeDelta::from_std(age).ok();
            let time = age.and_then(|age| Utc::now().checked_sub_signed(age));
            // Before there was time there is all of it.
            time.map_or(Start::Position(1), Start::Time)
        });
        let mut follow = store.follow(filter, start).await?;
        self.listening();
        loop {
            let followed = tokio::select! {
                followed = follow.next() => followed?,
                interrupted = tokio::signal::ctrl_c() => return Ok(interrupted?),
            };
            match followed {
                Followed::Event(event) => self.show(&event.key, &event.body, mask)?,
                Followed::Damaged(damaged) => eprintln!("{}", event::damaged(&damaged)),
                Followed::Pruned(range) => eprintln!("{}", event::pruned(&range)),
                other => eprintln!("note: {other:?}"),
            }
        }
    }

    fn listening(&self) {
        eprintln!("listening for `{}`; Ctrl-C ends", self.pattern);
    }

    async fn subscribe(&self, transport: &dyn Transport) -> anyhow::Result<bloodbank::Deliveries> {
        let name = format!("bloodbank.tail.{}", Uuid::now_v7().simple());
        let mut queue = Queue::new(&*name).temporary().recorder();
        queue = queue.bind(Exchange::Events, self.pattern.clone());
        if self.commands {
            queue = queue.bind(Exchange::Audit, self.pattern.clone());
        }
        transport.declare(&Topology::new().with_queue(queue)).await?;
        Ok(transport.subscribe(Subscription::new(name)).await?)
    }

    fn show(&self, key: &str, body: &[u8], mask: &Mask) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match Envelope::from_bytes(&mask.body(key, body)) {
            Ok(envelope) if self.json => {
                // In one line, however it was written.
                serde_json::to_writer(&mut out, &envelope)?;
                writeln!(out)?;
            }
            Ok(envelope) => writeln!(out, "{}", line(&envelope))?,
            Err(error) => {
                let (key, error) = (escape_control(key), error.to_string());
                let now = when::show(Utc::now());
                let line = format!("{now}  {key:<34}  not an envelope: {}", escape_control(&error));
                match self.json {
                    // Standard output is for programs then.
                    true => eprintln!("{line}"),
                    false => writeln!(out, "{line}")?,
                }
            }
        }
        out.flush()
    }
}

/// A line for people; payloads may be large, or nobody's business.
fn line(envelope: &Envelope) -> String {
    let key = escape_control(&envelope.event_type);
    let source = escape_control(&envelope.source);
    let mut line =
        format!("{}  {key:<34}  {source:<24}  {}", when::show(envelope.timestamp), envelope.id);
    if let Some(cause) = envelope.causation_id {
        line.push_str(&format!("  after {cause}"));
    }
    line
}
