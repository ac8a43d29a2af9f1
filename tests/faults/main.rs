//! What happens when the broker, or the way there, breaks while 1,000 events a second are published and
//! consumed: no confirmed event is lost, no handler gets one twice, and no call of publish outlives
//! its deadline.
//!
//! `cargo test --test faults` runs a short form; `cargo xtask test faults` all of it, in less than
//! ten minutes. A part of a scenario's name chooses, `--list` shows the names, and
//! `--include-ignored` adds to the short form what only the long one runs. The scenarios run one after
//! the other, whatever `--test-threads` says, and need the machine for themselves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod checker;
mod load;
mod scenarios;
mod signs;
mod table;

use std::env;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use bloodbank_testkit::Broker;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

use crate::scenarios::{Form, Scenario};
use crate::table::Row;

/// The environment variable that asks for the full form by the value `full`.
const FORM: &str = "BLOODBANK_FAULTS";

/// What the scenarios share.
struct Arena {
    form: Form,
    runtime: Runtime,
    /// Started by the first scenario that runs.
    broker: OnceCell<Broker>,
    /// Of the scenarios that ran to their end.
    rows: Mutex<Vec<Row>>,
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // They measure time, and share the broker that they break.
    arguments.test_threads = Some(1);
    let form = match env::var(FORM).as_deref() {
        Ok("full") => Form::Full,
        _ => Form::Short,
    };
    signs::listen();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let arena = Arc::new(Arena {
        form,
        runtime: runtime.expect("a runtime"),
        broker: OnceCell::new(),
        rows: Mutex::default(),
    });
    let conclusion = libtest_mimic::run(&arguments, trials(&arena));
    table::print(&arena.rows.lock().expect("nobody panics with the lock"));
    let ran = conclusion.num_passed + conclusion.num_failed + conclusion.num_ignored;
    if form == Form::Full && ran == 0 && !arguments.list {
        eprintln!("error: no scenario has this in its name; `--list` shows them");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

fn trials(arena: &Arc<Arena>) -> Vec<Trial> {
    let same = arena.clone();
    let mut trials = vec![
        Trial::test("checker::what_is_lost_and_what_comes_twice_is_counted", || {
            checker::test();
            Ok(())
        }),
        Trial::test("checker::a_fault_that_nobody_felt_is_a_failure", || {
            table::test();
            Ok(())
        }),
        Trial::test("checker::an_event_dropped_or_handled_twice_on_purpose_is_found", move || {
            same.runtime.block_on(load::test());
            Ok(())
        }),
    ];
    for scenario in Scenario::ALL {
        let run = arena.clone();
        let trial = Trial::ignorable_test(scenario.name(), move || run.run(scenario));
        trials.push(trial.with_ignored_flag(!arena.form.has(scenario)));
    }
    trials
}

impl Arena {
    fn run(&self, scenario: Scenario) -> Result<Completion, Failed> {
        if !bloodbank_testkit::rabbitmq() {
            return Ok(Completion::ignored_with("RabbitMQ is missing"));
        }
        let row = self.runtime.block_on(async {
            let broker = self.broker.get_or_init(Broker::start).await;
            scenario.run(self.form, broker).await
        });
        let faults = row.faults_of().join("; ");
        self.rows.lock().expect("nobody panics with the lock").push(row);
        if faults.is_empty() { Ok(Completion::Completed) } else { Err(faults.into()) }
    }
}
