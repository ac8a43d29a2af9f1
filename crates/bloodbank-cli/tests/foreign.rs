//! The whole line with contracts of another origin, in a folder of their own: publish, refuse, handle,
//! fail, redrive, record, export, import, replay, chain; on SQLite, PostgreSQL and RabbitMQ.
//!
//! The service is `tests/downstream`, a crate outside the workspace.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{LazyLock, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bloodbank_testkit::{Broker, Postgres};
use serde_json::{Value, json};
use tempfile::TempDir;

const EVENT: &str = "parcel.parcel.delivered";

/// How long to wait for what must come.
const LIMIT: Duration = Duration::from_secs(60);

/// Words of the contracts built in, which nobody has asked for here.
static OURS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let contracts = bloodbank::events::contracts();
    let bundle = contracts.bundle();
    let keys = bundle.contracts.iter().map(|contract| contract.key().to_owned());
    keys.chain(bundle.services.iter().map(|service| service.name.clone())).collect()
});

/// The service, built as its author would.
static DEPOT: LazyLock<PathBuf> = LazyLock::new(|| {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = workspace.join("tests/downstream");
    fs::copy(workspace.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("scratch");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--offline"])
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env_remove("RUSTFLAGS")
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    target.join("debug/downstream")
});

/// A folder with somebody's schemas and registry, and the bus and store that all programs in it use.
struct Place {
    folder: TempDir,
    store: String,
    broker: Option<String>,
    /// Everything that any command has printed.
    printed: Mutex<String>,
}

impl Place {
    fn new(store: Option<String>, broker: Option<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/downstream");
        for part in ["schemas", "services"] {
            copy(&from.join(part), &folder.path().join(part));
        }
        let file = format!("sqlite:{}", folder.path().join("bus.db").display());
        Place { folder, store: store.unwrap_or(file), broker, printed: Mutex::default() }
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(self.folder.path());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.folder.path()).env("USER", "ada");
        command.env("DATABASE_URL", &self.store);
        command.envs(self.broker.as_ref().map(|url| ("RABBIT_URL", url)));
        command
    }

    fn bloodbank(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(Path::new(env!("CARGO_BIN_EXE_bloodbank")));
        command.args(arguments);
        command
    }

    /// The exit code and what was printed.
    fn run(&self, mut command: Command) -> (i32, String) {
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let printed = text(&output.stdout);
        let all = format!("{command:?}\n{printed}{}", text(&output.stderr));
        self.printed.lock().unwrap().push_str(&all);
        (output.status.code().unwrap_or(-1), printed)
    }

    /// What a command printed that must go well.
    fn well(&self, arguments: &[&str]) -> String {
        let (code, out) = self.run(self.bloodbank(arguments));
        assert_eq!(code, 0, "{arguments:?}\n{}", self.printed.lock().unwrap());
        out
    }

    fn json(&self, arguments: &[&str]) -> Vec<Value> {
        let lines = self.well(arguments);
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Publishes a parcel of this weight; its id.
    fn publish(&self, grams: u32, more: &[&str]) -> String {
        let data = parcel(grams).to_string();
        let out = self.well(&[&["publish", EVENT, "--data", &data][..], more].concat());
        out.trim_end().rsplit(' ').next().unwrap().to_owned()
    }

    /// Asks again and again until the answer is as it should be.
    fn until(&self, arguments: &[&str], is_right: impl Fn(&str) -> bool) -> String {
        let began = Instant::now();
        loop {
            let (code, out) = self.run(self.bloodbank(arguments));
            if code == 0 && is_right(&out) {
                return out;
            }
            assert!(began.elapsed() < LIMIT, "{arguments:?}\n{}", self.printed.lock().unwrap());
            thread::sleep(Duration::from_millis(200));
        }
    }
}

fn parcel(grams: u32) -> Value {
    json!({
        "event_type": EVENT,
        "parcel_id": "0190b0a0-0000-7000-8000-000000000001",
        "weight_grams": grams,
        "stops": [{ "city": "Ghent", "at": "2026-01-02T03:04:05+01:00" }],
    })
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A program that runs beside the commands. Ends with the test.
struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        for pipe in [
            Box::new(child.stdout.take().unwrap()) as Box<dyn Read + Send>,
            Box::new(child.stderr.take().unwrap()),
        ] {
            let sender = sender.clone();
            thread::spawn(move || {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            });
        }
        Running { child, lines }
    }

    /// Waits for a line with these words.
    fn wait_for(&self, words: &str) {
        let mut seen = String::new();
        let until = Instant::now() + LIMIT;
        while let Ok(line) =
            self.lines.recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            if line.contains(words) {
                return;
            }
            seen.push_str(&line);
            seen.push('\n');
        }
        panic!("waited {LIMIT:?} for `{words}`; it said\n{seen}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The line, from the first publish to the last replay.
fn the_whole_line(place: &Place) {
    place.well(&["lint"]);
    place.well(&["topology", "--apply"]);
    let recorder = place.broker.is_some().then(|| {
        let recorder = Running::start(place.bloodbank(&["store", "record"]));
        recorder.wait_for("recording `archive_queue`");
        recorder
    });
    let depot = Running::start(place.command(&DEPOT));
    place.until(&["topology", "--check"], |_| true);

    // Publish, refuse, handle.
    let light = place.publish(1_200, &[]);
    depot.wait_for(&format!("handled {light}"));
    let bad = parcel(0).to_string();
    let (code, _) = place.run(place.bloodbank(&["publish", EVENT, "--data", &bad]));
    assert_eq!(code, 100, "0 grams are refused");

    // Fail, look, redrive.
    let heavy = place.publish(25_000, &["--causation-id", &light, "--correlation-id", &light]);
    let dead = place.until(&["dlq", "show", "depot_queue", "--json"], |out| out.contains(&heavy));
    let dead: Value = serde_json::from_str(dead.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&dead["reason"], &dead["error"]),
        (&json!("exhausted"), &json!("too heavy to lift"))
    );
    fs::write(place.folder.path().join("lift"), "").unwrap();
    place.well(&["dlq", "redrive", "--yes"]);
    depot.wait_for(&format!("handled {heavy}"));
    assert_eq!(place.json(&["dlq", "show", "--json"]), Vec::<Value>::new());

    // The record: both are there, valid by these contracts.
    place.until(&["store", "list", "--count"], |out| out.starts_with('2'));
    let stored = place.json(&["store", "list", "--json"]);
    let ids: BTreeSet<&str> = stored.iter().filter_map(|event| event["id"].as_str()).collect();
    assert_eq!(ids, BTreeSet::from([light.as_str(), heavy.as_str()]), "{stored:?}");
    for event in &stored {
        assert_eq!(event["standing"], "valid", "{event}");
    }
    let chain = place.well(&["store", "chain", &light]);
    assert_eq!(chain.matches(EVENT).count(), 2, "{chain}");

    // To another store and judged there.
    let exported = place.folder.path().join("events.ndjson");
    fs::write(&exported, place.well(&["store", "export"])).unwrap();
    let other = format!("sqlite:{}", place.folder.path().join("other.db").display());
    let mut import = place.bloodbank(&["store", "import"]);
    import.arg(&exported).env("DATABASE_URL", &other).env_remove("RABBIT_URL");
    assert_eq!(place.run(import).0, 0, "{}", place.printed.lock().unwrap());
    let mut list = place.bloodbank(&["store", "list", "--standing", "valid", "--count"]);
    list.env("DATABASE_URL", &other).env_remove("RABBIT_URL");
    assert_eq!(place.run(list).1.trim(), "2");

    // Again.
    place.well(&["replay", "--from", "1", "--yes"]);
    depot.wait_for(&format!("replayed {light}"));
    depot.wait_for(&format!("replayed {heavy}"));
    place.well(&["doctor"]);
    drop(recorder);

    let printed = place.printed.lock().unwrap();
    let ours: Vec<&String> = OURS.iter().filter(|word| printed.contains(word.as_str())).collect();
    assert!(ours.is_empty(), "{ours:?} in\n{printed}");
}

#[test]
fn with_contracts_of_another_origin_the_whole_line_holds_on_sqlite() {
    the_whole_line(&Place::new(None, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_contracts_of_another_origin_the_whole_line_holds_on_postgresql() {
    if bloodbank_testkit::postgres() {
        let url = Postgres::shared().await.fresh_url().await;
        tokio::task::block_in_place(|| the_whole_line(&Place::new(Some(url), None)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_contracts_of_another_origin_the_whole_line_holds_on_rabbitmq() {
    if bloodbank_testkit::rabbitmq() {
        let url = Broker::shared().await.fresh_url();
        tokio::task::block_in_place(|| the_whole_line(&Place::new(None, Some(url))));
    }
}

/// What a compiler says to the author of a service must be of the author's services and types.
#[test]
fn a_compile_error_names_nothing_of_the_contracts_built_in() {
    let place = Place::new(None, None);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let root = root.display();
    let write = |path: &str, text: &str| {
        let path = place.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write(
        "Cargo.toml",
        &format!(
            "[workspace]\n\n[package]\nname = \"stranger\"\nversion = \"0.1.0\"\n\
             edition = \"2024\"\n\n[dependencies]\nbloodbank = {{ path = \"{root}\", \
             default-features = false, features = [\"bus\", \"postgres\"] }}\n\n\
             [build-dependencies]\nholyfields-build = {{ path = \
             \"{root}/crates/holyfields-build\" }}\n"
        ),
    );
    write("build.rs", "fn main() { holyfields_build::compile(\"schemas\"); }\n");
    write(
        "src/lib.rs",
        "pub mod events { bloodbank::include_events!(); }\n\
         pub fn wrong(bus: &bloodbank::Bus, parcel: &events::parcel::ParcelDelivered) {\n    \
         drop(bus.publisher::<events::services::Depot>().publish(parcel));\n}\n",
    );
    fs::copy(format!("{root}/Cargo.lock"), place.folder.path().join("Cargo.lock")).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["check", "--offline"]).current_dir(place.folder.path());
    cargo.env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("scratch"));
    cargo.env("CARGO_INCREMENTAL", "0").env("CARGO_PROFILE_DEV_DEBUG", "0");
    cargo.env("CARGO_TERM_COLOR", "never").env_remove("RUSTFLAGS");
    let (code, _) = place.run(cargo);
    let printed = place.printed.lock().unwrap();
    assert_ne!(code, 0, "{printed}");
    assert!(printed.contains("service `Depot` does not produce `ParcelDelivered`"), "{printed}");
    assert!(printed.contains("Courier"), "who may is named: {printed}");
    let contracts = bloodbank::events::contracts();
    let bundle = contracts.bundle();
    let types = bundle.contracts.iter().map(|c| c.rust_type.split("::").last().unwrap_or_default());
    let services = bundle.services.iter().map(|service| service.rust_type.as_str());
    let ours: Vec<&str> = types.chain(services).filter(|name| printed.contains(name)).collect();
    assert!(ours.is_empty(), "{ours:?} in\n{printed}");
}
