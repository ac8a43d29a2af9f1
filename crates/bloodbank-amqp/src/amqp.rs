//! The transport.

mod inner;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bloodbank_bus::{
    BoxFuture, Confirm, Deliveries, Delivery, Destination, Encoded, Exchange, Headers, Outcome,
    Queue, Report, Request, Settlement, Subscription, Topology, Transport, TransportError, Trouble,
    Verbatim, headers,
};
use bloodbank_core::Kind;
use lapin::types::ShortString;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use self::inner::{Inner, confirm};
use crate::config::AmqpConfig;
use crate::connect::ConnectError;
use crate::consumer::Intakes;
use crate::diff::{self, Difference};
use crate::host::{HostError, HostFailure};
use crate::lane::Lane;
use crate::link::{Link, State};
use crate::replies::Replies;
use crate::supervisor::Supervisor;
use crate::wire::{short, text_of};
use crate::{history, probe};

/// A bus on RabbitMQ. Clones share the connection, which lasts until [`close`](Transport::close).
#[derive(Clone)]
pub struct Amqp {
    inner: Arc<Inner>,
}

impl Amqp {
    /// Connects, and waits for the first connection.
    ///
    /// # Errors
    /// [`ConnectError::Refused`] at once; [`ConnectError::Unreachable`] when there is none in
    /// [`AmqpConfig::patience`]. Use [`start`](Amqp::start) to wait longer.
    pub async fn connect(config: AmqpConfig) -> Result<Self, ConnectError> {
        let patience = config.patience;
        let amqp = Amqp::start(config);
        let up = amqp.inner.link.up(Instant::now() + patience).await;
        match up {
            Ok(_) => Ok(amqp),
            Err(_) => {
                let state = amqp.inner.link.status().state;
                amqp.close().await;
                let mut hosts = match state {
                    State::Refused { failure, .. } => return Err(ConnectError::Refused(failure)),
                    State::Down(hosts) => hosts,
                    State::Up(_) | State::Closed => Vec::new(),
                };
                for host in amqp.config().hosts() {
                    if !hosts.iter().any(|failure| failure.host == host) {
                        let cause = HostError::Silent { waited: None };
                        hosts.push(HostFailure { host, cause });
                    }
                }
                Err(ConnectError::Unreachable { hosts, waited: patience })
            }
        }
    }

    /// Connects in the background, for ever. Until then everything fails as it does while the broker
    /// is away.
    pub fn start(config: AmqpConfig) -> Self {
        let config = Arc::new(config);
        let link = Link::new(config.grace);
        let replies = Replies::default();
        let lane = |replies| {
            Lane::start(link.clone(), config.deadline, config.window, config.capacity, replies)
        };
        let (declared, closing) = (Arc::default(), Arc::new(Notify::new()));
        let inner = Inner {
            events: lane(None),
            commands: lane(Some(replies.clone())),
            forwards: lane(None),
            config: config.clone(),
            link: link.clone(),
            declared: Arc::clone(&declared),
            intakes: Intakes::default(),
            replies,
            recording: Arc::default(),
            closing: closing.clone(),
        };
        tokio::spawn(Supervisor { config, link, declared, closing }.run());
        Amqp { inner: Arc::new(inner) }
    }

    /// How it is configured.
    pub fn config(&self) -> &AmqpConfig {
        &self.inner.config
    }

    /// What the broker lacks of a topology, or has otherwise. Changes nothing.
    ///
    /// # Errors
    /// If the broker cannot be asked.
    pub async fn compare(&self, topology: &Topology) -> Result<Vec<Difference>, TransportError> {
        let generation = self.inner.link.up(self.inner.deadline()).await?;
        let comparing = diff::compare(&generation, &self.inner.config.exchanges, topology);
        self.inner.in_time(comparing).await
    }

    /// How many messages wait in a queue.
    ///
    /// # Errors
    /// [`TransportError::Undeclared`] if there is no such queue.
    pub async fn depth(&self, queue: &str) -> Result<u32, TransportError> {
        self.inner.depth(queue).await
    }

    /// Declares a stream that keeps every event for seven days.
    ///
    /// # Errors
    /// If the broker has no streams (before 3.9), or does not let us.
    pub async fn keep_history(&self) -> Result<(), TransportError> {
        let generation = self.inner.link.up(self.inner.deadline()).await?;
        self.inner.in_time(history::declare(&generation, &self.inner.config.exchanges)).await
    }

    /// What passed from about `age` ago on, as far as it was kept, and what comes.
    ///
    /// # Errors
    /// [`TransportError::Undeclared`] if there is no history.
    pub async fn history(&self, age: Duration) -> Result<Deliveries, TransportError> {
        let generation = self.inner.link.up(self.inner.deadline()).await?;
        self.inner.in_time(history::read(&generation, &self.inner.intakes, age)).await
    }

    /// How far the broker's clock is from ours, in seconds; positive if it is ahead.
    ///
    /// # Errors
    /// If the broker takes no message at the moment.
    pub async fn clock_skew(&self) -> Result<i64, TransportError> {
        let generation = self.inner.link.up(self.inner.deadline()).await?;
        self.inner.in_time(probe::clock_skew(&generation)).await
    }

