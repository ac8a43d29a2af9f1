//! The doctor's look at RabbitMQ.

use std::time::{Duration, Instant};

use bloodbank::amqp::{Amqp, AmqpConfig, BrokerHost, ConnectError, Mode, probe};
use bloodbank::uuid::Uuid;
use bloodbank::{Destination, Headers, Queue, Topology, Transport, TransportError, Verbatim};

use super::Report;
use crate::bus;
use crate::hints;
use crate::topology::count;

/// More seconds between two clocks than this are worth a word.
const SKEW: i64 = 2;

/// Looks at everything, as far as it gets.
pub(super) async fn look(
    report: &mut Report,
    mut config: AmqpConfig,
    topology: &Topology,
    dead_letters: &[String],
) {
    configuration(report, &config);
    if !hosts(report, &config).await {
        // They will hardly come up now.
        config.patience = config.patience.min(Duration::from_secs(2));
    }
    if let Some(amqp) = connection(report, config).await {
        round_trip(report, &amqp).await;
        clock(report, &amqp).await;
        queues(report, &amqp, topology).await;
        history(report, &amqp).await;
        unrouted(report, &amqp).await;
        dead(report, &amqp, dead_letters).await;
        amqp.close().await;
    }
}

fn configuration(report: &mut Report, config: &AmqpConfig) {
    let places: Vec<String> = config.hosts().iter().map(bus::place).collect();
    report.fine("configuration", places.join(", "));
    if config.uses_guest_remotely() {
        report.wrong(
            "user",
            "`guest` on a host that is not this one; RabbitMQ lets it in from loopback only",
            "make a user (`rabbitmqctl add_user`, `set_permissions`) and name it in RABBIT_URL",
        );
    }
}

/// Whether anything listens on one of the hosts.
async fn hosts(report: &mut Report, config: &AmqpConfig) -> bool {
    let mut any = false;
    for BrokerHost { host, port, tls, .. } in config.hosts() {
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
    let (error, fix) = match Amqp::connect(config).await {
        Ok(amqp) => {
            report.fine("connection", "user, password and vhost are accepted");
            return Some(amqp);
        }
        Err(error @ ConnectError::Refused(_)) => {
            let fix = hints::of(&error);
            (error, fix.unwrap_or("correct what is named, in RABBIT_URL or on the broker"))
        }
        Err(error) => (error, "see the hosts above"),
    };
    report.wrong("connection", bus::readable(&error), fix);
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
    let Some(queue) = amqp.unrouted_queue() else { return };
    match amqp.depth(&queue).await {
        Ok(0) => report.fine("unrouted", "events that nobody listens to: 0"),
        Ok(unrouted) => {
            let text = format!(
                "events that nobody listens to: {unrouted}; `bloodbank dlq show {queue}` lists them"
            );
            report.fine("unrouted", text);
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
