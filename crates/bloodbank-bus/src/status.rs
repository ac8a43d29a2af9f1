//! How a bus is doing, for probes and for people.

use std::time::Duration;

use serde_json::{Value, json};

use crate::TransportError;

/// How a bus and its subscribers are doing at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BusStatus {
    /// Why the transport takes nothing; `None` if it works.
    pub trouble: Option<Trouble>,
    /// Each subscriber that runs, or has not run yet, or has ended.
    pub subscribers: Vec<SubscriberStatus>,
}

/// Why a transport takes nothing at the moment: it is disconnected, blocked, refused or closed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trouble {
    /// What a publisher would be told.
    pub error: TransportError,
    /// For how long; zero where the transport does not know.
    pub lasting: Duration,
}

impl Trouble {
    /// Trouble that has been lasting for so long.
    pub fn new(error: TransportError, lasting: Duration) -> Self {
        Trouble { error, lasting }
    }
}

/// How a subscriber is doing at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscriberStatus {
    /// The service's name.
    pub service: &'static str,
    /// Where it stands.
    pub phase: Phase,
    /// Each of its queues, once it runs.
    pub queues: Vec<QueueStatus>,
}

/// Where a subscriber stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// It does not consume each of its queues yet.
    Starting,
    /// It consumes each of its queues.
    Running,
    /// It takes nothing new, and lets handlers finish.
    Draining,
    /// It has ended.
    Ended,
}

impl Phase {
    /// Its word in answers to probes.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Starting => "starting",
            Phase::Running => "running",
            Phase::Draining => "draining",
            Phase::Ended => "ended",
        }
    }
}

/// How one queue of a subscriber is doing at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueStatus {
    /// Its name.
    pub queue: String,
    /// How many of its messages are being handled.
    pub handling: usize,
    /// How long the oldest handler has been running; `None` if none runs.
    pub oldest_handler: Option<Duration>,
}

/// The answer to a probe, such as a container platform sends: no more than a status code and a body of
/// JSON, for any web framework.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProbeAnswer {
    /// The status code of HTTP: 200 or 503.
    pub code: u16,
    /// JSON, for people and tools.
    pub body: String,
}

impl BusStatus {
    /// From a transport and its subscribers.
    pub fn new(trouble: Option<Trouble>, subscribers: Vec<SubscriberStatus>) -> Self {
        BusStatus { trouble, subscribers }
    }

    /// Whether the transport works and each subscriber runs.
    pub fn is_ready(&self) -> bool {
        let runs = |subscriber: &SubscriberStatus| subscriber.phase == Phase::Running;
        self.trouble.is_none() && self.subscribers.iter().all(runs)
    }

    /// The answer to a probe that asks whether the service is ready: 200 if it [is](BusStatus::is_ready),
    /// else 503, with what is the matter. Do not let a platform restart a service for it: a restart
    /// brings no broker back.
    ///
    /// The body names services, queues, and the transport's words; keep it from the public.
    pub fn probe(&self) -> ProbeAnswer {
        let is_ready = self.is_ready();
        let body = json!({
            "ready": is_ready,
            "transport": self.trouble.as_ref().map_or_else(|| json!({"works": true}), trouble),
            "subscribers": self.subscribers.iter().map(subscriber).collect::<Vec<Value>>(),
        });
        ProbeAnswer { code: if is_ready { 200 } else { 503 }, body: body.to_string() }
    }
}

fn trouble(trouble: &Trouble) -> Value {
    json!({
        "works": false,
        "code": trouble.error.code().as_str(),
        "error": trouble.error.to_string(),
        "seconds": trouble.lasting.as_secs(),
    })
}

fn subscriber(subscriber: &SubscriberStatus) -> Value {
    let queues = subscriber.queues.iter().map(|queue| {
        json!({
            "queue": queue.queue,
            "handling": queue.handling,
            "oldest_handler_seconds": queue.oldest_handler.map(|age| age.as_secs()),
        })
    });
    json!({
        "service": subscriber.service,
        "phase": subscriber.phase.as_str(),
        "queues": queues.collect::<Vec<Value>>(),
    })
}
