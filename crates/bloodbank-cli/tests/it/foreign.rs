//! The whole line with contracts of another origin, in a folder of their own: publish, refuse, handle,
//! fail, redrive, record, export, import, replay, chain; on SQLite, PostgreSQL and RabbitMQ.
//!
//! The service is `tests/downstream`, a crate outside the workspace.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bloodbank_testkit::{Broker, Postgres};
use serde_json::{Value, json};

use crate::machine::{Machine, Running, Said, said};

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

/// A machine with somebody's schemas and registry, and everything that any command there has printed.
struct Place {
    machine: Machine,
    printed: Mutex<String>,
}

impl Place {
    fn new() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/downstream");
        Place::of(Machine::with_contracts_of(&folder))
    }

    fn of(machine: Machine) -> Self {
        Place { machine, printed: Mutex::default() }
    }

    /// The exit code and what was printed.
    fn run(&self, mut command: Command) -> (i32, String) {
        let Said { code, out, err } = said(command.output().unwrap());
        self.printed.lock().unwrap().push_str(&format!("{command:?}\n{out}{err}"));
        (code, out)
    }

    /// What a command printed that must go well.
    fn well(&self, arguments: &[&str]) -> String {
        let (code, out) = self.run(self.machine.command(arguments));
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
            let (code, out) = self.run(self.machine.command(arguments));
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

/// Waits until the service says these words.
fn wait_for(depot: &Running, words: &str) {
    wait_for_all(depot, [words.to_owned()]);
}

/// Waits until the service has said all of these words, in any order.
fn wait_for_all<const N: usize>(depot: &Running, words: [String; N]) {
    let mut missing = Vec::from(words);
    while !missing.is_empty() {
        let line = depot.next();
        missing.retain(|words| !line.contains(words.as_str()));
    }
}

/// The line, from the first publish to the last replay.
fn the_whole_line(place: &Place) {
    place.well(&["lint"]);
    place.well(&["topology", "--apply"]);
    let recorder = place.machine.has_broker().then(|| {
        let recorder = place.machine.spawn(&["store", "record"]);
        recorder.told("recording `archive_queue`");
        recorder
    });
    let depot = Running::start(place.machine.program(&*DEPOT));
    place.until(&["topology", "--check"], |_| true);

    // Publish, refuse, handle.
    let light = place.publish(1_200, &[]);
    wait_for(&depot, &format!("handled {light}"));
    let bad = parcel(0).to_string();
    let (code, _) = place.run(place.machine.command(&["publish", EVENT, "--data", &bad]));
    assert_eq!(code, 100, "0 grams are refused");

    // Fail, look, redrive.
    let heavy = place.publish(25_000, &["--causation-id", &light, "--correlation-id", &light]);
    let dead = place.until(&["dlq", "show", "depot_queue", "--json"], |out| out.contains(&heavy));
    let dead: Value = serde_json::from_str(dead.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&dead["reason"], &dead["error"]),
        (&json!("exhausted"), &json!("too heavy to lift"))
    );
    place.machine.file("lift", "");
    place.well(&["dlq", "redrive", "--yes"]);
    wait_for(&depot, &format!("handled {heavy}"));
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
    let exported = place.machine.file("events.ndjson", &place.well(&["store", "export"]));
    let other = format!("sqlite:{}", place.machine.path("other.db").display());
    let mut import = place.machine.command(&["store", "import"]);
    import.arg(&exported).env("DATABASE_URL", &other).env_remove("RABBIT_URL");
    assert_eq!(place.run(import).0, 0, "{}", place.printed.lock().unwrap());
    let mut list = place.machine.command(&["store", "list", "--standing", "valid", "--count"]);
    list.env("DATABASE_URL", &other).env_remove("RABBIT_URL");
    assert_eq!(place.run(list).1.trim(), "2");

    // Again.
    place.well(&["replay", "--from", "1", "--yes"]);
    // Handlers run side by side.
    wait_for_all(&depot, [&light, &heavy].map(|id| format!("replayed {id}")));
    place.well(&["doctor"]);
    drop(recorder);

    let printed = place.printed.lock().unwrap();
    let ours: Vec<&String> = OURS.iter().filter(|word| printed.contains(word.as_str())).collect();
    assert!(ours.is_empty(), "{ours:?} in\n{printed}");
}

#[test]
fn with_contracts_of_another_origin_the_whole_line_holds_on_sqlite() {
    the_whole_line(&Place::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_contracts_of_another_origin_the_whole_line_holds_on_postgresql() {
    if bloodbank_testkit::postgres() {
        let url = Postgres::shared().await.fresh_url().await;
        let place = Place::of(Place::new().machine.at(url));
        tokio::task::block_in_place(|| the_whole_line(&place));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_contracts_of_another_origin_the_whole_line_holds_on_rabbitmq() {
    if bloodbank_testkit::rabbitmq() {
        let url = Broker::shared().await.fresh_url();
        let place = Place::of(Place::new().machine.on(url));
        tokio::task::block_in_place(|| the_whole_line(&place));
    }
}

/// What a compiler says to the author of a service must be of the author's services and types.
#[test]
fn a_compile_error_names_nothing_of_the_contracts_built_in() {
    let place = Place::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let root = root.display();
    let write = |path: &str, text: &str| _ = place.machine.file(path, text);
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
    fs::copy(format!("{root}/Cargo.lock"), place.machine.path("Cargo.lock")).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["check", "--offline"]).current_dir(place.machine.path(""));
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
