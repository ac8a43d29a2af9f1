//! What a store does, on both databases.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod appending;
mod backup;
mod chains;
mod cloud_events;
mod counting;
mod databases;
mod embedded;
mod following;
mod full;
mod lines;
mod losing;
mod odd;
mod opening;
mod pruning;
mod quarantine;
mod questions;
mod raw;
mod recorder;
mod replay;
mod retention;
mod scheduled;
mod verifying;
