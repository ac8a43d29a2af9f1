//! What can be said of a message while it is put together, the same words wherever that is.

/// Setters for a builder with a field `meta: Meta`, inside an `impl` of it.
#[doc(hidden)]
#[macro_export]
macro_rules! meta_setters {
    () => {
        /// Says all that [`Meta`](bloodbank_core::Meta) can say, in place of what was said before.
        pub fn meta(mut self, meta: $crate::Meta) -> Self {
            self.meta = meta;
            self
        }

        /// Sets the id, to say the same message again.
        pub fn id(mut self, id: $crate::export::uuid::Uuid) -> Self {
            self.meta.id = Some(id);
            self
        }

        /// Sets what makes the id: whoever repeats it means the same message.
        pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
            self.meta.idempotency_key = Some(key.into());
            self
        }

        /// Sets when it happened.
        pub fn timestamp(
            mut self,
            timestamp: $crate::export::chrono::DateTime<$crate::export::chrono::Utc>,
        ) -> Self {
            self.meta.timestamp = Some(timestamp);
            self
        }

        /// Sets what the piece of work has in common.
        pub fn correlation(mut self, id: $crate::export::uuid::Uuid) -> Self {
            self.meta.correlation_id = Some(id);
            self
        }

        /// Links it to the envelope that it follows from; see [`Meta::caused_by`](bloodbank_core::Meta::caused_by).
        pub fn caused_by(mut self, cause: &$crate::Envelope) -> Self {
            self.meta = self.meta.caused_by(cause);
            self
        }

        /// Sets the session it belongs to.
        pub fn session(mut self, id: impl Into<String>) -> Self {
            self.meta.session_id = Some(id.into());
            self
        }

        /// Sets the W3C trace context: trace and parent. What was noted on another trace is dropped.
        pub fn traceparent(mut self, traceparent: impl Into<String>) -> Self {
            self.meta.traceparent = Some(traceparent.into());
            self.meta.tracestate = None;
            self
        }

        /// Sets what tracing systems note on the trace; after [`traceparent`](Self::traceparent).
        pub fn tracestate(mut self, tracestate: impl Into<String>) -> Self {
            self.meta.tracestate = Some(tracestate.into());
            self
        }
    };
}
