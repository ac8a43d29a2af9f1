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

    /// A program that is told the server by its environment, where no other user sees a password.
    fn command(tool: &'static str, url: &str) -> Result<Command, BackupError> {
        let refused =
            |_| UrlError { name: "DATABASE_URL".to_owned(), found: "another text".to_owned() };
        let Server { config, tls } = parse(url).map_err(refused).map_err(StoreError::from)?;
        let file = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let (own, key) = tls.own.clone().unzip();
        let mut command = Command::new(tool);
        let hosts = config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            #[cfg(unix)]
            Host::Unix(path) => path.display().to_string(),
        });
        let ports = config.get_ports().iter().map(ToString::to_string);
        let password = config.get_password().map(|said| String::from_utf8_lossy(said).into_owned());
        for (name, value) in [
            ("PGHOST", Some(hosts.collect::<Vec<_>>().join(","))),
            ("PGPORT", Some(ports.collect::<Vec<_>>().join(","))),
            ("PGUSER", config.get_user().map(str::to_owned)),
            ("PGDATABASE", config.get_dbname().or(config.get_user()).map(str::to_owned)),
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
        Ok(command)
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
        let mut dump = command(DUMP, url)?;
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
        let mut restore = command(RESTORE, url)?;
        restore.args([
            "--single-transaction",
            "--exit-on-error",
            "--strict-names",
            "--no-owner",
            "--no-privileges",
        ]);
        restore.arg("--dbname").arg(dbname(url)?).arg(format!("--schema={schema}"));
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

    /// Without it, `pg_restore` only prints what it would do.
    fn dbname(url: &str) -> Result<String, BackupError> {
        let refused =
            |_| UrlError { name: "DATABASE_URL".to_owned(), found: "another text".to_owned() };
        let config = parse(url).map_err(refused).map_err(StoreError::from)?.config;
        Ok(config.get_dbname().or(config.get_user()).unwrap_or_default().to_owned())
    }

    /// Whether a list of `pg_restore` has a table.
    fn has_table(list: &str, schema: &str, name: &str) -> bool {
        list.lines().any(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            words.windows(3).any(|words| words == ["TABLE", schema, name])
        })
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
