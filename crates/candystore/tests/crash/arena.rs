//! What the tests share: a runtime, the databases, and the tables of what was found.

use std::sync::{Mutex, OnceLock};

use libtest_mimic::{Completion, Failed};
use tokio::runtime::Runtime;

use crate::handling::Handled;
use crate::kills;
use crate::place::{Database, Place};
use crate::table::{Killed, Raced, Row};

pub(crate) struct Arena {
    pub(crate) runtime: Runtime,
    sqlite: OnceLock<Place>,
    postgres: OnceLock<Place>,
    killed: Mutex<Vec<String>>,
    raced: Mutex<Vec<String>>,
    handled: Mutex<Vec<String>>,
}

impl Arena {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        Arena {
            runtime: runtime.expect("a runtime"),
            sqlite: OnceLock::new(),
            postgres: OnceLock::new(),
            killed: Mutex::default(),
            raced: Mutex::default(),
            handled: Mutex::default(),
        }
    }

    /// Runs a test where the databases lie; without a PostgreSQL it is not run.
    pub(crate) fn at(
        &self,
        database: Database,
        run: impl FnOnce(&Place) -> Result<(), Failed>,
    ) -> Result<Completion, Failed> {
        let place = match database {
            Database::Sqlite => self.sqlite.get_or_init(Place::sqlite),
            Database::Postgres if !bloodbank_testkit::postgres() => {
                return Ok(Completion::ignored_with("PostgreSQL is missing"));
            }
            Database::Postgres => self.postgres.get_or_init(|| Place::postgres(&self.runtime)),
        };
        run(place).map(|()| Completion::Completed)
    }

    /// The URL of an empty database; `name` is another one each time.
    pub(crate) fn url(&self, place: &Place, name: &str) -> String {
        place.url(&self.runtime, name)
    }

    pub(crate) fn killed(&self, row: Killed) -> Result<(), Failed> {
        note(&self.killed, &row)
    }

    pub(crate) fn raced(&self, row: Raced) -> Result<(), Failed> {
        note(&self.raced, &row)
    }

    pub(crate) fn handled(&self, row: Handled) -> Result<(), Failed> {
        note(&self.handled, &row)
    }

    /// Prints the tables that have a row.
    pub(crate) fn print(&self) {
        let writers = format!(
            "SIGKILL to a process that wrote {} events a second (not: the power cut):",
            kills::RATE
        );
        let raced = "Two processes wrote as fast as they could, and another followed:";
        let handled = "SIGKILL to one of two processes that handled the events of a queue:";
        for (title, head, rows) in [
            (writers.as_str(), Killed::head(), &self.killed),
            (raced, Raced::head(), &self.raced),
            (handled, Handled::head(), &self.handled),
        ] {
            let rows = rows.lock().expect("nobody panics with the lock");
            if !rows.is_empty() {
                println!("{title}\n\n{head}\n{}\n", rows.join("\n"));
            }
        }
    }
}

/// Keeps a row for its table, and fails with what does not hold.
fn note(table: &Mutex<Vec<String>>, row: &dyn Row) -> Result<(), Failed> {
    table.lock().expect("nobody panics with the lock").push(row.line());
    let faults = row.faults();
    if faults.is_empty() { Ok(()) } else { Err(faults.join("; ").into()) }
}
