//! Receiving what keeps its contract.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use bloodbank_core::codec::{self, DecodeError, Payload};
use bloodbank_core::{Contracts, Envelope, escape_control};

use crate::{
    Deliveries, Delivery, DeliveryTag, Settlement, Subscription, Transport, TransportError,
};

/// Characters of a reason for parking that are kept.
const LONGEST_REASON: usize = 1_000;

/// Messages of one queue, decoded and checked.
///
/// `P` is a contract's type, the generated `AnyEvent`, or [`serde_json::Value`]. What is no envelope,
/// breaks its contract or is not a `P` is parked with the reason and not handed out.
pub struct Subscriber<P> {
    transport: Arc<dyn Transport>,
    deliveries: Deliveries,
    contracts: &'static Contracts,
    parked: u64,
    payload: PhantomData<fn() -> P>,
}

impl<P: Payload> Subscriber<P> {
    /// Starts to consume a queue, which must be declared.
    ///
    /// # Errors
    /// Those of [`Transport::subscribe`].
    pub async fn open(
        transport: Arc<dyn Transport>,
        contracts: &'static Contracts,
        subscription: Subscription,
    ) -> Result<Self, TransportError> {
        let deliveries = transport.subscribe(subscription).await?;
        Ok(Subscriber { transport, deliveries, contracts, parked: 0, payload: PhantomData })
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
                    return Ok(Some(Received {
                        envelope,
                        payload,
                        attempt: delivery.attempt,
                        redelivered: delivery.redelivered,
                        tag: delivery.tag,
                        transport: self.transport.clone(),
                    }));
                }
                Err(fault) => {
                    let reason: String = fault.to_string().chars().take(LONGEST_REASON).collect();
                    self.transport.settle(delivery.tag, Settlement::reject(reason)).await?;
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

    fn read(&self, delivery: &Delivery) -> Result<(Envelope, P), Fault> {
        let envelope = Envelope::from_bytes(&delivery.body)
            .map_err(|error| Fault::NoEnvelope(escape_control(&error.to_string())))?;
        if envelope.event_type != *delivery.key {
            return Err(Fault::Key {
                key: escape_control(&delivery.key),
                event_type: escape_control(&envelope.event_type),
            });
        }
        let Envelope { event_type, data, .. } = &envelope;
        let payload = codec::check_and_read(self.contracts, event_type, data)?;
        Ok((envelope, payload))
    }
}

impl<P> fmt::Debug for Subscriber<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Subscriber");
        debug.field("deliveries", &self.deliveries).field("parked", &self.parked);
        debug.finish_non_exhaustive()
    }
}

/// Why a message is parked.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("no envelope: {0}")]
    NoEnvelope(String),
    #[error("it travelled as `{key}` and says that it is `{event_type}`")]
    Key { key: String, event_type: String },
    #[error(transparent)]
    Payload(#[from] DecodeError),
}

/// A message that keeps its contract, and is still in the queue.
///
/// Dropping it settles nothing: it comes again when the subscriber is gone.
#[must_use = "settle it with `ack`, `requeue` or `reject`"]
pub struct Received<P> {
    /// Who said it, when, and because of what.
    pub envelope: Envelope,
    /// What was said.
    pub payload: P,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// Whether it was delivered before.
    pub redelivered: bool,
    tag: DeliveryTag,
    transport: Arc<dyn Transport>,
}

impl<P> Received<P> {
    /// Done: it leaves the queue.
    ///
    /// # Errors
    /// Those of [`Transport::settle`].
    pub async fn ack(self) -> Result<(), TransportError> {
        self.transport.settle(self.tag, Settlement::Ack).await
    }

    /// Back into the queue, to be delivered again at once.
    ///
    /// # Errors
    /// Those of [`Transport::settle`].
    pub async fn requeue(self) -> Result<(), TransportError> {
        self.transport.settle(self.tag, Settlement::Requeue).await
    }

    /// To the dead-letter queue, with a reason for people.
    ///
    /// # Errors
    /// Those of [`Transport::settle`].
    pub async fn reject(self, reason: impl Into<String>) -> Result<(), TransportError> {
        self.transport.settle(self.tag, Settlement::reject(reason)).await
    }
}

impl<P: fmt::Debug> fmt::Debug for Received<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Received");
        debug.field("id", &self.envelope.id).field("payload", &self.payload);
        debug.field("attempt", &self.attempt).finish_non_exhaustive()
    }
}
