//! The service, seen by a client of another language.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use bloodbank::serde_json::{self, Value, json};
use bloodbank_testkit::Certificates;

use crate::machine::{COMMAND, EVENT, Machine, PAID, Running};

const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/up.py");

/// A service that runs, and its client.
struct Service<'m> {
    machine: &'m Machine,
    python: PathBuf,
    url: String,
    /// What it has said of itself.
    summary: String,
    process: Running,
}

impl<'m> Service<'m> {
    /// `None` where there is no Python.
    fn start(machine: &'m Machine, arguments: &[&str]) -> Option<Self> {
        let python = bloodbank_testkit::python()?;
        let process = machine.spawn(&[&["up", "--port", "0"], arguments].concat());
        let mut summary = String::new();
        while !summary.contains("running;") {
            summary += &(process.next() + "\n");
        }
        let url = summary.lines().next().unwrap().split_whitespace().nth(1).unwrap();
        let url = url.trim_end_matches(';').to_owned();
        Some(Service { machine, python, url, summary, process })
    }

    fn port(&self) -> &str {
        self.url.rsplit(':').next().unwrap()
    }

    fn with(
        &self,
        method: &str,
        path: &str,
        body: &Value,
        headers: &Value,
        ca: &str,
    ) -> (u64, Value) {
        let mut client = self.machine.program(&self.python);
        let (body, headers) = (body.to_string(), headers.to_string());
        client.args([CLIENT, "ask", &format!("{}{path}", self.url), method, &body, &headers, ca]);
        let output = client.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let answer: Value = serde_json::from_slice(&output.stdout).expect(&said);
        (answer[0].as_u64().unwrap(), answer[1].clone())
    }

    fn get(&self, path: &str) -> (u64, Value) {
        self.with("GET", path, &Value::Null, &json!({}), "")
    }

    fn post(&self, path: &str, body: &Value) -> (u64, Value) {
        self.with("POST", path, body, &json!({}), "")
    }

    /// Publishes on several connections until the service takes no more.
    fn load(&self) -> Running {
        let mut client = self.machine.program(&self.python);
        let payload = example(self.machine, PAID).to_string();
        client.args([CLIENT, "load", self.port(), PAID, &payload]);
        Running::start(client)
    }

    /// How many of the ids are not in the store's file.
    fn missing(&self, ids: &[String]) -> String {
        let mut judge = self.machine.program(&self.python);
        judge.args([CLIENT, "missing", &self.machine.store_file().display().to_string()]);
        let file = self.machine.file("ids", &ids.join("\n"));
        judge.stdin(Stdio::from(fs::File::open(file).unwrap()));
        String::from_utf8(judge.output().unwrap().stdout).unwrap().trim().to_owned()
    }
}

fn example(machine: &Machine, key: &str) -> Value {
    serde_json::from_str(&machine.says(&["show", key, "--format", "example"]).well()).unwrap()
}

#[test]
fn another_language_publishes_is_refused_with_reasons_and_reads_back() {
    let machine = Machine::sqlite();
    let Some(service) = Service::start(&machine, &[]) else { return };
    assert!(service.summary.contains("5 events and 1 command in 3 domains"), "{}", service.summary);
    assert!(service.summary.lines().count() < 24, "{}", service.summary);

    let payload = example(&machine, PAID);
    let (status, envelope) = service.post(&format!("/events/{PAID}"), &payload);
    assert_eq!((status, &envelope["event_type"]), (202, &json!(PAID)), "{envelope}");
    let id = envelope["id"].as_str().unwrap();
    let (status, stored) = service.get(&format!("/events/{id}"));
    assert_eq!(status, 200, "{stored}");
    assert!(machine.says(&["store", "get", id]).well().contains(PAID));

    let (status, refused) = service.post(&format!("/events/{EVENT}"), &json!({ "loaves": 500 }));
    assert_eq!((status, &refused["code"]), (422, &json!("payload-refused")), "{refused}");
    assert!(refused["violations"].as_array().unwrap().len() > 1, "{refused}");
    // Its own contracts, and no others.
    let (status, unknown) = service.post("/events/theboard.meeting.created", &json!({}));
    assert_eq!((status, &unknown["code"]), (404, &json!("unknown-key")), "{unknown}");

    service.process.signal("INT");
    assert_eq!(service.process.end().code, 0);
}

