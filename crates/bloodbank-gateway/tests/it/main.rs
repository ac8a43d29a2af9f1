//! The HTTP API, asked in the process and from outside, with contracts of another origin than ours.

mod api;
mod bounds;
mod catalogue;
mod commands;
mod operating;
mod problems;
mod publishing;
mod reading;
mod rights;
mod served;
mod streams;