    /// Whether the broker takes no messages at the moment: an alarm of its memory or disk.
    pub fn is_blocked(&self) -> bool {
        self.inner.link.status().blocked
    }
}

impl Transport for Amqp {
    fn declare<'a>(&'a self, topology: &'a Topology) -> BoxFuture<'a, Result<(), TransportError>> {
        Box::pin(self.inner.declare(topology))
    }

    fn publish(&self, message: Encoded) -> Confirm {
        let inner = &self.inner;
        if message.due().is_some() {
            return inner.schedule(&message);
        }
        confirm(match message.kind() {
            Kind::Event => {
                let message = inner.outgoing(&message, Exchange::Events);
                message.map(|message| inner.events.publish(message))
            }
            Kind::Command => {
                let message = inner.outgoing(&message, Exchange::Commands);
                message.map(|message| inner.send(message, false))
            }
        })
    }

    fn request(&self, message: Encoded) -> Request {
        let inner = &self.inner;
        match inner.outgoing(&message, Exchange::Commands) {
            Ok(outgoing) => {
                let answer = inner.replies.expect(text_of(message.id()));
                Request { confirm: inner.send(outgoing, true), answer }
            }
            Err(error) => {
                let (_, answer) = oneshot::channel();
                Request { confirm: Confirm::settled(Err(error)), answer }
            }
        }
    }

    fn answer(&self, command: &Delivery, body: Vec<u8>) -> Confirm {
        let Some(to) = command.reply_to.clone() else { return Confirm::settled(Ok(())) };
        let name = answered_name(command);
        let inner = self.inner.clone();
        Confirm::of(async move {
            inner.look_for_caller(&to).await?;
            inner.answer(&to, name, body).await
        })
    }

    fn forward(&self, message: Verbatim, to: Destination) -> Confirm {
        let forwarding = confirm(self.inner.forward(&message, &to));
        match to {
            Destination::Queue(queue) => {
                let inner = self.inner.clone();
                Confirm::of(async move { inner.named_for(&queue, forwarding).await })
            }
            _ => forwarding,
        }
    }

    fn forward_run(&self, run: Vec<Verbatim>, queue: &str) -> BoxFuture<'_, Outcome> {
        let (inner, queue) = (&self.inner, queue.to_owned());
        Box::pin(async move {
            let sending = inner.forward_run(&run, &queue)?;
            inner.named_for(&queue, sending).await
        })
    }

    fn subscribe(
        &self,
        subscription: Subscription,
    ) -> BoxFuture<'_, Result<Deliveries, TransportError>> {
        Box::pin(self.inner.subscribe(subscription))
    }

    fn is_current(&self, delivery: &Delivery) -> bool {
        let intake = self.inner.intakes.find(delivery.tag);
        intake.is_ok_and(|intake| intake.is_open(delivery.tag.number))
    }

    fn settle<'a>(
        &'a self,
        delivery: &'a Delivery,
        settlement: Settlement,
    ) -> BoxFuture<'a, Result<(), TransportError>> {
        Box::pin(self.inner.settle(delivery, settlement))
    }

    fn unrouted_queue(&self) -> Option<String> {
        Some(self.inner.config.exchanges.unrouted())
    }

    fn has_queue<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<bool, TransportError>> {
        Box::pin(async move {
            match self.inner.depth(name).await {
                Ok(_) => Ok(true),
                Err(TransportError::Undeclared { .. }) => Ok(false),
                Err(error) => Err(error),
            }
        })
    }

    fn wants_reports(&self) -> bool {
        true
    }

    /// A message of JSON to [`Queue::of_reports`], which is there while somebody keeps reports.
    fn report(&self, reports: &[Report]) -> Confirm {
        let name = Queue::of_reports().name;
        let message = Verbatim::stored(&*name, Report::to_bytes(reports), Headers::new());
        self.forward(message, Destination::Queue(name))
    }

    fn trouble(&self) -> Option<Trouble> {
        self.inner.link.trouble()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let inner = &self.inner;
            inner.events.close().await;
            inner.commands.close().await;
            let _recorded = inner.recording.write().await;
            inner.forwards.close().await;
            inner.intakes.flush().await;
            inner.closing.notify_one();
            let mut watch = inner.link.watch();
            // An error means that the supervisor is gone, which is what is waited for.
            let _ = watch.wait_for(|status| matches!(status.state, State::Closed)).await;
        })
    }
}

/// What an answer names: the correlation id that the caller has said, else the id of its message.
fn answered_name(command: &Delivery) -> Option<ShortString> {
    let properties = command.properties.as_deref();
    let said = properties.and_then(|properties| properties.correlation_id.as_deref());
    // Callers of ours once said the correlation id of their envelope, and waited for its id.
    let is_mirrored = command.headers.contains_key(headers::ANSWER_BY)
        && command.envelope().is_ok_and(|envelope| {
            envelope.correlation_id.is_some_and(|id| said == Some(text_of(id).as_str()))
        });
    let said = said.filter(|_| !is_mirrored).and_then(|said| short(said).ok());
    let message_id = || short(properties?.message_id.as_deref()?).ok();
    said.or_else(|| command.id().map(text_of)).or_else(message_id)
}

impl fmt::Debug for Amqp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Amqp").field("config", &self.inner.config).finish_non_exhaustive()
    }
}
