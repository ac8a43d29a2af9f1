//! Publishing and sending, by those who may.

mod batch;
mod call;
mod draft;
mod dynamic;
mod publishing;

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::Arc;

use bloodbank_core::{
    AnsweredWith, Command, Envelope, Event, LiveContracts, ProducedBy, Sealer, SentBy, Service,
    Validated,
};
use futures_core::Stream;
use serde_json::Value;

use self::batch::Batch;
use crate::{EnvelopeForm, Transport};

pub use self::batch::Published;
pub use self::call::{Answer, CallError};
pub use self::draft::{Answered, Confirmed, Draft, Json, Sealable};
pub use self::dynamic::DynamicPublisher;
pub use self::publishing::{Publishing, Receipt};

/// Publishes the events and sends the commands of one service.
///
/// What breaks its contract never reaches the transport. Each method hands back a [`Draft`], to which
/// an id, a cause and the like can be added before it is awaited. Cheap to clone.
pub struct Publisher<S> {
    publisher: DynamicPublisher,
    service: PhantomData<fn() -> S>,
}

impl<S: Service> Publisher<S> {
    /// A publisher that names the service as its source. `contracts` judge what it publishes.
    pub fn new(transport: Arc<dyn Transport>, contracts: impl Into<LiveContracts>) -> Self {
        let sealer = Sealer::of::<S>(contracts.into());
        Publisher { publisher: DynamicPublisher::new(transport, sealer), service: PhantomData }
    }

    /// Names another source in its envelopes: an instance, a host. What it may publish stays.
    pub fn named(self, source: &str) -> Self {
        Publisher { publisher: self.publisher.named(source), service: PhantomData }
    }

    /// Publishes and sends in these words: our own unless said.
    pub fn in_form(self, form: EnvelopeForm) -> Self {
        Publisher { publisher: self.publisher.in_form(form), service: PhantomData }
    }

    /// Publishes an event. Done when the bus has it.
    ///
    /// # Errors
    /// See [`PublishError`](crate::PublishError).
    pub fn publish<'p, E: Event + ProducedBy<S>>(&'p self, event: &'p E) -> Draft<'p, &'p E> {
        self.publisher.draft(event)
    }

    /// Publishes all events of a stream, in order, many at a time, and says which failed.
    pub async fn publish_all<E: Event + ProducedBy<S>>(
        &self,
        events: impl Stream<Item = E>,
    ) -> Published {
        let mut events = pin!(events);
        let mut batch = Batch::default();
        while let Some(event) = poll_fn(|context| events.as_mut().poll_next(context)).await {
            batch.add(self.publish(&event).enqueue().await).await;
        }
        batch.finish().await
    }

    /// Publishes an event whose type is known at run time only.
    ///
    /// # Errors
    /// As with the types: what the contract refuses is refused, and what the registry does not
    /// give to the service is [`SealError::NotAllowed`](bloodbank_core::SealError::NotAllowed).
    pub fn publish_json<'p>(&'p self, key: &'p str, data: Value) -> Draft<'p, Json<'p>> {
        self.publisher.publish(key, data)
    }

    /// Sends a command. Done when its worker queue has it.
    ///
    /// # Errors
    /// See [`PublishError`](crate::PublishError); with no worker queue,
    /// [`TransportError::Unroutable`](crate::TransportError::Unroutable).
    pub fn send<'p, C: Command + SentBy<S>>(&'p self, command: &'p C) -> Draft<'p, &'p C> {
        self.publisher.draft(command)
    }

    /// Sends a command whose type is known at run time only.
    ///
    /// # Errors
    /// Those of [`publish_json`](Publisher::publish_json) and [`send`](Publisher::send).
    pub fn send_json<'p>(&'p self, key: &'p str, data: Value) -> Draft<'p, Json<'p>> {
        self.publisher.send(key, data)
    }

    /// Sends a command and waits for what its handler answers, up to 30 s unless
    /// [`within`](Draft::within) says otherwise: its [`Command::Reply`], or where its schema does not
    /// say, any `R` that caller and handler agree on.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn call<'p, R>(
        &'p self,
        command: &'p (impl Command + SentBy<S> + AnsweredWith<R>),
    ) -> Draft<'p, impl Sealable, Answered<R>> {
        self.send(command).answered()
    }

    /// Publishes or sends what was sealed before; see [`Draft::seal`].
    ///
    /// # Errors
    /// [`PublishError::Transport`](crate::PublishError::Transport).
    pub fn publish_sealed(&self, envelope: Validated<Envelope>) -> Publishing {
        self.publisher.publish_sealed(envelope)
    }
}

impl<S> Clone for Publisher<S> {
    fn clone(&self) -> Self {
        Publisher { publisher: self.publisher.clone(), service: PhantomData }
    }
}

impl<S> fmt::Debug for Publisher<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher")
            .field("source", &self.publisher.source())
            .finish_non_exhaustive()
    }
}
