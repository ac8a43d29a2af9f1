//! Bloodbank's bus: typed publishing and subscribing over any transport, and one in memory.
//!
//! [`Publisher`] turns typed payloads into validated envelopes; a [`Transport`] carries them;
//! [`Subscriber`] hands them to handlers, after the same check, with retries, dead letters and
//! deduplication. [`InMemory`] is the transport for tests.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod confirm;
pub mod dead_letters;
mod decoded;
mod dedup;
mod delivery;
mod encoded;
mod envelope_form;
mod expiry;
mod extensions;
pub mod headers;
mod inbox;
mod layer;
mod memory;
mod metrics;
#[cfg(feature = "prometheus")]
mod prometheus;
mod properties;
mod publish_error;
mod publisher;
mod reading;
mod report;
mod retry;
mod state;
mod status;
mod subscriber;
mod topology;
mod transport;
mod transport_error;
mod verbatim;
mod verdict;

pub use confirm::{Confirm, Outcome, Request};
#[cfg(feature = "redis")]
pub use dedup::RedisDedup;
pub use dedup::{Claim, Dedup, DedupError, LocalDedup, NoDedup};
pub use delivery::{Deliveries, Delivery, DeliveryTag, Settlement, Waiting};
pub use encoded::{Encoded, ReadBackError};
pub use envelope_form::{EnvelopeForm, read_envelope};
pub use extensions::Extensions;
pub use headers::{HeaderValue, Headers};
pub use inbox::{Inbox, Received};
pub use layer::{BoxError, Handled, Message, Next};
pub use memory::InMemory;
#[cfg(feature = "prometheus")]
pub use prometheus::{Prometheus, PrometheusError};
pub use properties::Properties;
pub use publish_error::PublishError;
pub use publisher::{
    Answer, Answered, CallError, Confirmed, Draft, DynamicPublisher, Json, Published, Publisher,
    Publishing, Receipt, Sealable,
};
pub use report::{Fate, Report, this_process};
pub use retry::RetryPolicy;
pub use state::with_state;
pub use status::{BusStatus, Phase, ProbeAnswer, QueueStatus, SubscriberStatus, Trouble};
pub use subscriber::{
    AnySubscriber, FailedService, RunError, SetupFault, SubscribeError, Subscriber,
    SubscriberWatch, run, run_until,
};
pub use topology::{Binding, Durability, Exchange, Queue, Start, Topology, dead_letters_of};
pub use transport::{BoxFuture, Subscription, Transport};
pub use transport_error::{Conflict, FullQueue, Outage, QueueProperty, TransportError};
pub use verbatim::{Destination, Verbatim};
pub use verdict::{IntoVerdict, IntoVerdicts, Reason, Verdict};
