//! A second server that takes over.

use std::ffi::OsString;
use std::sync::Arc;

use super::{Inner, Postgres, PostgresOptions, as_owner, blocking, plain, run};

impl Postgres {
    /// Starts a server that holds everything that this one has, follows it, and answers to who only
    /// reads. `SELECT pg_promote()` lets it take over.
    ///
    /// # Panics
    ///
    /// With what `pg_basebackup` prints, if it fails.
    pub async fn standby(&self) -> Postgres {
        let port = self.port().to_string();
        blocking(move || {
            let inner = Inner::on_data(PostgresOptions::default(), |bin, dir| {
                let mut command = as_owner(&bin.join("pg_basebackup"));
                command.push("--pgdata".into());
                command.push(dir.join("data").into());
                let options = ["-h", "127.0.0.1", "-p", &port, "-U", "bloodbank"];
                command.extend(options.map(OsString::from));
                let options = ["--write-recovery-conf", "--checkpoint=fast", "--no-sync"];
                command.extend(options.map(OsString::from));
                run(plain(&command[0]).args(&command[1..]).current_dir(dir));
            });
            inner.wait_ready();
            Postgres { inner: Arc::new(inner) }
        })
        .await
    }
}
