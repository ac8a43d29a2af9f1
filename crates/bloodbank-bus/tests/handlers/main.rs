//! Handlers, on the bus in memory.
#![allow(clippy::unwrap_used, clippy::panic)]

mod batches;
mod in_order;
mod layers;
mod limits;
mod running;
mod settling;
mod state;
mod status;
mod support;
mod suspects;
mod timeouts;
