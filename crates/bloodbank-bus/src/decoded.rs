//! What a message says, read once.

use std::sync::{Arc, OnceLock};

use bloodbank_core::{Envelope, EnvelopeError};

use crate::{Headers, Properties, headers, read_envelope};

/// The envelope of a message or why there is none, once somebody has asked. Copies of a message share
/// what was read before they were made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Decoded(OnceLock<Result<Arc<Envelope>, Arc<EnvelopeError>>>);

impl Decoded {
    /// Reads the envelope, unless that was done before. A trace context that stands only in the
    /// headers counts as the envelope's own.
    pub(crate) fn get(
        &self,
        key: &str,
        body: &[u8],
        headers: &Headers,
        properties: Option<&Properties>,
    ) -> Result<&Arc<Envelope>, &EnvelopeError> {
        let read = || match read_envelope(key, body, headers, properties) {
            Ok(mut envelope) => {
                let header = |name| headers::text(headers, name);
                envelope.adopt_trace(header(headers::TRACEPARENT), header(headers::TRACESTATE));
                Ok(Arc::new(envelope))
            }
            Err(error) => Err(Arc::new(error)),
        };
        self.0.get_or_init(read).as_ref().map_err(|error| &**error)
    }
}

/// It follows from the message, and says nothing of its own.
impl PartialEq for Decoded {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Decoded {}
