//! Bloodbank's data: envelopes, contracts with their validators, and refusals.
//!
//! [`Contracts`] is the one authority on what is valid. It is built from a [`Bundle`], checks
//! payloads against the schemas in it, and is the only maker of [`Validated`] values, which are
//! all that a transport takes. A [`Sealer`] makes such values for one service. What it asks for each schema, a linter asks too: [`schema`]. The
//! traits [`Event`], [`Command`] and [`Service`] are what generated code implements.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod bounds;
pub mod cloud_event;
mod code;
pub mod codec;
mod contract;
mod contracts;
mod describe;
mod envelope;
pub mod examples;
mod explain;
mod forms;
mod live_contracts;
mod meta_setters;
mod read_error;
mod refusal;
mod same_value;
pub mod schema;
mod sealer;
mod validated;
mod violation;

pub use code::Code;
pub use contract::{
    AnsweredWith, Command, ConsumedBy, Consumes, Contract, Event, HandledBy, Handles, ProducedBy,
    Produces, Sends, SentBy, Service,
};
pub use contracts::Contracts;
pub use describe::escape_control;
pub use envelope::{Envelope, EnvelopeError, Meta};
pub use holyfields::bundle::{
    Bundle, BundledContract, BundledExchange, BundledLayer, BundledQueue, BundledRetention,
    BundledService, QueueLimits,
};
pub use holyfields::delay::{Delay, DelayError};
pub use holyfields::keep::{Keep, KeepError};
pub use holyfields::key::{KeyError, Kind, RoutingKey, TopicPattern, version_word};
pub use holyfields::source::json_problem;
pub use live_contracts::LiveContracts;
pub use read_error::ReadError;
pub use refusal::{CheckError, Refusal, UnknownKey};
pub use same_value::same_value;
pub use sealer::{SealError, Sealer};
pub use validated::Validated;
pub use violation::{Violation, Violations};

/// The crates that generated code names, so that its users need no dependency on them.
#[doc(hidden)]
pub mod export {
    pub use {chrono, serde, serde_json, uuid};
}
