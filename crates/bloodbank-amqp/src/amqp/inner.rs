//! What all clones of the transport share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bloodbank_bus::{
    Confirm, Conflict, Deliveries, Delivery, Destination, Encoded, Exchange, FullQueue, Headers,
    Outcome, Queue, Settlement, Subscription, Topology, TransportError, Verbatim, Waiting,
    dead_letters_of, headers,
};
use lapin::types::ShortString;
use tokio::sync::{Notify, RwLock, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, warn};

use crate::config::AmqpConfig;
use crate::connect::{channel_error, disconnected};
use crate::consumer::{Consumer, Intakes};
use crate::exchanges::waiting_queue_of;
use crate::lane::Lane;
use crate::link::Link;
use crate::plan::{is_filling, limit_of};
use crate::replies::{REPLY_TO, Replies};
use crate::wire::{self, Outgoing, short};
use crate::{assert, browse};

pub(super) struct Inner {
    pub(super) config: Arc<AmqpConfig>,
    pub(super) link: Link,
    /// Everything that was declared, with the newest word on each queue.
    pub(super) declared: Arc<Mutex<Topology>>,
    pub(super) intakes: Intakes,
    pub(super) replies: Replies,
    pub(super) events: Lane,
    /// Mandatory, and with the answers: apart, so that events need not wait for their judgement.
    pub(super) commands: Lane,
    /// What is passed on: retries, parking, redrive, replays, answers, the record of commands.
    pub(super) forwards: Lane,
    /// Held by whoever sends a command until it is recorded.
    pub(super) recording: Arc<RwLock<()>>,
    pub(super) closing: Arc<Notify>,
}

