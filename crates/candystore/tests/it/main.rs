//! What a store does, on both databases.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod appending;
mod chains;
mod counting;
mod databases;
mod following;
mod losing;
mod odd;
mod opening;
mod questions;
