//! Many events a request, as lines of JSON.

use std::fmt::Write as _;
use std::process::Command;
use std::time::Instant;

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
    let body = folder.path().join("batch.ndjson");
    std::fs::write(&body, lines(BATCH)).expect("a file");
    let data = format!("@{}", body.display());
    let url = service.url("/events");
    let post = || {
        let mut curl = Command::new("curl");
        curl.args([
            "-sf",
            "-m",
            "60",
            "-o",
            "/dev/null",
            "-H",
            "Content-Type: application/x-ndjson",
        ]);
        // One after the other on one connection.
        for at in 0..REQUESTS {
            if at > 0 {
                curl.args(["--next", "-sf", "-m", "60", "-o", "/dev/null"]);
                curl.args(["-H", "Content-Type: application/x-ndjson"]);
            }
            curl.args(["--data-binary", &data, &url]);
        }
        curl.spawn().expect("curl starts")
    };
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let clients: Vec<_> = (0..CLIENTS).map(|_| post()).collect();
        for mut client in clients {
            assert!(client.wait().expect("its end").success(), "a batch was refused");
        }
        rates.push((BATCH * CLIENTS * REQUESTS) as f64 / began.elapsed().as_secs_f64());
    }
    let rate = median(&rates);
    println!("\nbatches of {BATCH} events as NDJSON, {CLIENTS} clients, embedded\n");
    line("bloodbank up, embedded", &format!("{rate:>8.0} events/s"), &verdict(rate));
}

fn verdict(rate: f64) -> String {
    at_least(rate / WANTED, "50,000/s", 1.0)
}

/// So many events, each as a line.
pub(crate) fn lines(count: usize) -> String {
    let mut lines = String::new();
    for n in 0..count {
        let _ = writeln!(
            lines,
            r#"{{"event_type":"theboard.meeting.created","source":"theboard-producer","data":{{"event_type":"theboard.meeting.created","meeting_id":"0190b3a2-7c1e-7d3f-8a5b-1c2d3e4f5a6b","topic":"Meeting {n}","strategy":"multi_agent","max_rounds":5,"agent_count":4}}}}"#
        );
    }
    lines
}
