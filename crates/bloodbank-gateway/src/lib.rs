//! Bloodbank over HTTP: publish, read, follow and operate the bus from every language.
//!
//! A [`Gateway`] is made of what it serves: a transport, an [`EventStore`](candystore::EventStore), the
//! contracts in force, and who may do what. [`router`] makes an [`axum::Router`] of it, which any service
//! can serve or mount in its own.
//!
//! Contracts are the caller's: the gateway knows none of its own, and asks those that are in force at each
//! request. What is invalid is refused with all violations, as by every other publisher. Errors are
//! problem+json (RFC 9457); their `code` is a [`Code`](bloodbank_core::Code).
//!
//! ```
//! use std::sync::Arc;
//!
//! use bloodbank_access::Access;
//! use bloodbank_core::{Bundle, Contracts, LiveContracts};
//! use bloodbank_gateway::Gateway;
//! use candystore::{Embedded, EventStore, StoreOptions, StoreUrl};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let file = folder.path().join("store.db");
//! // Services read theirs from a schema folder; these know no key.
//! let contracts = LiveContracts::from(Contracts::new(Bundle::default()));
//! let store = EventStore::open(StoreOptions::new(StoreUrl::file(file)), contracts.clone()).await?;
//! let bus = Arc::new(Embedded::new(store.clone()));
//!
//! let gateway = Gateway::new(bus, store, contracts, Access::open());
//! let router: axum::Router = bloodbank_gateway::router(gateway);
//! # Ok(())
//! # }
//! ```
//!
//! Who serves it hands over the address of each connection as
//! [`ConnectInfo<SocketAddr>`](axum::extract::ConnectInfo), by which requests without a token are counted.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod audit;
mod body;
mod bounds;
mod caller;
mod commands;
mod conditional;
mod contracts;
mod dlq;
mod docs;
mod events;
mod gateway;
mod health;
mod limits;
mod metrics;
mod openapi;
mod origin;
mod parameters;
mod problem;
mod queues;
mod reload;
mod replays;
mod router;
mod stats;
mod stream;
mod topology;
mod validate;
mod when;

pub use gateway::Gateway;
pub use health::Part;
pub use limits::Limits;
pub use openapi::document;
pub use queues::{QueueState, Queues};
pub use reload::Reloaded;
pub use router::router;
