//! The transport.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bloodbank_bus::{
    BoxFuture, Confirm, Deliveries, Delivery, Destination, Exchange, Headers, Queue, Request,
    Settlement, Subscription, Topology, Transport, TransportError, Verbatim, dead_letters_of,
    headers,
};
use bloodbank_core::{Envelope, Kind, Validated};
use tokio::sync::{Notify, RwLock, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, warn};
use uuid::Uuid;

use crate::config::AmqpConfig;
use crate::connect::ConnectError;
use crate::consumer::{Consumer, Intakes};
use crate::diff::Difference;
use crate::exchanges::waiting_queue_of;
use crate::lane::Lane;
use crate::link::{Link, State};
use crate::replies::{REPLY_TO, Replies};
use crate::supervisor::Supervisor;
use crate::wire::{self, Outgoing, short};
use crate::{assert, browse, diff, history, probe};

/// A bus on RabbitMQ. Clones share the connection, which lasts until [`close`](Transport::close).
#[derive(Clone)]
pub struct Amqp {
    inner: Arc<Inner>,
}

struct Inner {
    config: Arc<AmqpConfig>,
    link: Link,
    /// Everything that was declared, with the newest word on each queue.
    declared: Arc<Mutex<Topology>>,
    intakes: Intakes,
    replies: Replies,
    events: Lane,
    /// Mandatory, and with the answers: apart, so that events need not wait for their judgement.
    commands: Lane,
    /// What is passed on: retries, parking, redrive, answers, the record of commands.
    forwards: Lane,
    /// Held by whoever sends a command until it is recorded.
    recording: Arc<RwLock<()>>,
    closing: Arc<Notify>,
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
            Err(error) => {
                amqp.close().await;
                let reason = match error {
                    TransportError::Disconnected { reason } => {
                        return Err(ConnectError::Unreachable { reason });
                    }
                    TransportError::Refused { reason } => reason,
                    other => other.to_string(),
                };
                Err(ConnectError::Refused { reason })
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
        let generation = self.inner.link.up(self.inner.deadline()).await?;
        self.inner.in_time(diff::depth(&generation, queue)).await
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

    /// The name of the queue for events that nobody listens to.
    pub fn unrouted_queue(&self) -> String {
        self.inner.config.exchanges.unrouted()
    }
}

impl Inner {
    fn deadline(&self) -> Instant {
        Instant::now() + self.config.deadline
    }

    /// What the broker answers, if it does so in time: a topology may be some hundred round trips.
    async fn in_time<T>(
        &self,
        asking: impl Future<Output = Result<T, TransportError>>,
    ) -> Result<T, TransportError> {
        let deadline = self.deadline() + self.config.deadline;
        timeout_at(deadline, asking).await.unwrap_or(Err(TransportError::Unknown))
    }

    fn declared(&self) -> MutexGuard<'_, Topology> {
        self.declared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outgoing(
        &self,
        envelope: &Validated<Envelope>,
        exchange: Exchange,
        headers: &Headers,
    ) -> Result<Outgoing, TransportError> {
        Ok(Outgoing {
            exchange: short(self.config.exchanges.entry(exchange))?,
            routing_key: short(&envelope.event_type)?,
            body: wire::body(envelope)?,
            properties: wire::properties(envelope, headers)?,
            mandatory: exchange == Exchange::Commands,
        })
    }

    /// Sends a command; once its queue has it, copies it for the record.
    fn send(self: &Arc<Self>, message: Outgoing, is_call: bool) -> Confirm {
        let Ok(recording) = self.recording.clone().try_read_owned() else {
            return Confirm::settled(Err(TransportError::Closed));
        };
        let mut command = message.clone();
        if is_call {
            // Not on the record: nobody there may answer, and the broker refuses it elsewhere.
            command.properties = command.properties.with_reply_to(REPLY_TO.into());
        }
        let mut sending = self.commands.publish(command);
        let inner = self.clone();
        let follow = move |sending: Confirm| {
            let (outcome, receiver) = oneshot::channel();
            let following = async move {
                let sent = sending.await;
                let copy = sent.is_ok().then(|| inner.record(&message));
                // An error means that nobody waits for the outcome.
                let _ = outcome.send(sent);
                if let Some(copy) = copy
                    && let Err(error) = copy.await
                {
                    warn!(key = %message.routing_key, %error, "a command was sent and not recorded");
                }
                drop(recording);
            };
            tokio::spawn(following.in_current_span());
            receiver
        };
        if !sending.is_waiting() {
            return Confirm::pending(follow(sending));
        }
        Confirm::waiting(async move {
            sending.accepted().await;
            Ok(follow(sending))
        })
    }

    /// Copies a command that was sent.
    fn record(&self, command: &Outgoing) -> Confirm {
        let exchange = short(&self.config.exchanges.audit);
        confirm(exchange.map(|exchange| {
            let copy = Outgoing { exchange, mandatory: false, ..command.clone() };
            self.forwards.publish(copy)
        }))
    }

