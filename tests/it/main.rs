//! The whole line, from a schema file to a refusal, as its users see it.

mod build_graph;
mod bus;
mod contracts;
mod corpus;
mod downstream;
mod scratch;
mod spine;
mod ui;
