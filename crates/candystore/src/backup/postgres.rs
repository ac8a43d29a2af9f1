//! Copies of a store on PostgreSQL, by its own programs.

#[cfg(not(feature = "postgres"))]
use {super::BackupError, crate::Verified, crate::sql::Target, std::path::Path};

#[cfg(feature = "postgres")]
mod tools {
    use std::io::ErrorKind;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};

    use tokio_postgres::config::Host;

    use super::super::{BackupError, is_empty, verify};
    use crate::sql::{Connection, Mode, Target, migrations};
    use crate::url::postgres::{Server, parse};
    use crate::verify::Verified;
    use crate::{StoreError, UrlError};

    /// The most that is told of what a program says.
    const MOST_SAID: usize = 500;

    const DUMP: &str = "pg_dump";
    const RESTORE: &str = "pg_restore";

    /// Gives the partitions of the table of events, and their indexes, names that no copy has. They go with
    /// the table; `pg_restore` would drop those that it knows by name one by one, which the server refuses.
    const RENAME: &str = "DO $$
        DECLARE
            old regclass;
        BEGIN
            FOR old IN
                SELECT indexrelid FROM pg_inherits JOIN pg_index ON indrelid = inhrelid
                WHERE inhparent = to_regclass('events')
                UNION ALL SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass('events')
            LOOP
                EXECUTE format('ALTER TABLE %s RENAME TO %I', old,
                    'replaced_' || md5(random()::text || clock_timestamp()));
            END LOOP;
        END $$";

    fn server(url: &str) -> Result<Server, StoreError> {
        let refused =
            |_| UrlError { name: "DATABASE_URL".to_owned(), found: "another text".to_owned() };
        Ok(parse(url).map_err(refused)?)
    }

    /// The database: unless it is named, that of the user's name.
    fn database(server: &Server) -> Option<&str> {
        server.config.get_dbname().or(server.config.get_user())
    }

    /// A program that is told the server by its environment, where no other user sees a password.
    fn command(tool: &'static str, server: &Server) -> Command {
        let Server { config, tls } = server;
        let file = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let (own, key) = tls.own.clone().unzip();
        let mut command = Command::new(tool);
        let hosts = config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            #[cfg(unix)]
            Host::Unix(path) => path.display().to_string(),
        });
        let addresses = config.get_hostaddrs().iter().map(ToString::to_string);
        let ports = config.get_ports().iter().map(ToString::to_string);
        let password = config.get_password().map(|said| String::from_utf8_lossy(said).into_owned());
        for (name, value) in [
            ("PGHOST", Some(hosts.collect::<Vec<_>>().join(","))),
            ("PGHOSTADDR", Some(addresses.collect::<Vec<_>>().join(","))),
            ("PGPORT", Some(ports.collect::<Vec<_>>().join(","))),
            ("PGUSER", config.get_user().map(str::to_owned)),
            ("PGDATABASE", database(server).map(str::to_owned)),
            ("PGPASSWORD", password),
            ("PGOPTIONS", config.get_options().map(str::to_owned)),
            ("PGSSLMODE", Some(tls.mode(config.get_ssl_mode()).to_owned())),
            ("PGSSLROOTCERT", file(&tls.authorities)),
            ("PGSSLCERT", file(&own)),
            ("PGSSLKEY", file(&key)),
        ] {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                command.env(name, value);
            }
        }
        command.stdin(Stdio::null()).arg("--no-password");
        command
    }

    fn run(tool: &'static str, mut command: Command) -> Result<String, BackupError> {
        let output = command.output().map_err(|error| match error.kind() {
            ErrorKind::NotFound => BackupError::NoTool { tool, reason: error.to_string() },
            _ => BackupError::Tool { tool, said: error.to_string() },
        })?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said =
            said.lines().filter(|line| !line.trim().is_empty()).collect::<Vec<_>>().join("; ");
        Err(BackupError::Tool { tool, said: said.chars().take(MOST_SAID).collect() })
    }

    /// The schema that the tables are in.
    async fn schema(connection: &mut Connection) -> Result<String, StoreError> {
        let sql = "SELECT CAST(current_schema() AS TEXT)";
        Ok(connection.query_one(sql, &[]).await?.text(0)?.to_owned())
    }

    pub(in super::super) async fn dump(
        target: &Target,
        url: &str,
        file: &Path,
    ) -> Result<(), BackupError> {
        let mut connection = Connection::open(target, Mode::Read).await?;
        let schema = schema(&mut connection).await?;
        drop(connection);
        let mut dump = command(DUMP, &server(url)?);
        dump.args(["--format=custom", "--no-owner", "--no-privileges"]);
        dump.arg(format!("--schema=\"{schema}\"")).arg("--file").arg(file);
        run(DUMP, dump)?;
        list(file).map(|_| ())
    }

    /// Reads the list of what a copy has.
    fn list(file: &Path) -> Result<String, BackupError> {
        let mut list = Command::new(RESTORE);
        list.arg("--list").arg(file);
        run(RESTORE, list)
    }

    pub(in super::super) async fn restore(
        target: &Target,
        url: &str,
        file: &Path,
        replace: bool,
    ) -> Result<Verified, BackupError> {
        let not_a_backup =
            |reason: String| BackupError::NotABackup { file: file.to_owned(), reason };
        let found = list(file).map_err(|error| match error {
            BackupError::Tool { said, .. } => not_a_backup(said),
            other => other,
        })?;
        let mut connection = Connection::open(target, Mode::Read).await?;
        let schema = schema(&mut connection).await?;
        if !["head", "events", "migrations"].iter().all(|name| has_table(&found, &schema, name)) {
            let reason = format!("it does not have the tables of a store in the schema `{schema}`");
            return Err(not_a_backup(reason));
        }
        let there = "SELECT CAST(to_regclass('migrations') AS TEXT)";
        let is_new = connection.query_one(there, &[]).await?.maybe_text(0)?.is_none();
        if !is_new && !replace && !is_empty(&mut connection).await? {
            return Err(BackupError::NotEmpty { place: target.url.to_string() });
        }
        drop(connection);
        let server = server(url)?;
        let mut restore = command(RESTORE, &server);
        // Of several hosts a standby may be the first.
        restore.env("PGTARGETSESSIONATTRS", "read-write");
        restore.args([
            "--single-transaction",
            "--exit-on-error",
            "--strict-names",
            "--no-owner",
            "--no-privileges",
        ]);
        // Without a database it only prints what it would do.
        restore.arg("--dbname").arg(database(&server).unwrap_or_default());
        restore.arg(format!("--schema={schema}"));
        if !is_new {
            restore.args(["--clean", "--if-exists"]);
            Connection::open(target, Mode::Write).await?.batch(RENAME).await?;
        }
        run(RESTORE, {
            restore.arg(file);
            restore
        })?;
        let mut connection = Connection::open(target, Mode::Write).await?;
        migrations::run(&mut connection).await?;
        verify(&mut connection, file).await
    }

    /// Whether a list of `pg_restore` has a table.
    fn has_table(list: &str, schema: &str, name: &str) -> bool {
        list.lines().any(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            words.windows(3).any(|words| words == ["TABLE", schema, name])
        })
    }

    #[cfg(test)]
    mod tests {
        use std::ffi::OsStr;

        use super::{DUMP, command, database, server};

        #[test]
        fn programs_are_told_what_the_url_says() {
            let url = "postgres://ann:p%23a%3Fss@one:6001,two:6002/events\
                       ?hostaddr=10.0.0.1,10.0.0.2&sslmode=verify-full\
                       &sslrootcert=/etc/ca%20s.pem&sslcert=/etc/ann.pem&sslkey=/etc/ann.key\
                       &options=-csearch_path%3Devents";
            let command = command(DUMP, &server(url).unwrap());
            let told: Vec<(&str, &str)> = command
                .get_envs()
                .filter_map(|(name, value)| Some((name.to_str()?, value?.to_str()?)))
                .collect();
            assert_eq!(
                told,
                [
                    ("PGDATABASE", "events"),
                    ("PGHOST", "one,two"),
                    ("PGHOSTADDR", "10.0.0.1,10.0.0.2"),
                    ("PGOPTIONS", "-csearch_path=events"),
                    ("PGPASSWORD", "p#a?ss"),
                    ("PGPORT", "6001,6002"),
                    ("PGSSLCERT", "/etc/ann.pem"),
                    ("PGSSLKEY", "/etc/ann.key"),
                    ("PGSSLMODE", "verify-full"),
                    ("PGSSLROOTCERT", "/etc/ca s.pem"),
                    ("PGUSER", "ann"),
                ]
            );
            assert!(command.get_args().all(|argument| argument == OsStr::new("--no-password")));
        }

        #[test]
        fn a_database_that_is_not_named_is_that_of_the_user() {
            assert_eq!(database(&server("postgres://ann@one").unwrap()), Some("ann"));
            assert_eq!(database(&server("postgres://ann@one/events").unwrap()), Some("events"));
        }
    }
}

#[cfg(feature = "postgres")]
pub(super) use self::tools::{dump, restore};

#[cfg(not(feature = "postgres"))]
pub(super) async fn dump(target: &Target, _: &str, _: &Path) -> Result<(), BackupError> {
    Err(crate::StoreError::NoPostgres { place: target.url.to_string() }.into())
}

#[cfg(not(feature = "postgres"))]
pub(super) async fn restore(
    target: &Target,
    _: &str,
    _: &Path,
    _: bool,
) -> Result<Verified, BackupError> {
    Err(crate::StoreError::NoPostgres { place: target.url.to_string() }.into())
}
