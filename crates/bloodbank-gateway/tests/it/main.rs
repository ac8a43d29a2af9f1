//! The HTTP API, asked in the process and from outside, with contracts of another origin than ours.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod api;
mod bounds;
mod catalogue;
mod commands;
mod operating;
mod outside;
mod problems;
mod publishing;
mod reading;
mod rights;
mod served;
mod streams;