    /// Whether somebody waits at an address for answers. The broker drops answers silently, but the
    /// address looks like a queue to whoever asks.
    async fn is_awaited(&self, to: &str) -> Result<(), TransportError> {
        let generation = self.link.up(self.deadline()).await?;
        match timeout_at(self.deadline(), diff::depth(&generation, to)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(TransportError::Undeclared { queue })) => {
                Err(TransportError::Unroutable { key: queue })
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(TransportError::Unknown),
        }
    }

    async fn answer(
        &self,
        to: &str,
        id: Option<Uuid>,
        body: Vec<u8>,
    ) -> Result<(), TransportError> {
        let properties = wire::forwarded(&[], &Headers::new())?
            .with_content_type("application/json".into())
            .with_correlation_id(short(&id.map(|id| id.to_string()).unwrap_or_default())?);
        let message = Outgoing {
            exchange: "".into(),
            routing_key: short(to)?,
            body: body.into(),
            properties,
            mandatory: false,
        };
        self.forwards.publish(message).await
    }

    fn forward(&self, message: &Verbatim, to: &Destination) -> Result<Confirm, TransportError> {
        let mut more = message.headers.clone();
        let (exchange, routing_key, mandatory) = match to {
            Destination::Exchange(exchange) => {
                let mandatory = *exchange == Exchange::Commands;
                (self.config.exchanges.entry(*exchange), &*message.key, mandatory)
            }
            // Through the default exchange the routing key is the name of the queue.
            Destination::Queue(queue) => {
                more.insert(headers::KEY.to_owned(), message.key.to_string());
                ("", queue.as_str(), true)
            }
            _ => return Err(TransportError::Other { reason: "an unknown destination".to_owned() }),
        };
        Ok(self.forwards.publish(Outgoing {
            exchange: short(exchange)?,
            routing_key: short(routing_key)?,
            body: message.body.clone(),
            properties: wire::forwarded(&message.body, &more)?,
            mandatory,
        }))
    }

    /// Puts a message into the waiting queue from which it comes back to its own.
    async fn put_back_later(
        &self,
        delivery: &Delivery,
        after: Duration,
        more: Headers,
    ) -> Result<(), TransportError> {
        let step = self.declared().delays.range(after..).next().copied();
        let step = step.or_else(|| self.declared().delays.last().copied()).ok_or_else(|| {
            TransportError::Other { reason: "no delays were declared to wait for".to_owned() }
        })?;
        let mut headers = delivery.headers.clone();
        headers.extend(more);
        headers.insert(headers::KEY.to_owned(), delivery.key.to_string());
        let waiting_queue = waiting_queue_of(&delivery.queue, step);
        let message = Outgoing {
            exchange: "".into(),
            routing_key: short(&waiting_queue)?,
            body: delivery.body.clone(),
            properties: wire::forwarded(&delivery.body, &headers)?,
            mandatory: true,
        };
        self.forwards.publish(message).await.map_err(|error| match error {
            TransportError::Unroutable { .. } => {
                TransportError::Undeclared { queue: waiting_queue }
            }
            other => other,
        })
    }

    async fn park(&self, delivery: &Delivery, more: Headers) -> Result<(), TransportError> {
        let dead_letters = {
            let declared = self.declared();
            match declared.queues.iter().find(|queue| *queue.name == *delivery.queue) {
                Some(queue) => queue.dead_letters.clone(),
                // Somebody else has declared it, as we would have.
                None => Some(dead_letters_of(&delivery.queue)),
            }
        };
        let Some(dead_letters) = dead_letters else { return Ok(()) };
        let mut message = Verbatim::of(delivery);
        message.headers.extend(more);
        let parked = self.forward(&message, &Destination::queue(&dead_letters))?.await;
        parked.map_err(|error| match error {
            TransportError::Unroutable { .. } => TransportError::Undeclared { queue: dead_letters },
            other => other,
        })
    }

    async fn settle(
        &self,
        delivery: &Delivery,
        settlement: Settlement,
    ) -> Result<(), TransportError> {
        let intake = self.intakes.find(delivery.tag)?;
        let tag = delivery.tag.number;
        if !intake.is_open(tag) {
            return Err(TransportError::Stale);
        }
        match settlement {
            Settlement::Requeue => return intake.requeue(tag).await,
            Settlement::Retry { after, headers } => {
                self.put_back_later(delivery, after, headers).await?;
            }
            Settlement::Park { headers } => self.park(delivery, headers).await?,
            _ => {}
        }
        intake.ack(tag).await
    }

    /// Notes what is to be declared on each connection from now on.
    fn note(&self, topology: &Topology) {
        let mut declared = self.declared();
        declared.delays.extend(&topology.delays);
        for queue in &topology.queues {
            match declared.queues.iter_mut().find(|known| known.name == queue.name) {
                Some(known) => add_bindings(known, queue),
                None => declared.queues.push(queue.clone()),
            }
        }
    }

