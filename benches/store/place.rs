//! Where stores lie: files in a folder, databases on a private server. Both go with the process.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use bloodbank::candystore::{EventStore, StoreOptions, StoreUrl};
use bloodbank::events;
use bloodbank_testkit::Postgres;
use tempfile::TempDir;

/// A database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
}

impl Backend {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Backend::Sqlite => "SQLite",
            Backend::Postgres => "PostgreSQL",
        }
    }

    /// As an argument.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Backend::Sqlite => "sqlite",
            Backend::Postgres => "postgres",
        }
    }
}

/// What makes fresh places.
pub(crate) struct Places {
    folder: TempDir,
    given: AtomicUsize,
    backends: Vec<Backend>,
    postgres: Option<Postgres>,
}

impl Places {
    /// Without a PostgreSQL server on the machine, that is said, and its rounds are left out.
    pub(crate) async fn new(mut backends: Vec<Backend>) -> Places {
        let mut postgres = None;
        if backends.contains(&Backend::Postgres) {
            match bloodbank_testkit::postgres() {
                true => postgres = Some(Postgres::start().await),
                false => backends.retain(|backend| *backend != Backend::Postgres),
            }
        }
        let folder = tempfile::tempdir().expect("a folder");
        Places { folder, given: AtomicUsize::new(0), backends, postgres }
    }

    /// Those that were asked for and are there.
    pub(crate) fn backends(&self) -> &[Backend] {
        &self.backends
    }

    /// The figures of each database, after so many rounds of all in turn.
    pub(crate) async fn in_turn<F: Default>(
        &self,
        rounds: usize,
        round: impl AsyncFn(Backend, &mut F),
    ) -> Vec<(Backend, F)> {
        let mut all: Vec<_> = self.backends.iter().map(|it| (*it, F::default())).collect();
        for _ in 0..rounds {
            for (backend, figures) in &mut all {
                round(*backend, figures).await;
            }
        }
        all
    }

    /// A file that is not there yet.
    pub(crate) fn file(&self) -> PathBuf {
        let number = self.given.fetch_add(1, Ordering::Relaxed);
        self.folder.path().join(format!("{number}.db"))
    }

    /// An empty database of the server's.
    pub(crate) async fn database(&self) -> String {
        self.postgres.as_ref().expect("a server").fresh_url().await
    }

    /// Somewhere to open a store at.
    pub(crate) async fn url(&self, backend: Backend) -> StoreUrl {
        let url = match backend {
            Backend::Sqlite => return StoreUrl::Sqlite(self.file()),
            Backend::Postgres => self.database().await,
        };
        url.parse().expect("a URL")
    }
}

/// Opens a store.
pub(crate) async fn open(url: &StoreUrl) -> EventStore {
    EventStore::open(StoreOptions::new(url.clone()), events::contracts()).await.expect("a store")
}

/// Deletes a SQLite file, and what lies beside it.
pub(crate) fn delete(file: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        // It need not be there.
        let _ = std::fs::remove_file(name);
    }
}
