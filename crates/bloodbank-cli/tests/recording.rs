//! Recording from a broker, from the command line.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use bloodbank_testkit::Broker;

const EVENT: &str = "theboard.meeting.created";

/// The command with a store of its own, where the environment names this broker, or none.
fn bloodbank(store: &Path, broker: Option<&str>, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bloodbank"));
    command.args(arguments).current_dir(std::env::temp_dir());
    for name in ["BLOODBANK_LOG", "BLOODBANK_SCHEMAS", "EXCHANGE_NAME", "RABBIT_HOST", "RABBIT_URL"]
    {
        command.env_remove(name);
    }
    command.env("DATABASE_URL", format!("sqlite:{}", store.display()));
    command.envs(broker.map(|url| ("RABBIT_URL", url)));
    command
}

/// Ends with the test.
struct Recording(Child);

impl Drop for Recording {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_is_recorded_until_the_user_interrupts() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let url = Broker::shared().await.fresh_url();
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store.db");
    let run = |arguments: &[&str]| {
        let output = bloodbank(&store, Some(&url), arguments).output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    assert!(run(&["topology", "--apply"]).0);
    let mut command = bloodbank(&store, Some(&url), &["store", "record"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut recording = Recording(child);
    let mut said = String::new();
    BufReader::new(recording.0.stderr.take().unwrap()).read_line(&mut said).unwrap();
    assert!(said.starts_with("recording `event_store_manager_queue` into sqlite:"), "{said}");
    for _ in 0..3 {
        assert!(run(&["publish", EVENT, "--example"]).0);
    }
    let began = Instant::now();
    while !run(&["store", "get", "3"]).0 {
        assert!(began.elapsed() < Duration::from_secs(20), "three are not recorded");
        sleep(Duration::from_millis(100));
    }
    let pid = recording.0.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let mut summary = String::new();
    recording.0.stdout.take().unwrap().read_to_string(&mut summary).unwrap();
    assert!(recording.0.wait().unwrap().success());
    assert_eq!(summary, "3 stored, 0 there already, 0 conflicts; the last position is 3\n");
}

#[test]
fn without_a_broker_there_is_nothing_to_record_and_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = bloodbank(&folder.path().join("store.db"), None, &["store", "record"]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("in the store as soon as it is published"), "{said}");
    assert!(said.contains("set RABBIT_URL=amqp://"), "{said}");
}
