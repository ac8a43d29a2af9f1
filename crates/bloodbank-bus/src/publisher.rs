//! Publishing and sending, by those who may.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bloodbank_core::{
    BundledService, Command, Contract, Contracts, Envelope, Event, Kind, Meta, ProducedBy, SentBy,
    Service, Validated,
};
use serde_json::Value;
use uuid::Uuid;

use crate::{BoxFuture, Headers, PublishError, Transport, TransportError};

/// Publishes the events and sends the commands of one service.
///
/// What breaks its contract never reaches the transport. Cheap to clone.
pub struct Publisher<S> {
    transport: Arc<dyn Transport>,
    source: Cow<'static, str>,
    service: PhantomData<fn() -> S>,
}

/// The bus has taken a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// The id of its envelope.
    pub id: Uuid,
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

    /// Publishes an event.
    ///
    /// # Errors
    /// See [`PublishError`].
    pub fn publish<E: Event + ProducedBy<S>>(&self, event: &E) -> Publishing<'_> {
        self.publish_with(event, Meta::new())
    }

    /// Publishes an event with an id, a time or a cause of one's own.
    ///
    /// # Errors
    /// See [`PublishError`].
    pub fn publish_with<E: Event + ProducedBy<S>>(&self, event: &E, meta: Meta) -> Publishing<'_> {
        self.start(self.typed(event, meta))
    }

    /// Publishes an event whose type is known at run time only.
    ///
    /// # Errors
    /// As with the types: what the contract refuses is refused, and what the registry does not
    /// give to the service is [`PublishError::NotAllowed`].
    pub fn publish_json(&self, key: &str, data: Value) -> Publishing<'_> {
        self.publish_json_with(key, data, Meta::new())
    }

    /// The same with an id, a time or a cause of one's own.
    ///
    /// # Errors
    /// See [`publish_json`](Publisher::publish_json).
    pub fn publish_json_with(&self, key: &str, data: Value, meta: Meta) -> Publishing<'_> {
        self.start(self.json(Kind::Event, key, data, meta))
    }

    /// Sends a command. Done when its worker queue has it.
    ///
    /// # Errors
    /// See [`PublishError`]; with no worker queue, [`TransportError::Unroutable`].
    pub fn send<C: Command + SentBy<S>>(&self, command: &C) -> Publishing<'_> {
        self.send_with(command, Meta::new())
    }

    /// Sends a command with an id, a time or a cause of one's own.
    ///
    /// # Errors
    /// See [`send`](Publisher::send).
    pub fn send_with<C: Command + SentBy<S>>(&self, command: &C, meta: Meta) -> Publishing<'_> {
        self.start(self.typed(command, meta))
    }

    /// Sends a command whose type is known at run time only.
    ///
    /// # Errors
    /// Those of [`publish_json`](Publisher::publish_json) and [`send`](Publisher::send).
    pub fn send_json(&self, key: &str, data: Value) -> Publishing<'_> {
        self.send_json_with(key, data, Meta::new())
    }

    /// The same with an id, a time or a cause of one's own.
    ///
    /// # Errors
    /// See [`send_json`](Publisher::send_json).
    pub fn send_json_with(&self, key: &str, data: Value, meta: Meta) -> Publishing<'_> {
        self.start(self.json(Kind::Command, key, data, meta))
    }

    fn start(&self, envelope: Result<Validated<Envelope>, PublishError>) -> Publishing<'_> {
        let state = match envelope {
            Ok(envelope) => {
                let id = envelope.id;
                State::UnderWay(id, self.transport.publish(envelope, Headers::new()))
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

/// A message on its way: already checked, maybe already with the transport; done when the bus is
/// responsible for it.
///
/// Await one after the other, or hold several at once to keep the way full.
#[must_use = "whether the message was published shows only when this is awaited"]
pub struct Publishing<'a> {
    state: State<'a>,
}

enum State<'a> {
    /// The transport has not seen it. Taken when it is told.
    Failed(Option<PublishError>),
    UnderWay(Uuid, BoxFuture<'a, Result<(), TransportError>>),
}

impl Future for Publishing<'_> {
    type Output = Result<Receipt, PublishError>;

    /// Like any future, not to be polled again once it is done.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.state {
            State::Failed(error) => {
                error.take().map_or(Poll::Pending, |error| Poll::Ready(Err(error)))
            }
            State::UnderWay(id, transport) => {
                let id = *id;
                transport.as_mut().poll(context).map(|outcome| match outcome {
                    Ok(()) => Ok(Receipt { id }),
                    Err(source) => Err(PublishError::Transport { id, source }),
                })
            }
        }
    }
}

impl fmt::Debug for Publishing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Publishing");
        match &self.state {
            State::Failed(error) => debug.field("error", error).finish(),
            State::UnderWay(id, _) => debug.field("id", id).finish_non_exhaustive(),
        }
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
