//! `doctor`: is everything as it should be, and what to do if not.

use std::time::{Duration, Instant};

use bloodbank::amqp::{Amqp, AmqpConfig, ConnectError, probe};
use bloodbank::uuid::Uuid;
use bloodbank::{Destination, Headers, Queue, Topology, Transport, TransportError, Verbatim};
use clap::Args;

use crate::FINDINGS;
use crate::bus::block_on;
use crate::contracts::Source;
use crate::dlq::dead_letter_queues;
use crate::table::say;

/// More seconds between two clocks than this are worth a word.
const SKEW: i64 = 2;

#[derive(Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    contracts: Source,
}

/// One line of the report.
enum Finding {
    Fine(String),
    /// What is wrong, and what to do about it.
    Wrong(String, String),
}

/// What was found so far; printed as it is found.
#[derive(Default)]
struct Report {
    wrong: usize,
    /// Set when nobody reads on.
    ended: Option<std::io::Error>,
}

impl Report {
    fn add(&mut self, subject: &str, finding: Finding) {
        let said = match finding {
            Finding::Fine(text) => say(format_args!("ok     {subject:<14} {text}")),
            Finding::Wrong(text, fix) => {
                self.wrong += 1;
                say(format_args!("wrong  {subject:<14} {text}\n{:22}fix: {fix}", ""))
            }
        };
        if let Err(error) = said {
            self.ended.get_or_insert(error);
        }
    }

    fn fine(&mut self, subject: &str, text: impl Into<String>) {
        self.add(subject, Finding::Fine(text.into()));
    }

    fn wrong(&mut self, subject: &str, text: impl Into<String>, fix: &str) {
        self.add(subject, Finding::Wrong(text.into(), fix.to_owned()));
    }
}

impl Doctor {
    /// Exits 0 when all is well, 100 when something is wrong.
    pub(crate) fn run(&self) -> anyhow::Result<u8> {
        let topology = Topology::of(&self.contracts.bundle()?);
        let dead_letters = dead_letter_queues(&self.contracts.bundle()?);
        let mut report = Report::default();
        block_on(async {
            if let Some(config) = configuration(&mut report) {
                hosts(&mut report, &config).await;
                if let Some(amqp) = connection(&mut report, config).await {
                    round_trip(&mut report, &amqp).await;
                    clock(&mut report, &amqp).await;
                    queues(&mut report, &amqp, &topology).await;
                    left_over(&mut report, &amqp, &dead_letters).await;
                    amqp.close().await;
                }
            }
            Ok(())
        })?;
        if let Some(error) = report.ended {
            return Err(error.into());
        }
        match report.wrong {
            0 => say("\nall is well")?,
            1 => say("\n1 thing is wrong")?,
            n => say(format_args!("\n{n} things are wrong"))?,
        }
        Ok(if report.wrong == 0 { 0 } else { FINDINGS })
    }
}

fn configuration(report: &mut Report) -> Option<AmqpConfig> {
    match AmqpConfig::from_env() {
        Ok(Some(config)) => {
            report.fine("configuration", config.shown_hosts().join(", "));
            if config.uses_guest_remotely() {
                report.wrong(
                    "user",
                    "`guest` on a host that is not this one; RabbitMQ lets it in from loopback only",
                    "make a user (`rabbitmqctl add_user`, `set_permissions`) and name it in RABBIT_URL",
                );
            }
            Some(config)
        }
        Ok(None) => {
            report.wrong(
                "configuration",
                "no RabbitMQ is named; the bus is one in memory",
                "set RABBIT_URL=amqp://user:password@host:port/vhost",
            );
            None
        }
        Err(error) => {
            for fault in error.faults {
                report.wrong("configuration", fault, "change the variable");
            }
            None
        }
    }
}

