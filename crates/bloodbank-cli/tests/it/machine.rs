//! A machine of its own for each test: a folder with the contracts of a bakery, a store, a home and,
//! where a test wants one, a broker.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use bloodbank::amqp::{Amqp, AmqpConfig};
use bloodbank::candystore::{EventStore, StoreOptions};
use bloodbank::serde_json::{self, Value};
use bloodbank::{Bus, Contracts, Subscription};
use bloodbank_testkit::{Broker, Postgres};
use expect_test::Expect;
use tempfile::TempDir;

/// The contracts of the bakery, which are not those built in.
const CATALOGUE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/catalogue");

pub(crate) const EVENT: &str = "bakery.order.placed";
pub(crate) const COLLECTED: &str = "bakery.order.collected";
pub(crate) const PAID: &str = "till.paid";
pub(crate) const COMMAND: &str = "oven.batch.bake";

/// The queue that gets [`PAID`] and [`COLLECTED`].
pub(crate) const BOOKS: &str = "bookkeeper_queue";
/// The queue that gets everything of the domain `bakery`.
pub(crate) const BOARD: &str = "order_board_queue";

/// What commands that change a system say first.
pub(crate) const TAKEN: &str =
    "note: contracts: 6 contracts of schemas; services of services/registry.yaml\n";

/// How long to wait for what must come.
const LIMIT: Duration = Duration::from_secs(30);

/// What all commands of a test see, and nothing else: their environment is made here.
pub(crate) struct Machine {
    /// Holds `home`, and `work`, where commands run.
    folder: TempDir,
    /// As `DATABASE_URL` names the store.
    pub(crate) url: String,
    /// As `RABBIT_URL` names the broker, if it does.
    broker: Option<String>,
    variables: Vec<(String, String)>,
}

impl Machine {
    /// Without contracts. The store is a file, whose folder is not there yet, either.
    pub(crate) fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["home", "work"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let url = format!("sqlite:{}", folder.path().join("new/store.db").display());
        Machine { folder, url, broker: None, variables: Vec::new() }
    }

    /// With the contracts of the bakery.
    pub(crate) fn sqlite() -> Self {
        Machine::with_contracts_of(Path::new(CATALOGUE))
    }

    /// With the schemas and the registry of a folder.
    pub(crate) fn with_contracts_of(folder: &Path) -> Self {
        let machine = Machine::empty();
        for part in ["schemas", "services"] {
            copy(&folder.join(part), &machine.path(part));
        }
        machine
    }

    /// The same with a store on PostgreSQL; `None` where that is missing.
    pub(crate) async fn postgres() -> Option<Self> {
        if !bloodbank_testkit::postgres() {
            return None;
        }
        let url = Postgres::shared().await.fresh_url().await;
        Some(Machine::sqlite().at(url))
    }

    /// The same with a store in a file, and a vhost of its own; `None` where RabbitMQ is missing.
    pub(crate) async fn rabbitmq() -> Option<Self> {
        if !bloodbank_testkit::rabbitmq() {
            return None;
        }
        let url = Broker::shared().await.fresh_url();
        Some(Machine::sqlite().on(url))
    }

    /// The same machine, where `DATABASE_URL` says something else.
    pub(crate) fn at(self, url: impl Into<String>) -> Self {
        Machine { url: url.into(), ..self }
    }

    /// The same machine, where `RABBIT_URL` is set.
    pub(crate) fn on(self, broker: impl Into<String>) -> Self {
        Machine { broker: Some(broker.into()), ..self }
    }

