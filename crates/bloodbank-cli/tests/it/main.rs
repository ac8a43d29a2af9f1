//! The command, each time in a process of its own, in a folder with contracts of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bus;
mod cli;
mod contracts;
mod dlq;
mod embedded;
mod foreign;
mod machine;
mod openapi;
mod opening;
mod outbox;
mod recording;
mod registry;
mod replay;
mod scheduled;
mod store;
mod store_keep;
mod store_shown;
mod tokens;
mod up;
mod whereabouts;
