//! Bloodbank on RabbitMQ.
//!
//! [`Amqp`] is a [`Transport`](bloodbank_bus::Transport) on one connection that is kept up for ever: a
//! supervisor connects, declares what was declared before, and hands each new connection to the lanes
//! that publish and the consumers that receive.
//!
//! Logs hold no payloads. The client library, which logs returned messages whole, is kept out of them:
//! it runs without a `tracing` subscriber. Where tracing passes events on to the `log` crate for want
//! of a subscriber (its feature `log`), it stops doing so with the first connection, for this crate as
//! for all others; install a subscriber.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod absent;
mod acks;
mod amqp;
mod assert;
mod browse;
mod config;
mod config_error;
mod connect;
mod consumer;
mod diff;
mod exchanges;
mod history;
mod host;
mod lane;
mod link;
mod plan;
pub mod probe;
mod quiet;
mod repair;
mod replies;
mod supervisor;
mod values;
mod wire;

pub use amqp::Amqp;
pub use config::{AmqpConfig, Mode, Tls};
pub use config_error::{ConfigError, ConfigFault, ConfigProblem};
pub use connect::ConnectError;
pub use diff::Difference;
pub use exchanges::Exchanges;
pub use host::{BrokerHost, HostError, HostFailure};
