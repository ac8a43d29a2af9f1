//! The bus on RabbitMQ: real brokers, real connections that break.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod away;
mod cloud_events;
mod comeback;
mod connecting;
mod dedup;
mod delivery_limit;
mod keys;
mod missing;
mod python;
mod refused;
mod retries;
mod returns;
mod runs;
mod strangers;
mod support;
mod suspects;
mod tls;
mod topology;
mod verify;
mod wire;
mod worker;