async fn hosts(report: &mut Report, config: &AmqpConfig) {
    for (host, port, tls) in config.addresses() {
        let subject = "host";
        if tls {
            report.fine(subject, format!("{host}:{port} speaks TLS; its version is not asked"));
            continue;
        }
        match probe::version(&host, port).await {
            Ok(version) => report.fine(subject, format!("{host}:{port} is {version}")),
            Err(error) => report.wrong(
                subject,
                format!("{host}:{port}: {error}"),
                "start the broker, or correct host and port in RABBIT_URL",
            ),
        }
    }
}

async fn connection(report: &mut Report, config: AmqpConfig) -> Option<Amqp> {
    match Amqp::connect(config).await {
        Ok(amqp) => {
            report.fine("connection", "user, password and vhost are accepted");
            Some(amqp)
        }
        Err(ConnectError::Refused { reason }) => {
            report.wrong(
                "connection",
                reason,
                "correct what is named, in RABBIT_URL or on the broker",
            );
            None
        }
        Err(error) => {
            report.wrong("connection", error.to_string(), "see the hosts above");
            None
        }
    }
}

async fn round_trip(report: &mut Report, amqp: &Amqp) {
    let since = Instant::now();
    match echo(amqp).await {
        Ok(()) => {
            let took = since.elapsed().as_secs_f64() * 1_000.0;
            report.fine("publishing", format!("declared, published and confirmed in {took:.1} ms"));
        }
        Err(TransportError::Blocked | TransportError::Unknown) => report.wrong(
            "publishing",
            "the broker takes no messages: an alarm of its memory or disk",
            "`rabbitmq-diagnostics alarms` names it; free memory or disk, or raise the limit",
        ),
        Err(error) => report.wrong(
            "publishing",
            error.to_string(),
            "give the user the permissions configure, write and read",
        ),
    }
}

/// A message into a queue of our own, which goes with the connection.
async fn echo(amqp: &Amqp) -> Result<(), TransportError> {
    let name = format!("bloodbank.doctor.{}", Uuid::now_v7().simple());
    let queue = Queue::new(&*name).temporary().recorder();
    amqp.declare(&Topology::new().with_queue(queue)).await?;
    let message = Verbatim::stored("bloodbank.doctor", *b"", Headers::new());
    amqp.forward(message, Destination::queue(name)).await
}

async fn clock(report: &mut Report, amqp: &Amqp) {
    let asked = tokio::time::timeout(Duration::from_secs(5), amqp.clock_skew()).await;
    match asked {
        Ok(Ok(skew)) if skew.abs() <= SKEW => report.fine("clock", "that of the broker is ours"),
        Ok(Ok(skew)) => report.wrong(
            "clock",
            format!(
                "the broker's is {} s {}",
                skew.abs(),
                if skew > 0 { "ahead" } else { "behind" }
            ),
            "let both hosts follow a time server",
        ),
        Ok(Err(error)) => report.wrong("clock", error.to_string(), "see publishing above"),
        Err(_) => report.wrong("clock", "no answer", "see publishing above"),
    }
}

async fn queues(report: &mut Report, amqp: &Amqp, topology: &Topology) {
    match amqp.compare(topology).await {
        Ok(differences) if differences.is_empty() => {
            let count = topology.queues.len();
            report.fine("topology", format!("all {count} queues and their exchanges are there"));
        }
        Ok(differences) => report.wrong(
            "topology",
            format!(
                "{} differences from registry.yaml; the first: {}",
                differences.len(),
                differences[0]
            ),
            "`bloodbank topology --check` lists them, `--apply` declares what is missing",
        ),
        Err(error) => report.wrong("topology", error.to_string(), "see connection above"),
    }
}

async fn left_over(report: &mut Report, amqp: &Amqp, dead_letter_queues: &[String]) {
    if let Ok(unrouted) = amqp.depth(&amqp.unrouted_queue()).await {
        report.fine("unrouted", format!("{unrouted} events that nobody listens to"));
    }
    let mut dead = 0;
    for queue in dead_letter_queues {
        dead += amqp.depth(queue).await.unwrap_or(0);
    }
    match dead {
        0 => report.fine("dead letters", "none"),
        n => report.wrong("dead letters", n.to_string(), "`bloodbank dlq ls` says where and why"),
    }
}
