//! Where the databases of the tests lie.

use bloodbank_testkit::Postgres;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Database {
    Sqlite,
    Postgres,
}

impl Database {
    /// What chooses it on the command line.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Database::Sqlite => "sqlite",
            Database::Postgres => "postgres",
        }
    }
}

/// A folder, or a server of our own.
pub(crate) enum Place {
    Sqlite(TempDir),
    Postgres(Box<Postgres>),
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        Place::Sqlite(tempfile::tempdir().unwrap())
    }

    pub(crate) fn postgres(runtime: &Runtime) -> Self {
        Place::Postgres(Box::new(runtime.block_on(Postgres::start())))
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Place::Sqlite(_) => "SQLite",
            Place::Postgres(_) => "PostgreSQL",
        }
    }

    /// The URL of an empty database; `name` is another one each time.
    pub(crate) fn url(&self, runtime: &Runtime, name: &str) -> String {
        match self {
            Place::Sqlite(folder) => format!("sqlite:{}/{name}.db", folder.path().display()),
            Place::Postgres(server) => runtime.block_on(server.fresh_url()),
        }
    }
}