    async fn declare(&self, topology: &Topology) -> Result<(), TransportError> {
        let generation = self.link.up(self.deadline()).await?;
        let asserting = async {
            let channel: lapin::Channel = generation
                .channel()
                .await
                .map_err(|error| TransportError::Disconnected { reason: error.to_string() })?;
            assert::all(&channel, &self.config, &self.with_known(topology)).await?;
            // It closes with the connection at the latest.
            let _ = channel.close(200, "done".into()).await;
            Ok::<(), TransportError>(())
        };
        self.in_time(asserting).await?;
        self.note(topology);
        Ok(())
    }

    /// A topology, with the queues that it names and that were declared before.
    fn with_known(&self, topology: &Topology) -> Topology {
        let mut all = topology.clone();
        let declared = self.declared();
        for queue in &topology.queues {
            let dead = queue.dead_letters.as_ref();
            let known = declared.queues.iter().find(|known| Some(&known.name) == dead);
            if let Some(known) = known
                && !all.queues.iter().any(|queue| queue.name == known.name)
            {
                all.queues.push(known.clone());
            }
        }
        all
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Deliveries, TransportError> {
        let generation = self.link.up(self.deadline()).await?;
        if subscription.until_empty {
            let browsing = browse::browse(&generation, &self.intakes, &subscription.queue);
            return match timeout_at(self.deadline(), browsing).await {
                Ok(browsed) => browsed,
                Err(_) => Err(TransportError::Unknown),
            };
        }
        let prefetch = subscription.prefetch.max(1);
        let (sender, receiver) = mpsc::channel(usize::from(prefetch));
        let consumer = Consumer {
            config: self.config.clone(),
            link: self.link.clone(),
            intakes: self.intakes.clone(),
            declared: self.declared.clone(),
            queue: subscription.queue.into(),
            prefetch,
            sender,
        };
        let opening = consumer.open(&generation);
        let first = match timeout_at(self.deadline(), opening).await {
            Ok(opened) => opened?,
            Err(_) => return Err(TransportError::Unknown),
        };
        let (closed_sender, closed) = oneshot::channel();
        tokio::spawn(consumer.run(first, closed_sender));
        Ok(Deliveries::new(receiver, || {}).with_closed(closed))
    }
}

fn add_bindings(known: &mut Queue, queue: &Queue) {
    for binding in &queue.bindings {
        if !known.bindings.contains(binding) {
            known.bindings.push(binding.clone());
        }
    }
}

/// The confirm, or why there is none.
fn confirm(started: Result<Confirm, TransportError>) -> Confirm {
    started.unwrap_or_else(|error| Confirm::settled(Err(error)))
}

impl Transport for Amqp {
    fn declare<'a>(&'a self, topology: &'a Topology) -> BoxFuture<'a, Result<(), TransportError>> {
        Box::pin(self.inner.declare(topology))
    }

    fn publish(&self, envelope: Validated<Envelope>, headers: Headers) -> Confirm {
        let inner = &self.inner;
        confirm(match envelope.kind() {
            Kind::Event => {
                let message = inner.outgoing(&envelope, Exchange::Events, &headers);
                message.map(|message| inner.events.publish(message))
            }
            Kind::Command => {
                let message = inner.outgoing(&envelope, Exchange::Commands, &headers);
                message.map(|message| inner.send(message, false))
            }
        })
    }

    fn request(&self, envelope: Validated<Envelope>) -> Request {
        let inner = &self.inner;
        let message = inner.outgoing(&envelope, Exchange::Commands, &Headers::new());
        let id = short(&envelope.id.to_string());
        match message.and_then(|message| Ok((message, id?))) {
            Ok((message, id)) => {
                let answer = inner.replies.expect(id);
                Request { confirm: inner.send(message, true), answer }
            }
            Err(error) => {
                let (_, answer) = oneshot::channel();
                Request { confirm: Confirm::settled(Err(error)), answer }
            }
        }
    }

    fn answer(&self, command: &Delivery, body: Vec<u8>) -> Confirm {
        let Some(to) = command.reply_to.clone() else { return Confirm::settled(Ok(())) };
        let id = Envelope::from_bytes(&command.body).ok().map(|envelope| envelope.id);
        let inner = self.inner.clone();
        Confirm::waiting(async move {
            let (outcome, receiver) = oneshot::channel();
            let answered = match inner.is_awaited(&to).await {
                Ok(()) => inner.answer(&to, id, body).await,
                Err(error) => Err(error),
            };
            // The receiver is right here.
            let _ = outcome.send(answered);
            Ok(receiver)
        })
    }

    fn forward(&self, message: Verbatim, to: Destination) -> Confirm {
        let forwarding = confirm(self.inner.forward(&message, &to));
        match to {
            Destination::Queue(queue) => Confirm::waiting(async move {
                let outcome = forwarding.await.map_err(|error| match error {
                    TransportError::Unroutable { .. } => TransportError::Undeclared { queue },
                    other => other,
                });
                let (sender, receiver) = oneshot::channel();
                // The receiver is right here.
                let _ = sender.send(outcome);
                Ok(receiver)
            }),
            _ => forwarding,
        }
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

impl fmt::Debug for Amqp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Amqp").field("config", &self.inner.config).finish_non_exhaustive()
    }
}
