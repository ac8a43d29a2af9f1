//! Handlers, on the bus in memory.
#![allow(clippy::unwrap_used, clippy::panic)]

mod running;
mod support;
mod timeouts;
