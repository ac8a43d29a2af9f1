//! Publishing and sending, by those who may.

mod batch;
mod call;
mod publishing;

use std::borrow::Cow;
use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bloodbank_core::{
    BundledService, Command, Contract, Contracts, Envelope, Event, Kind, Meta, ProducedBy, SentBy,
    Service, Validated,
};
use futures_core::Stream;
use serde::de::DeserializeOwned;
use serde_json::Value;

use self::batch::Batch;
use self::publishing::{State, UnderWay};
use crate::{Encoded, Headers, PublishError, Transport};

pub use self::batch::Published;
pub use self::call::{Answer, CallError};
pub use self::publishing::{Publishing, Receipt};

/// How long [`Publisher::call`] waits.
const CALL_DEADLINE: Duration = Duration::from_secs(30);

/// Publishes the events and sends the commands of one service.
///
/// What breaks its contract never reaches the transport. Cheap to clone.
pub struct Publisher<S> {
    transport: Arc<dyn Transport>,
    source: Cow<'static, str>,
    service: PhantomData<fn() -> S>,
}

impl<S: Service> Publisher<S> {
    /// A publisher that names the service as its source.
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Publisher { transport, source: Cow::Borrowed(S::NAME), service: PhantomData }
    }

    /// Names another source in its envelopes: an instance, a host. What it may publish stays.
    pub fn named(mut self, source: impl Into<Cow<'static, str>>) -> Self {
        self.source = source.into();
        self
    }

    /// Publishes an event, and waits until the bus has it.
    ///
    /// # Errors
    /// See [`PublishError`].
    pub fn publish<E: Event + ProducedBy<S>>(&self, event: &E) -> Publishing {
        self.publish_with(event, Meta::new())
    }

    /// Publishes an event with an id, a time or a cause of one's own.
    ///
    /// # Errors
    /// See [`PublishError`].
    pub fn publish_with<E: Event + ProducedBy<S>>(&self, event: &E, meta: Meta) -> Publishing {
        self.start(self.typed(event, meta))
    }

    /// Publishes an event, and waits only until the transport has room for it; its outcome comes
    /// with the future that is handed back. So one task keeps the way full, and no further.
    ///
    /// # Errors
    /// Those that are known at once; else the future has them.
    pub async fn enqueue<E: Event + ProducedBy<S>>(
        &self,
        event: &E,
    ) -> Result<Publishing, PublishError> {
        self.publish(event).accepted().await
    }

    /// The same with an id, a time or a cause of one's own.
    ///
    /// # Errors
    /// See [`enqueue`](Publisher::enqueue).
    pub async fn enqueue_with<E: Event + ProducedBy<S>>(
        &self,
        event: &E,
        meta: Meta,
    ) -> Result<Publishing, PublishError> {
        self.publish_with(event, meta).accepted().await
    }

    /// Publishes all events of a stream, in order, many at a time, and says which failed.
    pub async fn publish_all<E: Event + ProducedBy<S>>(
        &self,
        events: impl Stream<Item = E>,
    ) -> Published {
        let mut events = pin!(events);
        let mut batch = Batch::default();
        while let Some(event) = poll_fn(|context| events.as_mut().poll_next(context)).await {
            batch.add(self.enqueue(&event).await).await;
        }
        batch.finish().await
    }

    /// Publishes an event whose type is known at run time only.
    ///
    /// # Errors
    /// As with the types: what the contract refuses is refused, and what the registry does not
    /// give to the service is [`PublishError::NotAllowed`].
    pub fn publish_json(&self, key: &str, data: Value) -> Publishing {
        self.publish_json_with(key, data, Meta::new())
    }

    /// The same with an id, a time or a cause of one's own.
    ///
    /// # Errors
    /// See [`publish_json`](Publisher::publish_json).
    pub fn publish_json_with(&self, key: &str, data: Value, meta: Meta) -> Publishing {
        self.start(self.json(Kind::Event, key, data, meta))
    }

    /// Sends a command. Done when its worker queue has it.
    ///
    /// # Errors
    /// See [`PublishError`]; with no worker queue,
    /// [`TransportError::Unroutable`](crate::TransportError::Unroutable).
    pub fn send<C: Command + SentBy<S>>(&self, command: &C) -> Publishing {
        self.send_with(command, Meta::new())
    }

    /// Sends a command with an id, a time, a cause or an idempotency key of one's own.
    ///
    /// # Errors
    /// See [`send`](Publisher::send).
    pub fn send_with<C: Command + SentBy<S>>(&self, command: &C, meta: Meta) -> Publishing {
        self.start(self.typed(command, meta))
    }

    /// Sends a command whose type is known at run time only.
    ///
    /// # Errors
    /// Those of [`publish_json`](Publisher::publish_json) and [`send`](Publisher::send).
    pub fn send_json(&self, key: &str, data: Value) -> Publishing {
        self.send_json_with(key, data, Meta::new())
    }

    /// The same with an id, a time or a cause of one's own.
    ///
    /// # Errors
    /// See [`send_json`](Publisher::send_json).
    pub fn send_json_with(&self, key: &str, data: Value, meta: Meta) -> Publishing {
        self.start(self.json(Kind::Command, key, data, meta))
    }

    /// Sends a command and waits up to 30 s for what its handler answers.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call<R: DeserializeOwned>(
        &self,
        command: &(impl Command + SentBy<S>),
    ) -> Result<R, CallError> {
        self.call_with(command, Meta::new(), CALL_DEADLINE).await
    }

    /// The same with a deadline, an id, a cause or an idempotency key of one's own.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call_with<R: DeserializeOwned>(
        &self,
        command: &(impl Command + SentBy<S>),
        meta: Meta,
        deadline: Duration,
    ) -> Result<R, CallError> {
        call::call(&*self.transport, self.typed(command, meta)?, deadline).await
    }

    fn start(&self, envelope: Result<Validated<Envelope>, PublishError>) -> Publishing {
        let state = match envelope {
            Ok(envelope) => {
                let (id, kind) = (envelope.id, envelope.kind());
                match Encoded::new(envelope, Headers::new()) {
                    Ok(message) => {
                        let confirm = self.transport.publish(message);
                        State::UnderWay(UnderWay { id, kind, since: Instant::now(), confirm })
                    }
                    Err(error) => State::Failed(Some(PublishError::Encode(error))),
                }
            }
            Err(error) => State::Failed(Some(error)),
        };
        Publishing { state }
    }

    fn typed<T: Contract>(
        &self,
        payload: &T,
        meta: Meta,
    ) -> Result<Validated<Envelope>, PublishError> {
        let data = serde_json::to_value(payload).map_err(PublishError::Encode)?;
        self.validated(T::contracts(), payload.key(), T::SCHEMA_ID, data, meta)
    }

    fn json(
        &self,
        kind: Kind,
        key: &str,
        data: Value,
        meta: Meta,
    ) -> Result<Validated<Envelope>, PublishError> {
        let contracts = S::contracts();
        let contract = contracts.find(key)?;
        if contract.kind != kind {
            return Err(PublishError::WrongKind { key: key.to_owned(), kind: contract.kind });
        }
        if !S::UNRESTRICTED {
            let listed = |service: &BundledService| match kind {
                Kind::Event => service.produces.contains(key),
                Kind::Command => service.sends.contains(key),
            };
            if !contracts.bundle().service(S::NAME).is_some_and(listed) {
                return Err(PublishError::NotAllowed {
                    service: S::NAME,
                    key: key.to_owned(),
                    kind,
                });
            }
        }
        self.validated(contracts, key, &contract.schema_id, data, meta)
    }

    fn validated(
        &self,
        contracts: &Contracts,
        key: &str,
        schema: &str,
        data: Value,
        meta: Meta,
    ) -> Result<Validated<Envelope>, PublishError> {
        let mut envelope = Envelope::new(key, self.source.as_ref(), data, meta);
        // A contract without `$id` goes by its path, which would say nothing to others.
        envelope.schema = schema.contains(':').then(|| schema.to_owned());
        Ok(contracts.validate(envelope)?)
    }
}

impl<S> Clone for Publisher<S> {
    fn clone(&self) -> Self {
        Publisher {
            transport: self.transport.clone(),
            source: self.source.clone(),
            service: PhantomData,
        }
    }
}

impl<S> fmt::Debug for Publisher<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("source", &self.source).finish_non_exhaustive()
    }
}
