//! The store, beside bare inserts into the databases it lies in.
//!
//! Parts: `append`, `questions`, `record`, `embedded`, `delivery`; databases: `sqlite`, `postgres`. All of
//! them, if none is named. `services` and `idle` run only where they are named. Rounds take turns, and
//! medians are told. What is wished for is printed beside what is; nothing fails.
#![allow(clippy::expect_used, clippy::panic)]

mod append;
mod bare;
mod delivery;
mod embedded;
mod filled;
mod idle;
mod place;
mod questions;
mod recording;
mod report;
mod services;
#[path = "../support/mod.rs"]
mod support;
mod workflow;

use place::{Backend, Places};

const PARTS: [&str; 7] =
    ["append", "questions", "record", "embedded", "delivery", "services", "idle"];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let names = |name: &str| args.iter().any(|arg| arg == name);
    let wants = |part: &str| names(part) || !PARTS.into_iter().any(names);
    let backends = [Backend::Sqlite, Backend::Postgres];
    let backends: Vec<Backend> = match backends.into_iter().filter(|b| names(b.word())).collect() {
        none if Vec::is_empty(&none) => backends.into(),
        some => some,
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        if services::is_service().await {
            return;
        }
        let places = Places::new(backends).await;
        if wants("append") {
            append::run(&places).await;
        }
        if wants("questions") {
            questions::run(&places).await;
        }
        if wants("record") {
            recording::run(&places).await;
        }
        if wants("embedded") {
            embedded::run(&places).await;
        }
        if wants("delivery") {
            delivery::run(&places).await;
        }
        if names("idle") {
            idle::run(&places).await;
        }
        if names("services") {
            services::run(&places).await;
        }
    });
}
