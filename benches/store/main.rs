//! The store, beside bare inserts into the databases it lies in.
//!
//! Parts: `append`, `questions`, `record`, `embedded`; all of them, if none is named. Rounds take
//! turns, and medians are told. What is wished for is printed beside what is; nothing fails.
#![allow(clippy::expect_used, clippy::panic)]

mod append;
mod bare;
mod place;
mod report;
#[path = "../support/mod.rs"]
mod support;
mod workflow;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wants = |name: &str| args.is_empty() || args.iter().any(|arg| arg == name);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let places = place::Places::new().await;
        if wants("append") {
            append::run(&places).await;
        }
    });
}
