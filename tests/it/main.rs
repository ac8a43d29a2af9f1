//! The whole line, from a schema file to a refusal, as its users see it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod build_graph;
mod bus;
mod contracts;
mod corpus;
mod deploy;
mod downstream;
#[cfg(feature = "embedded")]
mod embedded;
#[cfg(all(feature = "amqp", feature = "embedded"))]
mod errors;
mod goldens;
mod mutants;
mod prometheus;
mod scratch;
mod spine;
mod ui;
