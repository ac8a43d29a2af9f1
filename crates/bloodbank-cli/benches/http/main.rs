//! Events over HTTP: `bloodbank up` beside the service that it replaces, FastAPI with Pydantic and
//! aio-pika, which checks the same contract.
//!
//! Each contender is a process of its own that gets the same requests: as many as it answers by `wrk`
//! over 64 connections, and 2,000 a second by `hey`. Rounds take turns, and medians are told. What is
//! wished for is printed beside what is; nothing fails.
#![allow(clippy::expect_used, clippy::panic)]

mod batches;
mod contenders;
mod load;
mod report;
mod requests;
mod streams;

fn main() {
    let parts: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wants = |name: &str| parts.is_empty() || parts.iter().any(|part| part == name);
    if !load::is_there() {
        return;
    }
    report::heading();
    if wants("requests") {
        requests::run();
    }
    if wants("batches") {
        batches::run();
    }
    if wants("streams") {
        streams::run();
    }
}
