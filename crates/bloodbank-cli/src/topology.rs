//! `topology`: the services of registry.yaml, and the exchanges, queues and bindings that it asks for.

mod services;

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use bloodbank::amqp::probe::{self, PlannedQueue};
use bloodbank::amqp::{AmqpConfig, Exchanges, Mode};
use bloodbank::{Binding, BundledExchange, Contracts, Queue, Topology, Transport};
use clap::Args;

use crate::bus::{self, block_on};
use crate::contracts::{self, Source};
use crate::table::{Table, say};

/// Exit code where the broker is not as registry.yaml asks.
const DIFFERENT: u8 = 4;

#[derive(Args)]
pub(crate) struct ShowTopology {
    /// Compare with the live broker; exit 4 if something is missing or otherwise.
    #[arg(long, conflicts_with = "apply")]
    check: bool,
    /// Declare what is missing, whatever RABBIT_TOPOLOGY says. Nothing is ever deleted.
    #[arg(long)]
    apply: bool,
    /// Also a stream that keeps every event for seven days, for `tail --since`.
    #[arg(long, requires = "apply")]
    history: bool,
    /// As JSON, with everything that registry.yaml says of its services.
    #[arg(long, conflicts_with_all = ["check", "apply"])]
    json: bool,
}

impl ShowTopology {
    pub(crate) fn run(&self, source: &Source) -> anyhow::Result<u8> {
        let known = if self.apply { source.read_own()? } else { source.read()? };
        let contracts = known.contracts;
        let bundle = contracts.bundle();
        let topology = Topology::of(bundle);
        let declared = bundle.exchange.as_ref();
        if self.check {
            block_on(compare(declared, topology))
        } else if self.apply {
            block_on(self.declare(topology, contracts.clone()))
        } else {
            let exchanges = Exchanges::from_env_and(declared)?;
            if self.json {
                say(format_args!("{:#}", services::as_json(bundle, &exchanges, &topology)?))?;
            } else {
                services::print(bundle)?;
                print(&exchanges, &topology)?;
            }
            Ok(0)
        }
    }

    async fn declare(&self, mut topology: Topology, contracts: Contracts) -> anyhow::Result<u8> {
        let declared = contracts.bundle().exchange.as_ref();
        let mut history = "";
        match AmqpConfig::from_env_and(declared)? {
            Some(mut config) => {
                config.mode = Mode::Create;
                let amqp = bus::connect(config).await?;
                amqp.declare(&topology).await?;
                if self.history {
                    amqp.keep_history().await?;
                    history = ", and a history of seven days";
                }
                amqp.close().await;
            }
            None => {
                topology = without_recorders(topology);
                let embedded = bus::embedded(contracts).await?;
                embedded.declare(&topology).await?;
                embedded.close().await;
                if self.history {
                    history = "; the store keeps every event anyway";
                }
            }
        }
        say(format_args!(
            "declared: {} queues, with their exchanges and bindings{history}",
            topology.queues.len()
        ))?;
        Ok(0)
    }
}

async fn compare(declared: Option<&BundledExchange>, topology: Topology) -> anyhow::Result<u8> {
    let differences = match AmqpConfig::from_env_and(declared)? {
        Some(config) => on_rabbitmq(config, &topology).await?,
        None => in_store(&without_recorders(topology)).await?,
    };
    if differences.is_empty() {
        return Ok(0);
    }
    eprintln!(
        "{}; `bloodbank topology --apply` declares what is missing, and what is otherwise \
         must be deleted first, by hand",
        count(differences.len())
    );
    Ok(DIFFERENT)
}

/// The store records everything by itself. A queue for that, which nobody reads, would only keep it
/// from being pruned.
pub(crate) fn without_recorders(mut topology: Topology) -> Topology {
    let recorders: Vec<Queue> =
        topology.queues.iter().filter(|queue| queue.recorder).cloned().collect();
    topology.queues.retain(|queue| {
        let is_its = |recorder: &Queue| recorder.dead_letters.as_ref() == Some(&queue.name);
        !queue.recorder && !recorders.iter().any(is_its)
    });
    topology
}

/// Shows what is otherwise on the broker.
async fn on_rabbitmq(mut config: AmqpConfig, topology: &Topology) -> anyhow::Result<Vec<String>> {
    // Else what is looked for is declared with the connection.
    config.mode = Mode::Off;
    let amqp = bus::connect(config).await?;
    let differences: Vec<String> =
        amqp.compare(topology).await?.iter().map(ToString::to_string).collect();
    amqp.close().await;
    differences.iter().try_for_each(say)?;
    if differences.is_empty() {
        let queues = topology.queues.len();
        say(format_args!("the broker has all {queues} queues and their exchanges"))?;
    }
    say(
        "bindings were not compared, as AMQP cannot list them; --apply makes those that are missing",
    )?;
    Ok(differences)
}

