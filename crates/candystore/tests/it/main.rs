//! What a store does, on both databases.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod appending;
mod audit;
mod backup;
mod catching_up;
mod chains;
mod clocks;
mod cloud_events;
mod counting;
mod damaged;
mod databases;
mod digests;
mod embedded;
mod following;
mod full;
mod lines;
mod losing;
mod odd;
mod opening;
mod partitions;
mod payload_indexes;
mod pruning;
mod quarantine;
mod questions;
mod raw;
mod reading;
mod recorder;
mod removed;
mod replay;
mod retention;
mod roles;
mod scheduled;
mod tls;
mod verifying;
mod whereabouts;
