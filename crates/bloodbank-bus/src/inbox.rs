//! One message at a time, settled by hand.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use bloodbank_core::codec::Payload;
use bloodbank_core::{Envelope, LiveContracts, Meta};

use crate::expiry;
use crate::reading::{self, Fault};
use crate::{
    Deliveries, Delivery, Extensions, Headers, Properties, Reason, Settlement, Subscription,
    Transport, TransportError, headers,
};

/// A message that keeps its contract.
#[non_exhaustive]
pub struct Received<P> {
    /// Who said it, when, and because of what.
    pub envelope: Arc<Envelope>,
    /// What was said.
    pub payload: P,
    delivery: Arc<Delivery>,
    extensions: Extensions,
}

impl<P> Received<P> {
    pub(crate) fn new(envelope: Arc<Envelope>, payload: P, delivery: Arc<Delivery>) -> Self {
        Received { envelope, payload, delivery, extensions: Extensions::default() }
    }

    pub(crate) fn with_extensions(self, extensions: Extensions) -> Self {
        Received { extensions, ..self }
    }

    /// The same message with another payload, made from this one.
    pub fn map<Q>(self, convert: impl FnOnce(P) -> Q) -> Received<Q> {
        let Received { envelope, payload, delivery, extensions } = self;
        Received::new(envelope, convert(payload), delivery).with_extensions(extensions)
    }

    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.delivery.attempt
    }

    /// Whether it was delivered before.
    pub fn redelivered(&self) -> bool {
        self.delivery.redelivered
    }

    /// The queue that it came from.
    pub fn queue(&self) -> &str {
        &self.delivery.queue
    }

    /// Whether it was lost so often that it is taken alone.
    pub(crate) fn is_suspect(&self) -> bool {
        self.delivery.is_suspect()
    }

    /// What travelled beside the envelope.
    pub fn headers(&self) -> &Headers {
        &self.delivery.headers
    }

    /// What else did, as far as the transport knows.
    pub fn properties(&self) -> Option<&Properties> {
        self.delivery.properties.as_deref()
    }

    /// The replay that it is part of; `None` if it is live.
    pub fn replay(&self) -> Option<&str> {
        headers::text(self.headers(), headers::REPLAY)
    }

    /// What a layer gave the message on its way here; see [`Subscriber::layer`](crate::Subscriber::layer).
    pub fn extension<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.extensions.get()
    }

    /// For a message that follows from this one: cause, correlation, session and trace are passed on.
    pub fn meta(&self) -> Meta {
        Meta::new().caused_by(&self.envelope)
    }
}

impl<P: fmt::Debug> fmt::Debug for Received<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Received");
        debug.field("id", &self.envelope.id).field("payload", &self.payload);
        debug.field("attempt", &self.attempt()).finish_non_exhaustive()
    }
}

/// Messages of one queue, decoded and checked, one at a time.
///
/// For tools and tests; services register handlers with a [`Subscriber`](crate::Subscriber). `P` is a
/// contract's type, the generated `AnyEvent`, or [`serde_json::Value`]. What is not an envelope, breaks
/// its contract or is not a `P` is parked with the reason and not handed out. What was handed out
/// and not settled comes again when the inbox is gone.
pub struct Inbox<P> {
    transport: Arc<dyn Transport>,
    deliveries: Deliveries,
    contracts: LiveContracts,
    parked: u64,
    payload: PhantomData<fn() -> P>,
}

impl<P: Payload> Inbox<P> {
    /// Starts to consume a queue, which must be declared.
    ///
    /// # Errors
    /// Those of [`Transport::subscribe`].
    pub async fn open(
        transport: Arc<dyn Transport>,
        contracts: impl Into<LiveContracts>,
        subscription: Subscription,
    ) -> Result<Self, TransportError> {
        let deliveries = transport.subscribe(subscription).await?;
        let contracts = contracts.into();
        Ok(Inbox { transport, deliveries, contracts, parked: 0, payload: PhantomData })
    }

    /// The next message; `None` when the transport has ended the consumer.
    ///
    /// Safe to drop before it is done: nothing is lost.
    ///
    /// # Errors
    /// If a message must be parked and cannot be; it then stays in the queue.
    pub async fn next(&mut self) -> Result<Option<Received<P>>, TransportError> {
        while let Some(delivery) = self.deliveries.recv().await {
            match self.read(&delivery) {
                Ok((envelope, payload)) => {
                    return Ok(Some(Received::new(envelope, payload, Arc::new(delivery))));
                }
                Err(fault) => {
                    let headers = reading::parking(&delivery, fault.reason(), &fault.to_string());
                    self.transport.settle(&delivery, Settlement::Park { headers }).await?;
                    self.parked += 1;
                }
            }
        }
        Ok(None)
    }

    /// How many messages it has parked.
    pub fn parked(&self) -> u64 {
        self.parked
    }

    /// Done: it leaves the queue.
    ///
    /// # Errors
    /// Those of [`Transport::settle`].
    pub async fn ack(&self, received: Received<P>) -> Result<(), TransportError> {
        self.transport.settle(&received.delivery, Settlement::Ack).await
    }

    /// Back into the queue, to be delivered again at once.
    ///
    /// # Errors
    /// Those of [`Transport::settle`].
    pub async fn requeue(&self, received: Received<P>) -> Result<(), TransportError> {
        self.transport.settle(&received.delivery, Settlement::Requeue).await
    }

    /// To the dead-letter queue, with a word for people.
    ///
    /// # Errors
    /// Those of [`Transport::settle`].
    pub async fn park(&self, received: Received<P>, why: &str) -> Result<(), TransportError> {
        let headers = reading::parking(&received.delivery, Reason::Parked, why);
        self.transport.settle(&received.delivery, Settlement::Park { headers }).await
    }

    /// Ends it, and waits until everything that was settled is. What was not comes again.
    pub async fn close(self) {
        self.deliveries.close().await;
    }

    fn read(&self, delivery: &Delivery) -> Result<(Arc<Envelope>, P), Fault> {
        let envelope = delivery.envelope().map_err(|error| error.clone())?.clone();
        expiry::check(delivery)?;
        let payload = reading::payload(&self.contracts.current(), &envelope)?;
        Ok((envelope, payload))
    }
}

impl<P> fmt::Debug for Inbox<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Inbox");
        debug.field("deliveries", &self.deliveries).field("parked", &self.parked);
        debug.finish_non_exhaustive()
    }
}
