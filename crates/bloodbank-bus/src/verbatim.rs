//! Messages that are passed on byte for byte.

use std::sync::Arc;

use bloodbank_core::{Envelope, EnvelopeError};

use crate::decoded::Decoded;
use crate::{Delivery, Exchange, HeaderValue, Headers, Properties};

/// A message whose bytes are kept as they came, valid or not.
///
/// It is the one way around [`Validated`](bloodbank_core::Validated), for those who move messages
/// and must not judge them: parking, redrive, replay. Nothing else may make one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verbatim {
    /// The routing key.
    pub key: Arc<str>,
    /// The bytes.
    pub body: Arc<[u8]>,
    /// What travels beside them.
    pub headers: Headers,
    /// What else does; where there is nothing, a transport may say what the envelope says.
    pub properties: Option<Box<Properties>>,
    decoded: Decoded,
}

impl Verbatim {
    /// A delivery on its way to another place: retry, parking, redrive.
    pub fn of(delivery: &Delivery) -> Self {
        Verbatim {
            key: delivery.key.clone(),
            body: delivery.body.clone(),
            headers: delivery.headers.clone(),
            properties: delivery.properties.clone(),
            decoded: delivery.decoded.clone(),
        }
    }

    /// A message out of a store, for replay.
    pub fn stored(key: impl Into<Arc<str>>, body: impl Into<Arc<[u8]>>, headers: Headers) -> Self {
        let (key, body) = (key.into(), body.into());
        Verbatim { key, body, headers, properties: None, decoded: Decoded::default() }
    }

    /// Sets a header.
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<HeaderValue>) -> Self {
        self.headers.insert(name.into(), value.into());
        self
    }

    /// Sets the properties.
    pub fn with_properties(mut self, properties: Option<Box<Properties>>) -> Self {
        self.properties = properties;
        self
    }

    /// The envelope that the bytes are; see [`Delivery::envelope`].
    ///
    /// # Errors
    /// Why they are none that can be taken in.
    pub fn envelope(&self) -> Result<&Arc<Envelope>, &EnvelopeError> {
        self.decoded.get(&self.key, &self.body, &self.headers, self.properties.as_deref())
    }

    /// All of it, for a delivery.
    pub(crate) fn into_parts(self) -> Parts {
        (self.headers, self.properties, self.decoded, self.key, self.body)
    }
}

type Parts = (Headers, Option<Box<Properties>>, Decoded, Arc<str>, Arc<[u8]>);

/// Where a [`Verbatim`] goes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Destination {
    /// To an exchange, routed by its key like anything published there.
    Exchange(Exchange),
    /// To the queues that listen to events with its key, past those that only record: it was published
    /// before.
    Listeners,
    /// Into one queue, past all bindings.
    Queue(String),
}

impl Destination {
    /// Into a queue.
    pub fn queue(name: impl Into<String>) -> Self {
        Destination::Queue(name.into())
    }
}
