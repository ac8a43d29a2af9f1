//! `doctor`: is everything as it should be, and what to do if not.

use std::time::{Duration, Instant};

use bloodbank::amqp::{Amqp, AmqpConfig, ConnectError, Mode, probe};
use bloodbank::uuid::Uuid;
use bloodbank::{Destination, Headers, Queue, Topology, Transport, TransportError, Verbatim};
use clap::Args;

use crate::FINDINGS;
use crate::bus::{self, block_on};
use crate::contracts::Source;
use crate::dlq::dead_letter_queues;
use crate::table::say;
use crate::topology::count;

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
            if let Some(mut config) = configuration(&mut report) {
                if !hosts(&mut report, &config).await {
                    // They will hardly come up now.
                    config.patience = config.patience.min(Duration::from_secs(2));
                }
                if let Some(amqp) = connection(&mut report, config).await {
                    round_trip(&mut report, &amqp).await;
                    clock(&mut report, &amqp).await;
                    queues(&mut report, &amqp, &topology).await;
                    history(&mut report, &amqp).await;
                    unrouted(&mut report, &amqp).await;
                    dead(&mut report, &amqp, &dead_letters).await;
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
            let places: Vec<_> = bus::places(&config).into_iter().map(|(_, place)| place).collect();
            report.fine("configuration", places.join(", "));
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
                bus::SET_URL,
            );
            None
        }
        Err(error) => {
            for fault in error.faults {
                let fix = if bus::is_of_url(&fault) { bus::ENCODE } else { "change the variable" };
                report.wrong("configuration", fault, fix);
            }
            None
        }
    }
}

/// Whether anything listens on one of the hosts.
async fn hosts(report: &mut Report, config: &AmqpConfig) -> bool {
    let mut any = false;
    for (host, port, tls) in config.addresses() {
        let found = match tls {
            true => probe::listens(&host, port)
                .await
                .map(|()| "listens; it speaks TLS, so its version is not asked".to_owned()),
            false => probe::version(&host, port).await.map(|version| format!("is {version}")),
        };
        match found {
            Ok(found) => {
                any = true;
                report.fine("host", format!("{host}:{port} {found}"));
            }
            Err(error) => report.wrong(
                "host",
                format!("{host}:{port}: {error}"),
                "start the broker, or correct host and port in RABBIT_URL",
            ),
        }
    }
    any
}

async fn connection(report: &mut Report, mut config: AmqpConfig) -> Option<Amqp> {
    // Whoever looks declares nothing, but for a queue of our own that goes with the connection.
    config.mode = Mode::Off;
    let places = bus::places(&config);
    let (error, fix) = match Amqp::connect(config).await {
        Ok(amqp) => {
            report.fine("connection", "user, password and vhost are accepted");
            return Some(amqp);
        }
        Err(error @ ConnectError::Refused { .. }) => {
            (error, "correct what is named, in RABBIT_URL or on the broker")
        }
        Err(error) => (error, "see the hosts above"),
    };
    report.wrong("connection", bus::readable(&places, &error.to_string()), fix);
    None
}

async fn round_trip(report: &mut Report, amqp: &Amqp) {
    let since = Instant::now();
    match echo(amqp).await {
        Ok(()) => {
            let took = since.elapsed().as_secs_f64() * 1_000.0;
            report.fine("publishing", format!("declared, published and confirmed in {took:.1} ms"));
        }
        Err(TransportError::Unknown) if amqp.is_blocked() => blocked(report),
        Err(TransportError::Blocked) => blocked(report),
        Err(error) => report.wrong("publishing", error.to_string(), fix(&error)),
    }
}

fn blocked(report: &mut Report) {
    report.wrong(
        "publishing",
        "the broker takes no messages: an alarm of its memory or disk",
        "`rabbitmq-diagnostics alarms` names it; free memory or disk, or raise the limit",
    );
}

/// What to do when the broker does not let us declare and publish.
fn fix(error: &TransportError) -> &'static str {
    match error {
        TransportError::Refused { .. } => {
            "give the user the permissions configure, write and read: `rabbitmqctl set_permissions`"
        }
        TransportError::Unknown => {
            "the broker is overloaded or stuck: `rabbitmq-diagnostics status`, and its log"
        }
        TransportError::Disconnected { .. } => {
            "the connection was lost in between: look at the network and the broker's log"
        }
        TransportError::Nacked { .. } => {
            "a queue is full or has lost its majority of nodes: the broker's log says which"
        }
        TransportError::Undeclared { .. } | TransportError::Unroutable { .. } => {
            "something deletes queues right away: look at the broker's policies and its log"
        }
        TransportError::Conflict { .. } => {
            "it is there with other properties: `bloodbank topology --check` compares"
        }
        _ => "the broker's log says more",
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
        Ok(Err(error)) => report.wrong("clock", error.to_string(), fix(&error)),
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
                "{} from registry.yaml; the first: {}",
                count(differences.len()),
                differences[0]
            ),
            "`bloodbank topology --check` lists them, `--apply` declares what is missing",
        ),
        Err(error) => report.wrong("topology", error.to_string(), fix(&error)),
    }
}

async fn history(report: &mut Report, amqp: &Amqp) {
    match amqp.history(Duration::ZERO).await {
        Ok(deliveries) => {
            deliveries.close().await;
            report.fine("history", "every event is kept for seven days");
        }
        Err(TransportError::Undeclared { .. }) => report
            .fine("history", "no history; `bloodbank topology --apply --history` keeps seven days"),
        Err(error) => report.wrong("history", error.to_string(), fix(&error)),
    }
}

async fn unrouted(report: &mut Report, amqp: &Amqp) {
    let queue = amqp.unrouted_queue();
    match amqp.depth(&queue).await {
        Ok(unrouted) => {
            report.fine("unrouted", format!("{unrouted} events that nobody listens to"))
        }
        // The topology says so.
        Err(TransportError::Undeclared { .. }) => {}
        Err(error) => {
            report.wrong(
                "unrouted",
                format!("`{queue}` cannot be looked at: {error}"),
                fix(&error),
            );
        }
    }
}

async fn dead(report: &mut Report, amqp: &Amqp, queues: &[String]) {
    let (mut dead, mut looked_at) = (0, 0);
    for queue in queues {
        match amqp.depth(queue).await {
            Ok(depth) => {
                dead += depth;
                looked_at += 1;
            }
            Err(TransportError::Undeclared { .. }) => {}
            // One is enough: the next will say the same.
            Err(error) => {
                let text = format!("`{queue}` cannot be looked at: {error}");
                return report.wrong("dead letters", text, fix(&error));
            }
        }
    }
    match (dead, looked_at) {
        (0, 0) => report.fine("dead letters", "no queue for them is there yet"),
        (0, n) if n < queues.len() => {
            report.fine("dead letters", format!("none in the {n} queues that are there"));
        }
        (0, _) => report.fine("dead letters", "none"),
        (n, _) => {
            report.wrong("dead letters", n.to_string(), "`bloodbank dlq ls` says where and why");
        }
    }
}
