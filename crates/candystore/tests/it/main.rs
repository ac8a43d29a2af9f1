//! What a store does, on both databases.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod appending;
mod databases;
mod embedded;
mod opening;
mod questions;
mod recorder;
