//! Bloodbank's bus: typed publishing and subscribing over any transport, and one in memory.
//!
//! [`Publisher`] turns typed payloads into validated envelopes; a [`Transport`] carries them;
//! [`Subscriber`] hands them out again, after the same check. [`InMemory`] is the transport for tests.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod delivery;
mod memory;
mod publish_error;
mod publisher;
mod subscriber;
mod topology;
mod transport;
mod verbatim;

pub use delivery::{Deliveries, Delivery, DeliveryTag, Settlement};
pub use memory::InMemory;
pub use publish_error::PublishError;
pub use publisher::{Publisher, Publishing, Receipt};
pub use subscriber::{Received, Subscriber};
pub use topology::{Binding, Durability, Exchange, Queue, Topology};
pub use transport::{BoxFuture, Subscription, Transport, TransportError};
pub use verbatim::{Destination, Verbatim};

/// What travels beside a message, as text.
///
/// Properties and headers that a transport has in other types are given as text, too.
pub type Headers = std::collections::BTreeMap<String, String>;

/// The headers that are ours.
pub mod headers {
    /// How often the message was tried before it was forwarded to where it is now.
    pub const ATTEMPTS: &str = "x-bloodbank-attempts";
    /// Why the message was parked.
    pub const REASON: &str = "x-bloodbank-reason";
    /// The queue that the message was parked from.
    pub const PARKED_FROM: &str = "x-bloodbank-parked-from";
}
