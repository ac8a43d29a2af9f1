//! Processes are killed while they write, and two of them race: nothing that was confirmed is lost,
//! no position is left out, nothing is torn, and who follows by position misses nothing. And one is
//! killed while it handles: every event is handled.
//!
//! What is killed is the process, and for PostgreSQL the server; not the power.
//!
//! `cargo test -p candystore --test crash` runs a short form; `cargo xtask test crash` all of it, some
//! minutes. A part of a name chooses: `kill`, `race`, `handle`, `sqlite`, `postgres::kill`; `--list`
//! shows the names. They run one after the other, whatever `--test-threads` says, and need the machine
//! for themselves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod arena;
mod broken;
mod checker;
mod failover;
mod follower;
mod handling;
mod kills;
mod made;
mod place;
mod races;
mod raw;
mod removed;
mod seen;
mod table;
mod writer;

use std::env;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};

use crate::arena::Arena;
use crate::kills::Kills;
use crate::place::{Database, Place};
use crate::races::Race;

/// The environment variable that asks for the full form by the value `full`.
const FORM: &str = "BLOODBANK_CRASH";

/// How often and how much.
#[derive(Clone, Copy)]
struct Form {
    sqlite: Kills,
    postgres: Kills,
    servers: Kills,
    /// Each with a standby of its own, which takes over.
    failovers: Kills,
    /// How often the file is deleted or replaced.
    removals: Kills,
    /// On each database.
    one_of_two: Kills,
    /// Events of the races on SQLite and on PostgreSQL.
    raced: [u64; 2],
    /// Events that two processes write both.
    same: u64,
    /// How often a process that handles is killed.
    handlers: u32,
}

const SHORT: Form = Form {
    sqlite: Kills { times: 20, longest: Duration::from_millis(600) },
    postgres: Kills { times: 5, longest: Duration::from_millis(600) },
    servers: Kills { times: 2, longest: Duration::from_millis(400) },
    failovers: Kills { times: 1, longest: Duration::from_millis(400) },
    removals: Kills { times: 4, longest: Duration::from_millis(300) },
    one_of_two: Kills { times: 4, longest: Duration::from_millis(400) },
    raced: [60_000, 40_000],
    same: 10_000,
    handlers: 3,
};

const FULL: Form = Form {
    sqlite: Kills { times: 20, longest: Duration::from_secs(4) },
    postgres: Kills { times: 20, longest: Duration::from_secs(4) },
    servers: Kills { times: 10, longest: Duration::from_secs(2) },
    failovers: Kills { times: 10, longest: Duration::from_secs(2) },
    removals: Kills { times: 40, longest: Duration::from_secs(2) },
    one_of_two: Kills { times: 10, longest: Duration::from_secs(2) },
    raced: [1_000_000, 1_000_000],
    same: 100_000,
    handlers: 20,
};

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    if args.first().is_some_and(|role| role == writer::ROLE) {
        writer::main(&args);
        return ExitCode::SUCCESS;
    }
    if args.first().is_some_and(|role| role == handling::ROLE) {
        handling::main(&args);
        return ExitCode::SUCCESS;
    }
    let mut arguments = Arguments::from_args();
    // They fill the disk and the processor, and share a server.
    arguments.test_threads = Some(1);
    let full = env::var(FORM).as_deref() == Ok("full");
    let arena = Arc::new(Arena::new());
    let conclusion =
        libtest_mimic::run(&arguments, trials(&arena, if full { FULL } else { SHORT }));
    arena.print();
    let ran = conclusion.num_passed + conclusion.num_failed + conclusion.num_ignored;
    if full && ran == 0 && !arguments.list {
        eprintln!("error: no test has this in its name; `--list` shows them");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

/// Every test there is.
fn trials(arena: &Arc<Arena>, form: Form) -> Vec<Trial> {
    let mut trials = vec![Trial::test("checker::what_is_missed_or_out_of_order_is_seen", || {
        seen::Seen::test();
        Ok(())
    })];
    for database in [Database::Sqlite, Database::Postgres] {
        let mut add = |name: &str, run: fn(&Arena, &Form, &Place) -> Result<(), Failed>| {
            let (arena, name) = (arena.clone(), format!("{}::{name}", database.key()));
            trials.push(Trial::ignorable_test(name, move || {
                arena.at(database, |place| run(&arena, &form, place))
            }));
        };
        add("checker::what_is_broken_on_purpose_is_found", |arena, _, place| {
            broken::test(&arena.runtime, &place.url(&arena.runtime, "broken"));
            Ok(())
        });
        add("kill::writer", |arena, form, place| {
            let times = match place {
                Place::Sqlite(_) => form.sqlite,
                Place::Postgres(_) => form.postgres,
            };
            arena.killed(kills::writers(place.name(), &arena.url(place, "killed"), times))
        });
        add("kill::one_of_two_writers", |arena, form, place| {
            let url = arena.url(place, "one-of-two");
            arena.killed(kills::one_of_two(place.name(), &url, form.one_of_two))
        });
        if database == Database::Sqlite {
            add("remove::file", |arena, form, place| {
                let url = |n| arena.url(place, &format!("removed-{n}"));
                arena.killed(removed::run(place.name(), url, form.removals))
            });
        }
        if database == Database::Postgres {
            add("kill::server_with_standby", |arena, form, place| {
                arena.killed(failover::run(&arena.runtime, place.name(), form.failovers))
            });
            add("kill::server", |arena, form, place| {
                let Place::Postgres(server) = place else { return Ok(()) };
                let restart = || arena.runtime.block_on(server.restart());
                let url = arena.url(place, "server");
                arena.killed(kills::servers(place.name(), &url, form.servers, server, restart))
            });
        }
        add("race::own_ids", |arena, form, place| {
            let events = form.raced[usize::from(matches!(place, Place::Postgres(_)))];
            let url = arena.url(place, "raced");
            arena.raced(races::run(place.name(), &url, Race::Halves, events))
        });
        add("race::same_ids", |arena, form, place| {
            let url = arena.url(place, "same");
            arena.raced(races::run(place.name(), &url, Race::Same, form.same))
        });
        add("handle::one_of_two_handlers", |arena, form, place| {
            let (name, url) = (place.name(), arena.url(place, "handled"));
            arena.handled(handling::run(&arena.runtime, name, &url, form.handlers, HANDLED))
        });
    }
    trials
}

/// Events of the embedded bus for each kill.
const HANDLED: u32 = 500;
