//! Bloodbank on RabbitMQ.
//!
//! [`Amqp`] is a [`Transport`](bloodbank_bus::Transport) on one connection that is kept up for ever:
//! a [`supervisor`] connects, declares what was declared before, and hands each new connection
//! to the [`lane`]s that publish and the [`consumer`]s that receive.
//!
//! The client library logs returned messages whole, at level `warn` under the target `lapin`; filter
//! that target where payloads must stay out of logs.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
