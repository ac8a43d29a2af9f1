//! Real servers for Bloodbank's own tests, each private to the test binary that starts it.
//!
//! [`Broker`] is a RabbitMQ node, [`Cluster`] several of them, [`Redis`] a Redis server, [`Postgres`] a
//! PostgreSQL server. They run as child processes with their own ports and folders, and end with the
//! process that started them, however that ends: by return, panic or `kill -9`. [`Proxy`] breaks
//! connections on demand, and [`Certificates`] makes what TLS needs. [`rabbitmq`], [`redis()`],
//! [`postgres()`] and [`python`] say whether what a test needs is on the machine; `cargo xtask test`
//! puts it there.
//!
//! [`behaviours!`] tests what every transport must do, with what is in [`catalog`].
//!
//! No server here uses the runtime of the test for input or output, so a server that one test has
//! started may be used by another. Linux only: what processes do is read from `/proc`.

// A test helper that cannot do its work ends the test, with a message that says why.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod broker;
pub mod catalog;
mod certificates;
mod child;
mod cluster;
mod node;
mod one_table;
mod pooler;
mod ports;
mod postgres;
mod proxy;
mod redis;
mod require;
pub mod suite;

pub use broker::{Broker, BrokerOptions};
pub use certificates::{Certificates, P12_PASSWORD};
pub use cluster::Cluster;
pub use one_table::ONE_TABLE;
pub use pooler::Pooler;
pub use postgres::{Postgres, PostgresOptions};
pub use proxy::Proxy;
pub use redis::Redis;
pub use require::{faketime, pooler, postgres, promtool, python, rabbitmq, redis};
