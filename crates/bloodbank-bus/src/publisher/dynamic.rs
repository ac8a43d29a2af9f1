//! Publishing what is known at run time only.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use bloodbank_core::{Envelope, Kind, Sealer, Validated};
use serde_json::Value;

use super::draft::{Answered, Draft, Json, Sealable};
use super::publishing::{State, UnderWay};
use crate::{Encoded, EnvelopeForm, Headers, Publishing, Transport};

/// Publishes and sends by key and JSON, for a service that is named at run time: gateways, bridges,
/// tools.
///
/// It asks the contracts in force and the registry, as [`Publisher`](crate::Publisher) does. Cheap to
/// clone.
#[derive(Clone)]
pub struct DynamicPublisher {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) sealer: Sealer,
    pub(super) form: EnvelopeForm,
}

impl DynamicPublisher {
    /// A publisher of what the sealer seals.
    pub fn new(transport: Arc<dyn Transport>, sealer: Sealer) -> Self {
        DynamicPublisher { transport, sealer, form: EnvelopeForm::Native }
    }

    /// Publishes and sends in these words.
    pub fn in_form(mut self, form: EnvelopeForm) -> Self {
        self.form = form;
        self
    }

    /// Names another source in its envelopes: an instance, a host. What it may publish stays.
    pub fn named(mut self, source: &str) -> Self {
        self.sealer = self.sealer.named(source);
        self
    }

    /// What its envelopes name as their source.
    pub fn source(&self) -> &str {
        self.sealer.source()
    }

    /// What seals its messages.
    pub fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    /// Publishes an event. Done when the bus has it.
    ///
    /// # Errors
    /// See [`PublishError`](crate::PublishError).
    pub fn publish<'p>(&'p self, key: &'p str, data: Value) -> Draft<'p, Json<'p>> {
        self.draft(Json::new(Kind::Event, key, data))
    }

    /// Sends a command. Done when its worker queue has it.
    ///
    /// # Errors
    /// See [`PublishError`](crate::PublishError); with no worker queue,
    /// [`TransportError::Unroutable`](crate::TransportError::Unroutable).
    pub fn send<'p>(&'p self, key: &'p str, data: Value) -> Draft<'p, Json<'p>> {
        self.draft(Json::new(Kind::Command, key, data))
    }

    /// Sends a command and waits for what its handler answers, up to 30 s unless
    /// [`within`](Draft::within) says otherwise. The answer is checked against what the schema of the
    /// command says of it.
    ///
    /// # Errors
    /// See [`CallError`](crate::CallError).
    pub fn call<'p, R>(&'p self, key: &'p str, data: Value) -> Draft<'p, Json<'p>, Answered<R>> {
        self.send(key, data).answered()
    }

    /// Publishes or sends what was sealed before; see [`Draft::seal`].
    ///
    /// # Errors
    /// [`PublishError::Transport`](crate::PublishError::Transport).
    pub fn publish_sealed(&self, envelope: Validated<Envelope>) -> Publishing {
        self.publish_with(envelope, Headers::new())
    }

    /// The same with what travels beside it.
    pub(super) fn publish_with(
        &self,
        envelope: Validated<Envelope>,
        headers: Headers,
    ) -> Publishing {
        let (id, kind) = (envelope.id, envelope.kind());
        let state = match Encoded::in_form(envelope, headers, self.form) {
            Ok(message) => {
                let confirm = self.transport.publish(message);
                State::UnderWay(UnderWay { id, kind, since: Instant::now(), confirm })
            }
            Err(error) => State::Failed(Some(error.into())),
        };
        Publishing { state }
    }

    pub(super) fn draft<C: Sealable>(&self, content: C) -> Draft<'_, C> {
        Draft::new(self, content)
    }
}

impl fmt::Debug for DynamicPublisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamicPublisher").field("source", &self.source()).finish_non_exhaustive()
    }
}
