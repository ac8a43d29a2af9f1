//! `topology`: the exchanges, queues and bindings that registry.yaml asks for.

use std::io;

use anyhow::Context;
use bloodbank::amqp::{AmqpConfig, Exchanges};
use bloodbank::{Queue, Topology, Transport};
use clap::Args;

use crate::bus::{Connected, block_on};
use crate::contracts::Source;
use crate::table::{Table, say};

/// Exit code where the broker is not as registry.yaml asks.
const DIFFERENT: u8 = 4;

#[derive(Args)]
pub(crate) struct ShowTopology {
    /// Compare with the live broker; exit 4 if something is missing or otherwise.
    #[arg(long, conflicts_with = "apply")]
    check: bool,
    /// Declare what is missing. Nothing is ever deleted.
    #[arg(long)]
    apply: bool,
    /// Also a stream that keeps every event for seven days, for `tail --since`.
    #[arg(long)]
    history: bool,
    #[command(flatten)]
    contracts: Source,
}

impl ShowTopology {
    pub(crate) fn run(&self) -> anyhow::Result<u8> {
        let topology = Topology::of(&self.contracts.bundle()?);
        if self.check {
            block_on(self.compare(&topology))
        } else if self.apply {
            block_on(self.declare(&topology))
        } else {
            let config = AmqpConfig::from_env()?;
            let exchanges = config.map(|config| config.exchanges).unwrap_or_default();
            print(&exchanges, &topology)?;
            Ok(0)
        }
    }

    async fn compare(&self, topology: &Topology) -> anyhow::Result<u8> {
        let amqp = Connected::rabbitmq().await?;
        let differences = amqp.compare(topology).await?;
        for difference in &differences {
            say(format_args!("{difference}"))?;
        }
        amqp.close().await;
        if differences.is_empty() {
            say(format_args!(
                "the broker has all {} queues and their exchanges",
                topology.queues.len()
            ))?;
            return Ok(0);
        }
        eprintln!(
            "{} differences; `bloodbank topology --apply` declares what is missing, and what is \
             otherwise must be deleted first, by hand",
            differences.len()
        );
        Ok(DIFFERENT)
    }

    async fn declare(&self, topology: &Topology) -> anyhow::Result<u8> {
        let amqp = Connected::rabbitmq().await?;
        let hint = "`bloodbank topology --check` shows every difference";
        amqp.declare(topology).await.context(hint)?;
        if self.history {
            amqp.keep_history().await.context(hint)?;
        }
        amqp.close().await;
        say(format_args!(
            "declared: {} queues, with their exchanges and bindings",
            topology.queues.len()
        ))?;
        Ok(0)
    }
}

fn print(exchanges: &Exchanges, topology: &Topology) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let mut table = Table::new(["exchange", "type", "what goes there"]);
    table.row([&exchanges.events, &exchanges.events_type, "events"]);
    table.row([&exchanges.commands, "topic", "commands"]);
    table.row([&exchanges.audit, "topic", "a copy of each command that was sent"]);
    table.print(&mut out)?;
    say("")?;
    let mut queues: Vec<&Queue> = topology.queues.iter().collect();
    queues.sort_by_key(|queue| (queue.bindings.is_empty(), &queue.name));
    let mut table = Table::new(["queue", "gets", "dead letters"]);
    for queue in queues.iter().filter(|queue| queue.dead_letters.is_some()) {
        let patterns: Vec<String> =
            queue.bindings.iter().map(|binding| binding.pattern.to_string()).collect();
        let dead = queue.dead_letters.as_deref().unwrap_or_default();
        table.row([&queue.name, &patterns.join(" "), dead]);
    }
    table.print(&mut out)
}
