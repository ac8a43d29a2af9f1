//! A typed event bus that refuses whatever breaks its contract.
//!
//! A contract is a JSON Schema file. The build script compiles a folder of them into [`events`]: a
//! struct for each event and command, constants for their routing keys, and, from
//! `services/registry.yaml`, a type for each service that says what it may publish.
//!
//! ```
//! use bloodbank::Bus;
//! use bloodbank::events::{self, llm, services};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let bus = Bus::in_memory(events::contracts());
//! let publisher = bus.publisher::<services::LlmCollector>();
//!
//! let prompt = llm::Prompt::new(bloodbank::uuid::Uuid::now_v7(), "Alice", "gpt-5", "Hello?");
//! publisher.publish(&prompt).await?;
//!
//! // The contract says 0 to 2.
//! let refused = publisher.publish(&prompt.with_temperature(9.0)).await;
//! assert!(refused.unwrap_err().refusal().is_some());
//! # Ok(())
//! # }
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
//! ```
//!
//! On the other side a [`Subscriber`] hands each event to its handler, from the queues that
//! `services/registry.yaml` gives the service, until a future of the caller's is done:
//!
//! ```
//! use bloodbank::events::{self, services, theboard};
//! use bloodbank::{Bus, Received};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! # let bus = Bus::in_memory(events::contracts());
//! # let shutdown = std::future::ready(());
//! bus.subscriber::<services::TheboardSync>()
//!     .on(|meeting: Received<theboard::MeetingCreatedV2>| async move {
//!         println!("{}", meeting.payload.topic.title);
//!     })
//!     .skip_others()
//!     .run_until(shutdown)
//!     .await?;
//! # Ok(())
//! # }
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(example()).unwrap();
//! ```
//!
//! Other crates compile schemas of their own: `holyfields_build::compile("schemas")` in build.rs,
//! [`include_events!`] in a module.

// Generated code says `::bloodbank`, also inside this crate.
extern crate self as bloodbank;

mod bus;
#[cfg(feature = "events")]
mod versions;

/// The contracts of this repository's `schemas/`, compiled.
///
/// A default feature. Programs with contracts of their own turn it off with
/// `default-features = false, features = ["bus"]`.
#[cfg(feature = "events")]
pub mod events {
    crate::include_events!();
}

/// RabbitMQ.
#[cfg(feature = "amqp")]
pub use bloodbank_amqp as amqp;
pub use bloodbank_bus::*;
pub use bloodbank_core::export::{chrono, serde, serde_json, uuid};
pub use bloodbank_core::*;
/// Messages written in the caller's own database transaction, the relay that sends them, and the inbox.
#[cfg(feature = "outbox")]
pub use bloodbank_outbox as outbox;
pub use bus::{Bus, BusError};
/// Events kept, and a bus on what keeps them.
#[cfg(feature = "embedded")]
pub use candystore;

/// Brings in the code that `holyfields_build::compile` made from a schema folder.
///
/// ```ignore
/// pub mod events {
///     bloodbank::include_events!();
/// }
/// ```
#[macro_export]
macro_rules! include_events {
    () => {
        include!(concat!(env!("OUT_DIR"), "/bloodbank/rust/events.rs"));
    };
}