/// Shows what is otherwise in the store.
async fn in_store(topology: &Topology) -> anyhow::Result<Vec<String>> {
    let embedded = bus::embedded(contracts::none()).await?;
    let existing: Vec<Queue> =
        embedded.queues().await?.into_iter().map(|status| status.queue).collect();
    embedded.close().await;
    let differences: Vec<String> =
        topology.queues.iter().filter_map(|queue| difference(queue, &existing)).collect();
    differences.iter().try_for_each(say)?;
    if differences.is_empty() {
        say(format_args!("the store has all {} queues and bindings", topology.queues.len()))?;
    }
    Ok(differences)
}

/// What a queue lacks in the store.
fn difference(queue: &Queue, existing: &[Queue]) -> Option<String> {
    let name = &queue.name;
    let Some(there) = existing.iter().find(|there| there.name == *name) else {
        return Some(format!("queue `{name}` is missing"));
    };
    if let Err(error) = Topology::new().with_queue(queue.clone()).check_against(existing) {
        return Some(error.to_string());
    }
    let is_missing = |binding: &&Binding| !there.bindings.contains(binding);
    let missing: Vec<String> = queue
        .bindings
        .iter()
        .filter(is_missing)
        .map(|binding| format!("`{}`", binding.pattern))
        .collect();
    (!missing.is_empty()).then(|| format!("queue `{name}` is not bound to {}", missing.join(", ")))
}

/// `1 difference`, `2 differences`.
pub(crate) fn count(differences: usize) -> String {
    format!("{differences} difference{}", if differences == 1 { "" } else { "s" })
}

fn print(exchanges: &Exchanges, topology: &Topology) -> anyhow::Result<()> {
    let plan = probe::plan(exchanges, topology)?;
    let mut out = io::stdout().lock();
    let mut table = Table::new(["exchange", "type", "what goes there"]);
    for exchange in &plan.exchanges {
        table.row([&exchange.name, &exchange.kind, exchange.purpose]);
    }
    table.print(&mut out)?;
    drop(out);
    say("")?;
    queues(&plan.queues, topology)?;
    say(
        "\nA queue of events without a limit takes whatever comes; one that is full lets its oldest go to its",
    )?;
    say(
        "dead letters. Full queues of commands refuse more. The dead-letter queues are of the same kind, and so",
    )?;
    say(
        "are the queues beside each in which messages wait until they are tried again. All of these have room",
    )?;
    say("for 1,000,000 messages, and refuse more.")?;
    let waits: BTreeSet<Duration> = topology.delays.values().flatten().copied().collect();
    for wait in waits {
        let name = plan.queues.iter().find(|queue| queue.waits == Some(wait));
        let suffix = name.and_then(|queue| queue.name.rsplit('.').next()).unwrap_or_default();
        let name = format!("<queue>.retry.{suffix}");
        say(format_args!("  {name:<18} {}", delay(wait)))?;
    }
    Ok(())
}

/// The queues of services and commands, then those of the bus itself.
fn queues(planned: &[PlannedQueue], topology: &Topology) -> io::Result<()> {
    let mut table = Table::new(["queue", "kind", "limit", "gets", "dead letters", "retries after"]);
    let mut queues: Vec<&Queue> = topology.queues.iter().collect();
    queues.sort_by_key(|queue| (queue.bindings.is_empty(), &queue.name));
    for queue in queues.iter().filter(|queue| queue.dead_letters.is_some()) {
        let patterns: Vec<String> =
            queue.bindings.iter().map(|binding| binding.pattern.to_string()).collect();
        let dead = queue.dead_letters.as_deref().unwrap_or_default();
        let planned = planned.iter().find(|planned| planned.name == queue.name);
        let (kind, limit) = planned.map_or(("", String::new()), |it| (&*it.kind, limit(it)));
        let retries: Vec<String> = topology.delays_of(&queue.name).map(delay).collect();
        let (patterns, retries) = (patterns.join(" "), retries.join(", "));
        table.row([&queue.name, kind, &limit, &patterns, dead, &retries]);
    }
    let own = |queue: &&PlannedQueue| !topology.queues.iter().any(|q| q.name == queue.name);
    for queue in planned.iter().filter(own).filter(|queue| queue.waits.is_none()) {
        let gets = "events that nobody listens to; the oldest go first";
        table.row([&queue.name, &queue.kind, &limit(queue), gets, "", ""]);
    }
    table.print(&mut io::stdout().lock())
}

/// `1 s`, `10 min`.
fn delay(wait: Duration) -> String {
    match (wait.as_millis(), wait.as_secs()) {
        (millis, _) if !millis.is_multiple_of(1_000) => format!("{millis} ms"),
        (_, seconds) if seconds > 0 && seconds.is_multiple_of(60) => {
            format!("{} min", seconds / 60)
        }
        (_, seconds) => format!("{seconds} s"),
    }
}

/// With commas: `1,000,000`; or `none`.
fn limit(queue: &PlannedQueue) -> String {
    let Some(most) = queue.max_len else { return "none".to_owned() };
    let digits = most.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
