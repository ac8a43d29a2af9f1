//! Bloodbank's data: envelopes, contracts with their validators, and refusals. No I/O.
//!
//! [`Contracts`] is the one authority on what is valid. It is built from a [`Bundle`], checks
//! payloads against the schemas in it, and is the only maker of [`Validated`] values, which are
//! all that a transport takes. What it asks for each schema, a linter asks too: [`schema`]. The
//! traits [`Event`], [`Command`] and [`Service`] are what generated code implements.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod bounds;
pub mod codec;
mod contract;
mod contracts;
mod describe;
mod envelope;
pub mod examples;
mod explain;
mod facts;
mod forms;
mod refusal;
mod same_value;
pub mod schema;
mod union;
mod validated;
mod violation;

pub use contract::{
    Command, ConsumedBy, Consumes, Contract, Event, HandledBy, Handles, ProducedBy, Produces,
    Sends, SentBy, Service,
};
pub use contracts::Contracts;
pub use describe::escape_control;
pub use envelope::{Envelope, EnvelopeError, Meta};
pub use holyfields::bundle::{Bundle, BundledContract, BundledQueue, BundledService};
pub use holyfields::key::{KeyError, Kind, RoutingKey, TopicPattern};
pub use refusal::{CheckError, Refusal, UnknownKey};
pub use same_value::same_value;
pub use validated::Validated;
pub use violation::Violation;

/// The crates that generated code names, so that its users need no dependency on them.
#[doc(hidden)]
pub mod export {
    pub use {chrono, serde, serde_json, uuid};
}
