//! A private PostgreSQL server.

mod certified;
mod standby;

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{env, fs};

use tokio::sync::OnceCell;

use crate::child::{Child, Start, blocking, tail, until};
use crate::ports;

/// Where Debian puts each version, in a folder with the version's number.
const VERSIONS: &str = "/usr/lib/postgresql";

/// How long a server may take to start, recovery included.
const LIMIT: Duration = Duration::from_secs(60);

/// PostgreSQL refuses to run as root; this is the user that Debian makes for it. The process stays
/// the same one, so its pid is the server's.
pub(crate) const NOT_ROOT: [&str; 4] =
    ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"];

/// The server that the tests of one binary share.
static SHARED: OnceCell<Postgres> = OnceCell::const_new();

/// A private PostgreSQL server on 127.0.0.1, which lets the user `bloodbank` in without a password
/// and gives him every right. What is committed is synced to the disk. Ends with the process that
/// started it, however that ends.
pub struct Postgres {
    inner: Arc<Inner>,
}

/// How a server differs from the default.
#[derive(Clone, Copy, Debug, Default)]
pub struct PostgresOptions {
    /// Names and values as in `postgresql.conf`.
    pub settings: &'static [(&'static str, &'static str)],
}

struct Inner {
    bin: PathBuf,
    dir: PathBuf,
    port: u16,
    options: PostgresOptions,
    /// How many databases were given out.
    given: AtomicUsize,
    process: Mutex<Child>,
    /// Ends last, and removes the folder, which outlives each process of the server.
    _folder: Child,
}

impl Postgres {
    /// Starts a server of the caller's own, and waits until it answers.
    ///
    /// # Panics
    ///
    /// With the end of its log, if it does not answer within 60 seconds.
    pub async fn start() -> Postgres {
        Postgres::start_with(PostgresOptions::default()).await
    }

    /// The same, with other settings.
    ///
    /// # Panics
    ///
    /// With the end of its log, if it does not answer within 60 seconds.
    pub async fn start_with(options: PostgresOptions) -> Postgres {
        blocking(move || {
            let inner = Inner::new(options);
            inner.wait_ready();
            Postgres { inner: Arc::new(inner) }
        })
        .await
    }

    /// The server that all tests of this binary share. Do not stop it, and use a
    /// [fresh database](Postgres::fresh_url).
    pub async fn shared() -> &'static Postgres {
        SHARED.get_or_init(Postgres::start).await
    }

    /// The port. It stays the same after a restart.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.inner.port
    }

    /// The server's own process. After a restart it is another.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.inner.process.lock().unwrap().pid()
    }

    /// The URL of a database. `postgres` is there from the start.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://bloodbank@127.0.0.1:{}/{database}", self.port())
    }

    /// The URL of a database that no other caller got, made now, and empty.
    ///
    /// # Panics
    ///
    /// With what `createdb` prints, if it fails.
    pub async fn fresh_url(&self) -> String {
        let number = self.inner.given.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", process::id());
        let url = self.url(&name);
        let inner = Arc::clone(&self.inner);
        blocking(move || inner.create(&name)).await;
        url
    }

    /// Ends the server and every process of it with SIGKILL, and waits until all are gone.
    pub fn kill(&self) {
        self.inner.process.lock().unwrap().kill_family(Duration::from_secs(20));
    }

    /// Starts the server again on the same port and data, and waits until it answers. Ends it first
    /// with SIGKILL if it is running.
    ///
    /// # Panics
    ///
    /// With the end of its log, if it does not answer within 60 seconds.
    pub async fn restart(&self) {
        let again = Postgres { inner: Arc::clone(&self.inner) };
        blocking(move || {
            again.kill();
            let inner = &again.inner;
            // It names the old process. The kernel may give that number to another one, and the
            // server would take it for a server on its data.
            let _ = fs::remove_file(inner.dir.join("data/postmaster.pid"));
            *inner.process.lock().unwrap() =
                spawn(&inner.bin, &inner.dir, inner.port, inner.options);
            inner.wait_ready();
        })
        .await;
    }
}

impl Inner {
    /// Makes the data folder and starts the server; it does not answer yet.
    fn new(options: PostgresOptions) -> Inner {
        Inner::on_data(options, init)
    }

