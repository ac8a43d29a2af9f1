//! A machine with a store and no broker.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use bloodbank::candystore::{EventStore, StoreOptions};
use bloodbank::events::{AnyEvent, services};
use bloodbank::{Bus, Received, Verdict, events};
use bloodbank_testkit::Postgres;
use tempfile::TempDir;

pub(crate) const EVENT: &str = "theboard.meeting.created";
pub(crate) const COMMAND: &str = "github.pull_request.merge";

/// How long to wait for what must come.
const LIMIT: Duration = Duration::from_secs(30);

/// A store of its own, which all commands work on, and a home without one.
pub(crate) struct Machine {
    /// As `DATABASE_URL` names the store.
    pub(crate) url: String,
    pub(crate) home: TempDir,
}

/// What a command said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// What a command said that went well.
    pub(crate) fn well(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self.out
    }

    /// The id of what was published; the line ends with it.
    pub(crate) fn id(self) -> String {
        self.well().trim_end().rsplit(' ').next().unwrap().to_owned()
    }

    /// Standard error without the line that says where the bus lies.
    pub(crate) fn told(&self) -> &str {
        let (note, rest) = self.err.split_once('\n').unwrap_or_default();
        assert!(note.starts_with("note: RABBIT_URL is not set, so this is the bus in "), "{note}");
        rest
    }
}

impl Machine {
    pub(crate) fn sqlite() -> Self {
        let home = tempfile::tempdir().unwrap();
        // Its folder is not there yet, either.
        let url = format!("sqlite:{}", home.path().join("new/bus.db").display());
        Machine { url, home }
    }

    /// `None` where PostgreSQL is missing.
    pub(crate) async fn postgres() -> Option<Self> {
        if !bloodbank_testkit::postgres() {
            return None;
        }
        let url = Postgres::shared().await.fresh_url().await;
        Some(Machine { url, home: tempfile::tempdir().unwrap() })
    }

    /// The same machine, where `DATABASE_URL` says something else.
    pub(crate) fn at(self, url: impl Into<String>) -> Self {
        Machine { url: url.into(), ..self }
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bloodbank"));
        for name in [
            "BLOODBANK_LOG",
            "BLOODBANK_LOG_FORMAT",
            "BLOODBANK_SCHEMAS",
            "EXCHANGE_NAME",
            "EXCHANGE_TYPE",
            "RABBIT_HOST",
            "RABBIT_TOPOLOGY",
            "RABBIT_URL",
            "XDG_DATA_HOME",
        ] {
            command.env_remove(name);
        }
        // Where no schema folder is.
        command.env("HOME", self.home.path()).current_dir(self.home.path());
        command.env("DATABASE_URL", &self.url).env("USER", "ada").args(arguments);
        command
    }

    pub(crate) fn says(&self, arguments: &[&str]) -> Said {
        said(self.command(arguments).output().unwrap())
    }

    /// The store, opened by this process beside those of the commands.
    pub(crate) async fn store(&self) -> EventStore {
        let options = StoreOptions::new(self.url.parse().unwrap());
        EventStore::open(options, events::contracts()).await.unwrap()
    }

    /// How many events are stored.
    pub(crate) async fn stored(&self) -> u64 {
        self.store().await.position().await.unwrap()
    }

    /// The bus, as a service of this process sees it.
    pub(crate) async fn bus(&self) -> Bus {
        Bus::embedded(self.url.parse().unwrap(), events::contracts()).await.unwrap()
    }

    /// A service that parks so many prompts.
    pub(crate) async fn park_prompts(&self, count: usize) {
        let bus = self.bus().await;
        let (sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let subscriber = bus.subscriber::<services::LlmCostCalculator>();
        let subscriber = subscriber.on_any(move |_: Received<AnyEvent>| {
            sender.send(()).unwrap();
            async { Verdict::Park("no budget".to_owned()) }
        });
        let all = async {
            for _ in 0..count {
                tokio::time::timeout(LIMIT, seen.recv()).await.unwrap();
            }
        };
        subscriber.run_until(all).await.unwrap();
        bus.close().await;
    }
}

pub(crate) fn said(output: Output) -> Said {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap();
    Said { code, out: text(output.stdout), err: text(output.stderr) }
}

/// A `tail` that listens. Ends with the test.
pub(crate) struct Tail {
    child: Child,
    lines: Receiver<String>,
}

impl Tail {
    pub(crate) fn start(machine: &Machine, arguments: &[&str]) -> Self {
        let mut command = machine.command(&["tail"]);
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap()).lines();
        assert!(errors.any(|line| line.unwrap().starts_with("listening for")), "it listens");
        let lines = lines(child.stdout.take().unwrap());
        Tail { child, lines }
    }

    /// The next line, if one comes in this time.
    pub(crate) fn next_in(&self, time: Duration) -> Option<String> {
        self.lines.recv_timeout(time).ok()
    }

    /// The next line.
    pub(crate) fn next(&self) -> String {
        self.next_in(LIMIT).expect("a line of tail")
    }
}

/// Lines as they come.
fn lines(pipe: ChildStdout) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines() {
            if sender.send(line.unwrap()).is_err() {
                return;
            }
        }
    });
    lines
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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
