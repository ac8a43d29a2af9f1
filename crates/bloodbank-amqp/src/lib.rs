//! Bloodbank on RabbitMQ.
//!
//! [`Amqp`] is a [`Transport`](bloodbank_bus::Transport) on one connection that is kept up for ever: a
//! supervisor connects, declares what was declared before, and hands each new connection to the lanes
//! that publish and the consumers that receive.
//!
//! The client library logs returned messages whole, at level `warn` under the target `lapin`; filter
//! that target where payloads must stay out of logs.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

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
pub mod probe;
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