    /// The same on data that `fill` makes.
    fn on_data(options: PostgresOptions, fill: impl FnOnce(&Path, &Path)) -> Inner {
        let bin = bin().expect("PostgreSQL is missing: apt-get install postgresql");
        let dir = tempfile::Builder::new().prefix("bloodbank-").tempdir().unwrap().keep();
        let folder = keeper(&dir);
        give_to_owner(&dir);
        fill(&bin, &dir);
        let port = ports::free();
        let process = Mutex::new(spawn(&bin, &dir, port, options));
        let given = AtomicUsize::new(0);
        Inner { bin, dir, port, options, given, process, _folder: folder }
    }

    /// Waits until the log says that it answers: who asks the server itself before that fills the log.
    fn wait_ready(&self) {
        let process = self.process.lock().unwrap();
        let is_up = || {
            let said = fs::read_to_string(process.log()).unwrap_or_default();
            said.contains("database system is ready to accept connections")
                || said.contains("database system is ready to accept read-only connections")
        };
        until(LIMIT, || is_up() || !process.is_alive());
        assert!(is_up(), "PostgreSQL does not start: {}", tail(process.log()));
    }

    fn create(&self, database: &str) {
        let port = self.port.to_string();
        let mut command = plain(self.bin.join("createdb").as_os_str());
        command.args(["-h", "127.0.0.1", "-p", &port, "-U", "bloodbank"]);
        // Of template1 there is no copy while somebody is connected to it; to template0 nobody
        // ever is.
        run(command.args(["--maintenance-db=postgres", "--template=template0", database]));
    }
}

/// The folder of the newest version's programs, if there is one with a server.
pub(crate) fn bin() -> Option<PathBuf> {
    let versions = fs::read_dir(VERSIONS).ok()?.flatten();
    versions
        .filter_map(|version| {
            let number: u32 = version.file_name().to_str()?.parse().ok()?;
            let bin = version.path().join("bin");
            bin.join("postgres").exists().then_some((number, bin))
        })
        .max()
        .map(|(_, bin)| bin)
}

/// What removes the folder when we end.
fn keeper(dir: &Path) -> Child {
    Child::start(&Start {
        command: &["sleep", "infinity"].map(AsRef::as_ref),
        environment: &[],
        dir,
        log: &dir.join("folder.log"),
        remove: true,
        end: "KILL",
    })
}

/// Makes an empty data folder.
fn init(bin: &Path, dir: &Path) {
    let mut command = as_owner(&bin.join("initdb"));
    command.push("--pgdata".into());
    command.push(dir.join("data").into());
    let options = ["--no-locale", "-EUTF8", "--auth=trust", "-Ubloodbank", "--no-sync"];
    command.extend(options.map(OsString::from));
    run(plain(&command[0]).args(&command[1..]).current_dir(dir));
}

fn spawn(bin: &Path, dir: &Path, port: u16, options: PostgresOptions) -> Child {
    let mut command = as_owner(&bin.join("postgres"));
    command.push("-D".into());
    command.push(dir.join("data").into());
    let port = port.to_string();
    let own = [
        ("listen_addresses", "127.0.0.1"),
        ("port", &port),
        ("unix_socket_directories", ""),
        ("max_connections", "100"),
    ];
    for (name, value) in own.iter().chain(options.settings) {
        command.push("-c".into());
        command.push(format!("{name}={value}").into());
    }
    let command: Vec<_> = command.iter().map(AsRef::as_ref).collect();
    Child::start(&Start {
        command: &command,
        environment: &[],
        dir,
        log: &dir.join("out"),
        remove: false,
        // Ends at once, and leaves no shared memory behind.
        end: "QUIT",
    })
}

/// The program as the user to whom the folder belongs.
fn as_owner(program: &Path) -> Vec<OsString> {
    let prefix: &[&str] = if is_root() { &NOT_ROOT } else { &[] };
    prefix.iter().map(OsString::from).chain([program.into()]).collect()
}

/// Gives a file, or a folder with what lies in it, to the user that servers run as.
pub(crate) fn give_to_owner(path: &Path) {
    if is_root() {
        run(Command::new("chown").arg("-R").arg("postgres:").arg(path));
    }
}

pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// A program without our environment, in which variables may speak of another server.
fn plain(program: &OsStr) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()));
    command
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed: {errors}");
}
