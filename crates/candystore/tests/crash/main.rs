//! Processes are killed while they write, and two of them race: nothing that was confirmed is lost,
//! no position is left out, nothing is torn, and who follows by position misses nothing. And one is
//! killed while it handles: every event is handled.
//!
//! What is killed is the process, and for PostgreSQL the server; not the power.
//!
//! `cargo test -p candystore --test crash` runs a short form; `cargo xtask test crash` all of it, some
//! minutes. Arguments choose parts by their name: `kill`, `race`,
//! `handle`, `sqlite`, `postgres`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod broken;
mod checker;
mod follower;
mod handling;
mod kills;
mod made;
mod place;
mod races;
mod raw;
mod seen;
mod table;
mod writer;

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::handling::Handled;
use crate::kills::Kills;
use crate::place::Place;
use crate::races::Race;
use crate::table::{Killed, Raced};

/// The environment variable that asks for the full form by the value `full`.
const FORM: &str = "BLOODBANK_CRASH";

/// How often and how much.
struct Form {
    sqlite: Kills,
    postgres: Kills,
    servers: Kills,
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
    one_of_two: Kills { times: 4, longest: Duration::from_millis(400) },
    raced: [60_000, 40_000],
    same: 10_000,
    handlers: 3,
};

const FULL: Form = Form {
    sqlite: Kills { times: 20, longest: Duration::from_secs(4) },
    postgres: Kills { times: 20, longest: Duration::from_secs(4) },
    servers: Kills { times: 10, longest: Duration::from_secs(2) },
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
    if args.iter().any(|arg| arg == "--list") {
        return ExitCode::SUCCESS;
    }
    let form = match env::var(FORM).as_deref() {
        Ok("full") => FULL,
        _ => SHORT,
    };
    let chosen = |parts: [&str; 2]| {
        let wanted = args.iter().filter(|arg| !arg.starts_with('-'));
        let others = |wanted: &String| parts.iter().all(|part| !part.contains(&**wanted));
        !wanted.into_iter().any(others)
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match run(&runtime.expect("a runtime"), &form, &chosen) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn run(runtime: &Runtime, form: &Form, chosen: &dyn Fn([&str; 2]) -> bool) -> bool {
    let mut places = Vec::new();
    if chosen(["sqlite", "kill race handle"]) {
        places.push(Place::sqlite());
    }
    if chosen(["postgres", "kill race handle"]) && bloodbank_testkit::postgres() {
        places.push(Place::postgres(runtime));
    }
    seen::Seen::test();
    for place in &places {
        broken::test(runtime, &place.url(runtime, "broken"));
    }
    println!("\nThe checker finds what is lost, left out and torn, and what comes out of order.");
    let kinds = |kind| move |place: &&Place| chosen([place.key(), kind]);
    let mut is_well = true;
    if places.iter().any(|place| kinds("kill")(&place)) {
        println!("\nSIGKILL to who writes {} events a second (not: the power cut):\n", kills::RATE);
        Killed::head();
    }
    for place in places.iter().filter(kinds("kill")) {
        is_well &= kill(runtime, form, place);
    }
    if places.iter().any(|place| kinds("race")(&place)) {
        println!("\nTwo processes write as fast as they can, another follows:\n");
        Raced::head();
    }
    for place in places.iter().filter(kinds("race")) {
        is_well &= race(runtime, form, place);
    }
    if places.iter().any(|place| kinds("handle")(&place)) {
        println!("\nSIGKILL to one of two processes that handle the events of a queue:\n");
        Handled::head();
    }
    for place in places.iter().filter(kinds("handle")) {
        is_well &= handle(runtime, form, place);
    }
    println!();
    is_well
}

fn kill(runtime: &Runtime, form: &Form, place: &Place) -> bool {
    let (name, url) = (place.name(), |name| place.url(runtime, name));
    let times = match place {
        Place::Sqlite(_) => form.sqlite,
        Place::Postgres(_) => form.postgres,
    };
    let mut is_well = kills::writers(name, &url("killed"), times).print();
    is_well &= kills::one_of_two(name, &url("one-of-two"), form.one_of_two).print();
    if let Place::Postgres(server) = place {
        let restart = || runtime.block_on(server.restart());
        let killed = kills::servers(name, &url("server"), form.servers, server, restart);
        is_well &= killed.print();
    }
    is_well
}

fn race(runtime: &Runtime, form: &Form, place: &Place) -> bool {
    let events = form.raced[usize::from(matches!(place, Place::Postgres(_)))];
    let halves = races::run(place.name(), &place.url(runtime, "raced"), Race::Halves, events);
    let is_well = halves.print();
    let same = races::run(place.name(), &place.url(runtime, "same"), Race::Same, form.same);
    same.print() && is_well
}

/// Events of the embedded bus for each kill.
const HANDLED: u32 = 500;

fn handle(runtime: &Runtime, form: &Form, place: &Place) -> bool {
    let (name, url) = (place.name(), place.url(runtime, "handled"));
    handling::run(runtime, name, &url, form.handlers, HANDLED).print()
}