impl Inner {
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.config.deadline
    }

    /// What the broker answers, if it does so in time: a topology may be some hundred round trips.
    pub(super) async fn in_time<T>(
        &self,
        asking: impl Future<Output = Result<T, TransportError>>,
    ) -> Result<T, TransportError> {
        let deadline = self.deadline() + self.config.deadline;
        timeout_at(deadline, asking).await.unwrap_or(Err(TransportError::Unknown))
    }

    pub(super) fn declared(&self) -> MutexGuard<'_, Topology> {
        self.declared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn outgoing(
        &self,
        message: &Encoded,
        exchange: Exchange,
    ) -> Result<Outgoing, TransportError> {
        Ok(Outgoing {
            exchange: short(self.config.exchanges.entry(exchange))?,
            routing_key: short(message.key())?,
            body: message.body().clone(),
            properties: wire::mirrored(message.envelope(), message.headers())?
                .with_content_type(message.content_type().into()),
            mandatory: exchange.is_mandatory(),
        })
    }

    /// Sends a message that is not due yet to whoever keeps it.
    pub(super) fn schedule(&self, message: &Encoded) -> Confirm {
        let key = message.key().to_owned();
        let outgoing = self.outgoing(message, Exchange::Scheduled);
        let sending = confirm(outgoing.map(|outgoing| self.forwards.publish(outgoing)));
        Confirm::of(async move {
            sending.await.map_err(|error| match error {
                TransportError::Unroutable { .. } => TransportError::NoScheduler { key },
                other => other,
            })
        })
    }

    /// Sends a command; once its queue has it, copies it for the record.
    pub(super) fn send(self: &Arc<Self>, message: Outgoing, is_call: bool) -> Confirm {
        let Ok(recording) = self.recording.clone().try_read_owned() else {
            return Confirm::settled(Err(TransportError::Closed));
        };
        let mut command = message.clone();
        if is_call {
            // Not on the record: nobody there may answer, and the broker refuses it elsewhere. What the
            // answer is to name is said as everywhere on AMQP; the envelope has its own correlation id.
            let id = message.properties.message_id().clone().unwrap_or_default();
            command.properties =
                command.properties.with_reply_to(REPLY_TO.into()).with_correlation_id(id);
        }
        let mut sending = self.commands.publish(command);
        let inner = self.clone();
        let worker_queue = Queue::of_command(message.routing_key.as_str());
        let follow = move |sending: Confirm| {
            let (outcome, receiver) = oneshot::channel();
            let following = async move {
                let sent = match sending.await {
                    Err(error) => Err(match worker_queue {
                        Some(queue) => inner.named(error, &queue.name).await,
                        None => error,
                    }),
                    sent => sent,
                };
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
    pub(super) fn record(&self, command: &Outgoing) -> Confirm {
        let exchange = short(&self.config.exchanges.audit);
        confirm(exchange.map(|exchange| {
            let copy = Outgoing { exchange, mandatory: false, ..command.clone() };
            self.forwards.publish(copy)
        }))
    }

    /// How many messages wait in a queue.
    pub(super) async fn depth(&self, queue: &str) -> Result<u32, TransportError> {
        let generation = self.link.up(self.deadline()).await?;
        self.in_time(async {
            let channel = generation.channel().await.map_err(|error| channel_error(&error))?;
            assert::message_count(&channel, queue).await
        })
        .await
    }

    /// Fails if nobody waits at an address for answers. The broker drops answers silently, but the
    /// address looks like a queue to whoever asks.
    pub(super) async fn look_for_caller(&self, to: &str) -> Result<(), TransportError> {
        match self.depth(to).await {
            Ok(_) => Ok(()),
            // An exclusive queue of the caller's own connection, so it is there.
            Err(TransportError::Conflict { conflict: Conflict::Locked { .. }, .. }) => Ok(()),
            Err(TransportError::Undeclared { .. }) => Err(TransportError::NoCaller),
            Err(other) => Err(other),
        }
    }

    pub(super) async fn answer(
        &self,
        to: &str,
        id: Option<ShortString>,
        body: Vec<u8>,
    ) -> Result<(), TransportError> {
        let message = Outgoing {
            exchange: "".into(),
            routing_key: short(to)?,
            body: body.into(),
            properties: wire::answer(id),
            mandatory: false,
        };
        self.forwards.publish(message).await
    }

    pub(super) fn forward(
        &self,
        message: &Verbatim,
        to: &Destination,
    ) -> Result<Confirm, TransportError> {
        Ok(self.forwards.publish(self.forwarded(message, to)?))
    }

    /// Passes several messages on to a queue, in their order.
    pub(super) fn forward_run(
        &self,
        run: &[Verbatim],
        queue: &str,
    ) -> Result<Confirm, TransportError> {
        let to = Destination::queue(queue);
        let run: Result<_, _> = run.iter().map(|message| self.forwarded(message, &to)).collect();
        Ok(self.forwards.publish_run(run?))
    }

    fn forwarded(&self, message: &Verbatim, to: &Destination) -> Result<Outgoing, TransportError> {
        let mut more = message.headers.clone();
        let exchanges = &self.config.exchanges;
        let (exchange, routing_key, mandatory) = match to {
            Destination::Exchange(exchange) => {
                (exchanges.entry(*exchange).to_owned(), &*message.key, exchange.is_mandatory())
            }
            // What no listener wants goes on to the unrouted ones, so nothing would be returned.
            Destination::Listeners => {
                (exchanges.listening(Exchange::Events, false), &*message.key, false)
            }
            // Through the default exchange the routing key is the name of the queue.
            Destination::Queue(queue) => {
                more.insert(headers::KEY.to_owned(), (&*message.key).into());
                (String::new(), queue.as_str(), true)
            }
            other => {
                let what = format!("forwarding to {other:?}");
                return Err(TransportError::Unsupported { what });
            }
        };
        Ok(Outgoing {
            exchange: short(&exchange)?,
            routing_key: short(routing_key)?,
            body: message.body.clone(),
            properties: wire::forwarded(message, &more)?,
            mandatory,
        })
    }

    /// Puts a message into the waiting queue from which it comes back to its own.
    pub(super) async fn put_back_later(
        &self,
        delivery: &Delivery,
        after: Duration,
        more: Headers,
    ) -> Result<(), TransportError> {
        let step = {
            let declared = self.declared();
            let mut steps = declared.delays_of(&delivery.queue);
            steps.find(|step| *step >= after).or_else(|| declared.delays_of(&delivery.queue).last())
        };
        let queue = &delivery.queue;
        let step = step.ok_or_else(|| TransportError::NoDelays { queue: queue.to_string() })?;
        let mut headers = delivery.headers.clone();
        headers.extend(more);
        headers.insert(headers::KEY.to_owned(), (&*delivery.key).into());
        let waiting_queue = waiting_queue_of(&delivery.queue, step);
        let message = Outgoing {
            exchange: "".into(),
            routing_key: short(&waiting_queue)?,
            body: delivery.body.clone(),
            properties: wire::forwarded(&Verbatim::of(delivery), &headers)?,
            mandatory: true,
        };
        self.named_for(&waiting_queue, self.forwards.publish(message)).await
    }

    pub(super) async fn park(
        &self,
        delivery: &Delivery,
        more: Headers,
    ) -> Result<(), TransportError> {
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
        let parking = self.forward(&message, &Destination::queue(&dead_letters))?;
        self.named_for(&dead_letters, parking).await
    }

    /// The outcome of a message for one queue, with the queue in the error.
    pub(super) async fn named_for(&self, queue: &str, sending: Confirm) -> Outcome {
        match sending.await {
            Err(error) => Err(self.named(undeclared(error, queue), queue).await),
            sent => sent,
        }
    }

    /// The same error, with the queue that is full: the broker does not say which one refused.
    async fn named(&self, error: TransportError, queue: &str) -> TransportError {
        let TransportError::Nacked { full: None } = error else { return error };
        let Ok(depth) = self.depth(queue).await else { return error };
        let depth = usize::try_from(depth).unwrap_or(usize::MAX);
        let limit = {
            let declared = self.declared();
            let known = declared.queues.iter().find(|known| known.name == queue);
            known.and_then(limit_of)
        };
        // Who only sends to a queue does not know its limit: it is what lies there.
        let limit = limit.unwrap_or(depth);
        let name = queue.to_owned();
        let full = (depth > 0 && is_filling(depth, limit)).then_some(FullQueue { name, limit });
        TransportError::Nacked { full }
    }

    pub(super) async fn settle(
        &self,
        delivery: &Delivery,
        settlement: Settlement,
    ) -> Result<(), TransportError> {
        let intake = self.intakes.find(delivery.tag)?;
        let tag = delivery.tag.number;
        if matches!(settlement, Settlement::Ack | Settlement::Drop { .. }) {
            return intake.ack(tag).await;
        }
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
    pub(super) fn note(&self, topology: &Topology) {
        let mut declared = self.declared();
        for (queue, delays) in &topology.delays {
            declared.delays.entry(queue.clone()).or_default().extend(delays);
        }
        for queue in &topology.queues {
            match declared.queues.iter_mut().find(|known| known.name == queue.name) {
                Some(known) => known.add_bindings_of(queue),
                None => declared.queues.push(queue.clone()),
            }
        }
    }

    pub(super) async fn declare(&self, topology: &Topology) -> Result<(), TransportError> {
        let generation = self.link.up(self.deadline()).await?;
        let asserting = async {
            let channel: lapin::Channel =
                generation.channel().await.map_err(|error| disconnected(&error))?;
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
    pub(super) fn with_known(&self, topology: &Topology) -> Topology {
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

    pub(super) async fn subscribe(
        &self,
        subscription: Subscription,
    ) -> Result<Deliveries, TransportError> {
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
        let waiting = Waiting::new();
        let consumer = Consumer {
            config: self.config.clone(),
            link: self.link.clone(),
            intakes: self.intakes.clone(),
            declared: self.declared.clone(),
            queue: subscription.queue.into(),
            prefetch,
            sender,
            waiting: waiting.clone(),
        };
        let opening = consumer.open(&generation);
        let first = match timeout_at(self.deadline(), opening).await {
            Ok(opened) => opened?,
            Err(_) => return Err(TransportError::Unknown),
        };
        let (closed_sender, closed) = oneshot::channel();
        tokio::spawn(consumer.run(first, closed_sender));
        let intakes = self.intakes.clone();
        let deliveries = Deliveries::new(receiver, || {}).with_closed(closed);
        let deliveries = deliveries.with_waiting(waiting);
        Ok(deliveries.with_start(move |delivery| intakes.start(delivery.tag)))
    }
}

/// A message for one queue is unroutable where there is no such queue.
fn undeclared(error: TransportError, queue: &str) -> TransportError {
    match error {
        TransportError::Unroutable { .. } => TransportError::Undeclared { queue: queue.to_owned() },
        other => other,
    }
}

/// The confirm, or why there is none.
pub(super) fn confirm(started: Result<Confirm, TransportError>) -> Confirm {
    started.unwrap_or_else(|error| Confirm::settled(Err(error)))
}