    /// The same machine with one more variable.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A path in the folder where commands run.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("work").join(name)
    }

    /// A file in the folder where commands run, and its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// The file of the store that the machine began with.
    pub(crate) fn store_file(&self) -> PathBuf {
        self.folder.path().join("new/store.db")
    }

    pub(crate) fn has_broker(&self) -> bool {
        self.broker.is_some()
    }

    /// The URL of the broker that the machine is on.
    pub(crate) fn broker(&self) -> &str {
        self.broker.as_ref().unwrap()
    }

    pub(crate) fn command(&self, arguments: &[impl AsRef<OsStr>]) -> Command {
        let mut command = self.program(env!("CARGO_BIN_EXE_bloodbank"));
        command.args(arguments);
        command
    }

    /// Any program, as it runs on this machine.
    pub(crate) fn program(&self, name: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(name);
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.env("HOME", self.folder.path().join("home")).env("USER", "ada");
        command.env("DATABASE_URL", &self.url);
        command.envs(self.broker.as_ref().map(|url| ("RABBIT_URL", url)));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.path(""));
        command
    }

    pub(crate) fn says(&self, arguments: &[impl AsRef<OsStr>]) -> Said {
        said(self.command(arguments).output().unwrap())
    }

    /// The same with something on standard input.
    pub(crate) fn hears(&self, arguments: &[impl AsRef<OsStr>], input: &str) -> Said {
        let mut child = piped(self.command(arguments).stdin(Stdio::piped()));
        // Who has read enough ends the pipe.
        child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
        said(child.wait_with_output().unwrap())
    }

    /// The exit code and everything that is printed.
    pub(crate) fn prints(&self, arguments: &[impl AsRef<OsStr>], expected: &Expect) {
        expected.assert_eq(&self.says(arguments).whole());
    }

    /// Lines of JSON.
    pub(crate) fn json(&self, arguments: &[impl AsRef<OsStr>]) -> Vec<Value> {
        let lines = self.says(arguments).out;
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// A command that runs beside the test.
    pub(crate) fn spawn(&self, arguments: &[impl AsRef<OsStr>]) -> Running {
        Running::start(self.command(arguments))
    }

    /// A `tail` that listens.
    pub(crate) fn tail(&self, arguments: &[&str]) -> Running {
        let tail = self.spawn(&[&["tail"], arguments].concat());
        tail.told("listening for");
        tail
    }

    /// The contracts of the folder where commands run.
    pub(crate) fn contracts(&self) -> Contracts {
        let registry = self.path("services/registry.yaml");
        let (catalog, findings) = holyfields::read(&self.path("schemas"), Some(&registry));
        assert!(!holyfields::finding::has_errors(&findings), "{findings:?}");
        Contracts::new(catalog.bundle())
    }

    /// The store, opened by this process beside those of the commands.
    pub(crate) async fn store(&self) -> EventStore {
        let options = StoreOptions::new(self.url.parse().unwrap());
        EventStore::open(options, self.contracts()).await.unwrap()
    }

    /// How many events are stored.
    pub(crate) async fn stored(&self) -> u64 {
        self.store().await.position().await.unwrap()
    }

    /// The bus, as a service of this process sees it.
    pub(crate) async fn bus(&self) -> Bus {
        match &self.broker {
            Some(_) => Bus::new(std::sync::Arc::new(self.amqp().await), self.contracts()),
            None => Bus::embedded(self.url.parse().unwrap(), self.contracts()).await.unwrap(),
        }
    }

    /// A connection to the broker, with the exchange of registry.yaml.
    pub(crate) async fn amqp(&self) -> Amqp {
        let mut config = AmqpConfig::from_urls(self.broker()).unwrap();
        if let Some(exchange) = &self.contracts().bundle().exchange {
            config.exchanges = config.exchanges.with_declared(exchange);
        }
        Amqp::connect(config).await.unwrap()
    }

    /// Puts so many messages of a queue aside, as a handler does.
    pub(crate) async fn park(&self, queue: &str, count: usize, why: &str) {
        let bus = self.bus().await;
        let transport = bus.transport().clone();
        let mut inbox =
            bloodbank::Inbox::<Value>::open(transport, self.contracts(), Subscription::new(queue))
                .await
                .unwrap();
        for _ in 0..count {
            let received = tokio::time::timeout(LIMIT, inbox.next()).await.unwrap().unwrap();
            inbox.park(received.unwrap(), why).await.unwrap();
        }
        inbox.close().await;
        bus.close().await;
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        match from.is_dir() {
            true => copy(&from, &to),
            false => _ = fs::copy(&from, &to).unwrap(),
        }
    }
}

fn piped(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// What a command said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// What a command said that went well.
    #[track_caller]
    pub(crate) fn well(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self.out
    }

    /// The id of what was published; the line ends with it.
    #[track_caller]
    pub(crate) fn id(self) -> String {
        self.well().trim_end().rsplit(' ').next().unwrap().to_owned()
    }

    /// Standard error without the notes that it begins with: which contracts, and where the bus lies.
    pub(crate) fn told(&self) -> &str {
        let mut rest = self.err.as_str();
        while let Some((_, after)) = rest.strip_prefix("note: ").and_then(|it| it.split_once('\n'))
        {
            rest = after;
        }
        rest
    }

    /// Everything, and how it ended.
    pub(crate) fn whole(&self) -> String {
        format!("{}{}exit {}\n", self.out, self.err, self.code)
    }
}

pub(crate) fn said(output: Output) -> Said {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap();
    Said { code, out: text(output.stdout), err: text(output.stderr) }
}

/// A command that runs beside the test. Ends with it.
pub(crate) struct Running {
    child: Child,
    out: Receiver<String>,
    err: Receiver<String>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = piped(&mut command);
        let out = lines(child.stdout.take().unwrap());
        let err = lines(child.stderr.take().unwrap());
        Running { child, out, err }
    }

    /// The next line, if one comes in this time.
    pub(crate) fn next_in(&self, time: Duration) -> Option<String> {
        self.out.recv_timeout(time).ok()
    }

    /// The next line.
    #[track_caller]
    pub(crate) fn next(&self) -> String {
        self.next_in(LIMIT).expect("a line on standard output")
    }

    /// The next line on standard error that is not a note and begins like this.
    #[track_caller]
    pub(crate) fn told(&self, start: &str) -> String {
        loop {
            let line = self.err.recv_timeout(LIMIT).expect("a line on standard error");
            if !line.starts_with("note: ") {
                assert!(line.starts_with(start), "{line}");
                return line;
            }
        }
    }

    /// As Ctrl-C does it.
    pub(crate) fn interrupt(&self) {
        self.signal("INT");
    }

    /// A signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let (pid, name) = (self.child.id().to_string(), format!("-{name}"));
        assert!(Command::new("kill").args([&name, &pid]).status().unwrap().success());
    }

    /// Waits until it has ended; what nobody has read yet.
    pub(crate) fn end(mut self) -> Said {
        let text = |lines: &Receiver<String>| lines.iter().map(|line| line + "\n").collect();
        let (out, err) = (text(&self.out), text(&self.err));
        Said { code: self.child.wait().unwrap().code().unwrap(), out, err }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lines as they come.
fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines() {
            if sender.send(line.unwrap()).is_err() {
                return;
            }
        }
    });
    lines
}

/// Makes two tests of each function that takes a [`Machine`].
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name(crate::machine::Machine::sqlite()).await;
                }
            )+
        }

        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    if let Some(machine) = crate::machine::Machine::postgres().await {
                        super::$name(machine).await;
                    }
                }
            )+
        }
    };
}
pub(crate) use on_both;
