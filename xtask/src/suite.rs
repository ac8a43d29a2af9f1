//! `cargo xtask suite DIR`: our verdicts beside those of the official JSON Schema test suite.
//!
//! Every schema of the suite is tried twice, by the way that any contract goes: as the root of a
//! payload, and as one property of a payload. The folder is a checkout of
//! <https://github.com/json-schema-org/JSON-Schema-Test-Suite>.

mod cases;
mod table;
mod trial;

use std::num::NonZero;
use std::path::Path;
use std::{panic, thread};

use anyhow::Context;

use self::cases::{Case, Edition, Part};
use self::table::Row;
use self::trial::{Seat, Verdict};

/// Of the required schemas at least so many percent must compile.
const GOAL: f64 = 95.0;

/// Tries the required tests of both drafts and those of formats, which we assert, and prints what
/// came of it. Fails if a verdict differs from the suite's, something panics, or too many schemas
/// are refused.
pub(crate) fn run(folder: &Path) -> anyhow::Result<u8> {
    let mut is_faithful = true;
    let mut required = Row::new("required");
    for edition in Edition::ALL {
        for part in Part::ALL {
            let cases = cases::read(folder, edition, part)
                .with_context(|| format!("{} is no checkout of the suite", folder.display()))?;
            let rows = rows(&cases)?;
            println!("{}", table::show(&format!("{}{}", edition.name(), part.name()), &rows));
            is_faithful &= Row::total(&rows).is_faithful();
            if part == Part::Required {
                required = Row::total(&[vec![required], rows].concat());
            }
        }
    }
    let is_reached = is_faithful && required.share_compiled() >= GOAL;
    println!(
        "required: {} of {} compiled, {:.1} %; goal (at least {GOAL} %, no false verdict, no panic) {}",
        required.compiled,
        required.tried,
        required.share_compiled(),
        if is_reached { "reached" } else { "missed" }
    );
    Ok(if is_reached { 0 } else { 1 })
}

/// One row per keyword, in the order of the suite.
fn rows(cases: &[Case]) -> anyhow::Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    for (case, verdicts) in cases.iter().zip(verdicts(cases)?) {
        if rows.last().is_none_or(|row| row.keyword != case.keyword) {
            rows.push(Row::new(&case.keyword));
        }
        let Some(row) = rows.last_mut() else { continue };
        for (seat, verdict) in verdicts {
            row.count(case, seat, verdict);
        }
    }
    Ok(rows)
}

/// The verdicts of each case, worked out on all cores.
fn verdicts(cases: &[Case]) -> anyhow::Result<Vec<Vec<(Seat, Verdict)>>> {
    // A panic is a result here, and counted; its backtrace would bury the table.
    panic::set_hook(Box::new(|_| {}));
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let share = cases.len().div_ceil(cores).max(1);
    let all = thread::scope(|scope| {
        let threads: Vec<_> = cases
            .chunks(share)
            .map(|part| scope.spawn(move || part.iter().map(trial::of).collect::<Vec<_>>()))
            .collect();
        let parts = threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow::anyhow!("a thread of the suite died")));
        parts.collect::<anyhow::Result<Vec<_>>>()
    });
    let _ = panic::take_hook();
    Ok(all?.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_is_that_of_the_official_suite_where_it_is_at_hand() {
        let suite = crate::root().join("../shared/corpus/json-schema-test-suite");
        if suite.exists() {
            assert_eq!(run(&suite).unwrap(), 0);
        }
    }

    #[test]
    fn a_folder_that_is_no_suite_is_an_error() {
        let error = run(Path::new("/nowhere")).unwrap_err();
        assert!(format!("{error:#}").contains("/nowhere"), "{error:#}");
    }
}
