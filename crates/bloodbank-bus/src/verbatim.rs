//! Messages that are passed on byte for byte.

use std::sync::Arc;

use crate::{Delivery, Exchange, Headers};

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
}

impl Verbatim {
    /// A delivery on its way to another place: retry, parking, redrive.
    pub fn of(delivery: &Delivery) -> Self {
        Verbatim {
            key: delivery.key.clone(),
            body: delivery.body.clone(),
            headers: delivery.headers.clone(),
        }
    }

    /// A message out of a store, for replay.
    pub fn stored(key: impl Into<Arc<str>>, body: impl Into<Arc<[u8]>>, headers: Headers) -> Self {
        Verbatim { key: key.into(), body: body.into(), headers }
    }

    /// Sets a header.
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name.into(), value.into());
        self
    }
}

/// Where a [`Verbatim`] goes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Destination {
    /// To an exchange, routed by its key like anything published there.
    Exchange(Exchange),
    /// Into one queue, past all bindings.
    Queue(String),
}

impl Destination {
    /// Into a queue.
    pub fn queue(name: impl Into<String>) -> Self {
        Destination::Queue(name.into())
    }
}