#[test]
fn contracts_are_read_again_or_the_old_ones_stay() {
    let machine = Machine::sqlite();
    let Some(service) = Service::start(&machine, &[]) else { return };
    let schema = machine.path("schemas/till/paid.v1.json");
    let before = fs::read_to_string(&schema).unwrap();
    let payload = example(&machine, PAID);
    let validate = || service.post(&format!("/validate/{PAID}"), &payload).0;
    assert_eq!(validate(), 200);

    let strict =
        before.replace("\"type\": \"object\"", "\"type\": \"object\", \"maxProperties\": 0");
    fs::write(&schema, &strict).unwrap();
    assert_eq!(validate(), 200, "not before it is said");
    let (status, reloaded) = service.post("/admin/reload", &Value::Null);
    assert_eq!((status, &reloaded["changed"]), (200, &json!([PAID])), "{reloaded}");
    assert_eq!(validate(), 422);

    fs::write(&schema, &before[..before.len() / 2]).unwrap();
    let (status, refused) = service.post("/admin/reload", &Value::Null);
    assert_eq!((status, &refused["code"]), (409, &json!("reload-refused")), "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("paid.v1.json"), "{refused}");
    assert_eq!(validate(), 422);

    fs::write(&schema, &before).unwrap();
    service.process.signal("HUP");
    let began = Instant::now();
    while validate() != 200 {
        assert!(began.elapsed() < Duration::from_secs(30));
    }
    let audit = machine.json(&["audit", "--json"]);
    let outcomes: Vec<_> = audit.iter().map(|line| line["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["failed", "done"], "{audit:?}");
}

/// Publishes until the process gets the signal; gives what it took, and what its clients saw.
fn under_load(service: &Service<'_>, signal: &str) -> (Vec<String>, String) {
    let load = service.load();
    let mut ids: Vec<String> = (0..300).map(|_| load.next()).collect();
    service.process.signal(signal);
    loop {
        let line = load.next();
        if let Some(errors) = line.strip_prefix("errors") {
            return (ids, errors.trim().to_owned());
        }
        ids.push(line);
    }
}

#[test]
fn told_to_end_under_load_it_loses_nothing_and_resets_nobody() {
    let machine = Machine::sqlite();
    let Some(service) = Service::start(&machine, &[]) else { return };
    let (ids, errors) = under_load(&service, "TERM");
    assert_eq!(errors, "", "of {} that were accepted", ids.len());
    assert_eq!(service.missing(&ids), "0");
    let said = service.process.end();
    assert!(
        said.code == 0 && said.err.contains("everything that was accepted is finished"),
        "{}",
        said.err
    );
}

#[test]
fn killed_under_load_it_has_stored_all_that_it_accepted() {
    let machine = Machine::sqlite();
    let rounds = if std::env::var("BLOODBANK_CRASH").is_ok_and(|it| it == "full") { 20 } else { 2 };
    for _ in 0..rounds {
        let Some(service) = Service::start(&machine, &[]) else { return };
        let (ids, _) = under_load(&service, "KILL");
        assert_eq!(service.missing(&ids), "0", "of {} that were accepted", ids.len());
    }
}

#[test]
fn what_cannot_be_served_is_said_with_what_to_do() {
    let machine = Machine::sqlite();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (arguments, expected) in [
        (&["--host", "0.0.0.0", "--port", "0"][..], "help: `bloodbank token new NAME --read`"),
        (&["--port", &port], "help: another program listens there"),
        (&["--tls-cert", "none.pem"], "HTTP_TLS_KEY no key"),
        (&["--tls-cert", "none.pem", "--tls-key", "none.pem"], "none.pem cannot be read"),
        (&["--host", "no such host"], "is not a host"),
    ] {
        let said = machine.says(&[&["up"], arguments].concat());
        assert!(said.code == 1 && said.err.contains(expected), "{}", said.err);
        assert_eq!(said.out, "");
    }
    // None of them has made a store.
    assert!(!machine.store_file().exists());
    let said = Machine::empty().says(&["up", "--port", "0"]);
    assert!(said.code == 1 && said.err.contains("--schemas DIR"), "{}", said.err);
}

#[test]
fn with_tokens_and_tls_others_are_let_in_with_a_token() {
    let machine = Machine::sqlite();
    let certificates = Certificates::generate();
    let text = |path: PathBuf| path.display().to_string();
    let (cert, key) = (text(certificates.server_cert()), text(certificates.server_key()));
    let ca = text(certificates.ca());
    let token = machine.says(&["token", "new", "till-web", "--service", "till"]).well();
    let arguments = ["--host", "0.0.0.0", "--tls-cert", &cert, "--tls-key", &key];
    let Some(mut service) = Service::start(&machine, &arguments) else { return };
    assert!(service.url.starts_with("https://"), "{}", service.summary);
    assert!(service.summary.contains("1 token of ") && service.summary.contains("TLS by "));
    service.url = format!("https://localhost:{}", service.port());

    let bearer = json!({ "Authorization": format!("Bearer {}", token.trim_end()) });
    let publish = |key: &str, headers: &Value| {
        let path = format!("/events/{key}");
        service.with("POST", &path, &example(&machine, key), headers, &ca)
    };
    let (status, refused) = publish(PAID, &json!({}));
    assert_eq!((status, &refused["code"]), (401, &json!("token-missing")), "{refused}");
    let (status, envelope) = publish(PAID, &bearer);
    assert_eq!((status, &envelope["source"]), (202, &json!("till")), "{envelope}");
    let (status, refused) = publish(EVENT, &bearer);
    assert_eq!(status, 403, "{refused}");
    machine.says(&["token", "revoke", "till-web"]).well();
    let (status, refused) = publish(PAID, &bearer);
    assert_eq!((status, &refused["code"]), (401, &json!("token-unknown")), "{refused}");
}

#[test]
fn the_service_manager_is_told() {
    let machine = Machine::sqlite();
    let socket = machine.path("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let machine = machine.with("NOTIFY_SOCKET", &socket.display().to_string());
    let machine = machine.with("WATCHDOG_USEC", "200000");
    let Some(service) = Service::start(&machine, &[]) else { return };
    let told = || {
        let mut bytes = [0; 200];
        let length = manager.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).trim().to_owned()
    };
    assert_eq!([told(), told(), told()], ["READY=1", "WATCHDOG=1", "WATCHDOG=1"]);
    service.process.signal("TERM");
    let mut last = told();
    while last == "WATCHDOG=1" {
        last = told();
    }
    assert_eq!(last, "STOPPING=1");
    assert_eq!(service.process.end().code, 0);
}

#[test]
fn the_demo_speaks_of_every_contract_and_fails_now_and_then() {
    let machine = Machine::sqlite();
    let Some(service) = Service::start(&machine, &["--demo", "--rate", "150"]) else { return };
    assert!(service.summary.contains("150 messages a second"), "{}", service.summary);
    // What lies in the file, read past our own code.
    let file = rusqlite::Connection::open(machine.store_file()).unwrap();
    let texts = |sql: &str| -> BTreeSet<String> {
        let mut question = file.prepare(sql).unwrap();
        let rows = question.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let began = Instant::now();
    let mut dead = false;
    while !dead || texts("SELECT key FROM events").len() < 6 {
        assert!(began.elapsed() < Duration::from_secs(60), "{dead}");
        dead = machine.says(&["dlq", "show", "demo.order_board_queue"]).out.contains("exhausted");
    }
    let seen = texts("SELECT key FROM events");
    let sources = texts("SELECT source FROM events");
    assert!(sources.iter().all(|source| source.starts_with("demo-")), "{sources:?}");
    assert_eq!(texts("SELECT standing FROM events"), BTreeSet::from(["valid".to_owned()]));
    let linked = "SELECT key FROM events e WHERE EXISTS (SELECT 1 FROM events c \
         WHERE c.id = e.causation_id AND COALESCE(c.correlation_id, c.id) = e.correlation_id)";
    assert!(texts(linked).len() > 2, "{:?}", texts(linked));
    assert!(seen.contains(COMMAND), "{seen:?}");
    service.process.signal("TERM");
    assert_eq!(service.process.end().code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_rabbitmq_what_is_published_is_recorded_in_the_store() {
    let Some(machine) = Machine::rabbitmq().await else { return };
    let Some(service) = Service::start(&machine, &[]) else { return };
    assert!(service.summary.contains("amqp://"), "{}", service.summary);
    assert!(service.summary.contains("recorder, reports, scheduler"), "{}", service.summary);
    let payload = example(&machine, PAID);
    let (status, envelope) = service.post(&format!("/events/{PAID}"), &payload);
    assert_eq!(status, 202, "{envelope}");
    let path = format!("/events/{}", envelope["id"].as_str().unwrap());
    let began = Instant::now();
    while service.get(&path).0 != 200 {
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", service.get("/ready"));
    }
    let (status, ready) = service.get("/ready");
    assert_eq!((status, ready["parts"].as_array().unwrap().len()), (200, 5), "{ready}");
    service.process.signal("TERM");
    assert_eq!(service.process.end().code, 0);
}
