//! Many events a request, as lines of JSON.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use bloodbank::chrono::Utc;
use bloodbank::uuid::Uuid;

use crate::contenders;
use crate::report::{at_least, line, median};

const ROUNDS: usize = 5;
/// Events of a request.
const BATCH: usize = 1_000;
/// Requests of a round, side by side.
const CLIENTS: usize = 8;
const REQUESTS: usize = 5;
/// What is wished for, in events a second.
const WANTED: f64 = 50_000.0;

/// Runs the rounds, and tells the table.
pub(crate) fn run() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = contenders::bloodbank(folder.path(), None);
    let url = service.url("/events");
    let mut rates = Vec::new();
    for round in 0..ROUNDS {
        let file = |client: usize, at: usize| {
            let file = folder.path().join(format!("{round}-{client}-{at}.ndjson"));
            std::fs::write(&file, lines(BATCH)).expect("a file");
            file
        };
        let batches: Vec<Vec<PathBuf>> =
            (0..CLIENTS).map(|client| (0..REQUESTS).map(|at| file(client, at)).collect()).collect();
        let began = Instant::now();
        let clients: Vec<Child> = batches.iter().map(|files| post(files, &url)).collect();
        for client in clients {
            all_taken(client, REQUESTS);
        }
        rates.push((BATCH * CLIENTS * REQUESTS) as f64 / began.elapsed().as_secs_f64());
    }
    let rate = median(&rates);
    println!("\nbatches of {BATCH} events as NDJSON, {CLIENTS} clients, embedded\n");
    let verdict = at_least(rate / WANTED, "50,000/s", 1.0);
    line("bloodbank up, embedded", &format!("{rate:>8.0} events/s"), &verdict);
}

/// Posts batches one after the other on one connection.
pub(crate) fn post<P: AsRef<Path>>(files: &[P], url: &str) -> Child {
    let mut curl = Command::new("curl");
    for (at, file) in files.iter().enumerate() {
        if at > 0 {
            curl.arg("--next");
        }
        curl.args(["-s", "-m", "60", "-o", "/dev/null", "-w", "%{http_code} "])
            .args(["-H", "Content-Type: application/x-ndjson", "--data-binary"])
            .arg(format!("@{}", file.as_ref().display()))
            .arg(url);
    }
    curl.stdout(Stdio::piped()).spawn().expect("curl starts")
}

/// Waits until so many batches are posted. Of each, every event must have been taken.
pub(crate) fn all_taken(client: Child, batches: usize) {
    let output = client.wait_with_output().expect("its end");
    let answers = String::from_utf8_lossy(&output.stdout);
    let answers: Vec<&str> = answers.split_whitespace().collect();
    assert_eq!(answers, vec!["202"; batches], "a batch was refused, or some of it");
}

/// So many new events, each as a line.
pub(crate) fn lines(count: usize) -> String {
    let mut lines = String::new();
    for n in 0..count {
        let _ = writeln!(
            lines,
            r#"{{"id":"{}","event_type":"theboard.meeting.created","source":"theboard-producer","timestamp":"{}","data":{{"event_type":"theboard.meeting.created","meeting_id":"0190b3a2-7c1e-7d3f-8a5b-1c2d3e4f5a6b","topic":"Meeting {n}","strategy":"multi_agent","max_rounds":5,"agent_count":4}}}}"#,
            Uuid::now_v7(),
            Utc::now().to_rfc3339(),
        );
    }
    lines
}
