//! What happens when the broker, or the way there, breaks while 1,000 events a second are published and
//! consumed: no confirmed event is lost, no handler gets one twice, and no call of publish outlives
//! its deadline.
//!
//! `cargo test --test faults` runs a short form; `cargo xtask test faults` all of it, in less than
//! ten minutes. Arguments choose scenarios by a part of their name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod checker;
mod load;
mod scenarios;
mod table;

use std::env;
use std::process::ExitCode;

use bloodbank_testkit::Broker;

use crate::scenarios::{Form, Scenario};

/// The environment variable that asks for the full form by the value `full`.
const FORM: &str = "BLOODBANK_FAULTS";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    if args.iter().any(|arg| arg == "--list") {
        return ExitCode::SUCCESS;
    }
    let form = match env::var(FORM).as_deref() {
        Ok("full") => Form::Full,
        _ => Form::Short,
    };
    let chosen = |scenario: &&Scenario| {
        let mut wanted = args.iter().filter(|arg| !arg.starts_with('-')).peekable();
        wanted.peek().is_none() || wanted.any(|part| scenario.name().contains(&**part))
    };
    let scenarios: Vec<Scenario> = form.scenarios().iter().filter(chosen).copied().collect();
    if scenarios.is_empty() {
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(run(form, &scenarios))
}

async fn run(form: Form, scenarios: &[Scenario]) -> ExitCode {
    checker::test();
    load::test().await;
    println!("\nThe checker finds an event that is dropped, and one that is handled twice.");
    if !bloodbank_testkit::rabbitmq() {
        return ExitCode::SUCCESS;
    }
    println!("Faults, while 1,000 events a second are published and consumed:\n");
    let broker = Broker::start().await;
    table::head();
    let mut failed = false;
    for scenario in scenarios {
        let row = scenario.run(form, &broker).await;
        row.print();
        failed |= !row.faults_of().is_empty();
    }
    println!();
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
