//! Processes that write, relay and handle are killed while they do: every event that was committed
//! arrives, each aggregate's in their order, what comes twice has the same id and the same bytes, nothing
//! arrives that was rolled back, and each effect happens once.
//!
//! `cargo test -p bloodbank-outbox --test crash` runs a short form; `cargo xtask test crash outbox` all of
//! it. The judge is a program in Python, which reads the database and the queue by itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod judge;
mod kills;
mod processes;
mod relaying;
mod shop;

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::kills::Kills;

/// The environment variable that asks for the full form by the value `full`.
const FORM: &str = "BLOODBANK_CRASH";

const SHORT: Kills = Kills { times: 6, longest: Duration::from_millis(1_500) };
const FULL: Kills = Kills { times: 60, longest: Duration::from_secs(3) };

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    if args.first().is_some_and(|role| processes::run(role, &args[1..])) {
        return ExitCode::SUCCESS;
    }
    let mut arguments = Arguments::from_args();
    // They share a broker and the processor.
    arguments.test_threads = Some(1);
    let kills = if env::var(FORM).as_deref() == Ok("full") { FULL } else { SHORT };
    libtest_mimic::run(&arguments, trials(kills)).exit_code()
}

fn trials(kills: Kills) -> Vec<Trial> {
    let trial = |name: &str, run: fn(Kills) -> Result<(), Failed>, has_database: fn() -> bool| {
        Trial::ignorable_test(name, move || {
            if !bloodbank_testkit::rabbitmq() || bloodbank_testkit::python().is_none() {
                return Ok(Completion::ignored_with("RabbitMQ or our Python is missing"));
            }
            if !has_database() {
                return Ok(Completion::ignored_with("PostgreSQL is missing"));
            }
            run(kills).map(|()| Completion::Completed)
        })
    };
    vec![
        trial("sqlite::kill", kills::sqlite, || true),
        trial("postgres::kill", kills::postgres, bloodbank_testkit::postgres),
        trial("broker::kill", kills::broker, || true),
        trial("judge::what_is_wrong_on_purpose_is_seen", judge::test, || true),
    ]
}
