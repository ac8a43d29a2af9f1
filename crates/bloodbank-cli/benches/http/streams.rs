//! Readers of `/stream`: many at a moderate rate, and one that follows everything in summaries.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bloodbank::chrono::{DateTime, Utc};
use serde_json::Value;

use crate::batches::{all_taken, lines, post};
use crate::contenders::{self, Service};
use crate::load;
use crate::report::{at_most, line};

const READERS: usize = 200;
/// Events a second while many read, and for how long.
const RATE: usize = 200;
const TIME: Duration = Duration::from_secs(10);
/// Events a second while one reads summaries.
const FAST: usize = 10_000;
/// Events of a batch then.
const BATCH: usize = 500;

/// Runs both, and tells the table.
pub(crate) fn run() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = contenders::bloodbank(folder.path(), None);
    println!("\nstreams, embedded\n");
    many(&service, folder.path());
    summaries(&service, folder.path());
}

/// Follows a stream, and hands on what each message says, until the service ends or `stop` is set.
fn follow(port: u16, path: &str, stop: &Arc<AtomicBool>, mut each: impl FnMut(&str, Value)) {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    // What HTTP/1.0 is answered with is not cut into chunks.
    let request =
        format!("GET {path} HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n");
    socket.write_all(request.as_bytes()).expect("asked");
    socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
    let (mut reader, mut name, mut text) = (BufReader::new(socket), String::new(), String::new());
    while !stop.load(Ordering::Relaxed) {
        // What was read before a timeout stays in `text`.
        match reader.read_line(&mut text) {
            Ok(0) => return,
            Ok(_) => {}
            Err(_) => continue,
        }
        let read = text.trim_end();
        if let Some(event) = read.strip_prefix("event: ") {
            name = event.to_owned();
        } else if let Some(data) = read.strip_prefix("data: ") {
            let data = serde_json::from_str(data).expect("JSON");
            each(&std::mem::take(&mut name), data);
        }
        text.clear();
    }
}

/// Follows a stream on a thread of its own.
fn spawn(
    port: u16,
    path: &'static str,
    stop: &Arc<AtomicBool>,
    each: impl FnMut(&str, Value) + Send + 'static,
) -> thread::JoinHandle<()> {
    let stop = stop.clone();
    thread::spawn(move || follow(port, path, &stop, each))
}

/// The time from publishing to the frame, for each of many readers.
fn many(service: &Service, folder: &Path) {
    let (stop, times) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
    let before = service.memory();
    let readers: Vec<_> = (0..READERS)
        .map(|_| {
            let times = times.clone();
            spawn(service.port(), "/stream", &stop, move |_, event| {
                let said = event["envelope"]["timestamp"].as_str().or(event["timestamp"].as_str());
                let Some(said) = said.and_then(|text| text.parse::<DateTime<Utc>>().ok()) else {
                    return;
                };
                let took = Utc::now().signed_duration_since(said).num_microseconds().unwrap_or(0);
                times.lock().expect("the times").push(took as f64 / 1e3);
            })
        })
        .collect();
    thread::sleep(Duration::from_secs(2));
    let each = service.memory().saturating_sub(before) as f64 / READERS as f64 / 1_024.0;
    let body = folder.join("payload.json");
    std::fs::write(&body, crate::requests::PAYLOAD).expect("a file");
    let (cpu, began) = (service.cpu(), Instant::now());
    let load = load::paced(&service.url(crate::requests::PATH), &body, RATE, TIME);
    thread::sleep(Duration::from_secs(1));
    let cpu = (service.cpu() - cpu) / began.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    readers.into_iter().for_each(|reader| reader.join().expect("a reader"));
    let mut times = std::mem::take(&mut *times.lock().expect("the times"));
    times.sort_by(f64::total_cmp);
    let p99 = times.get(times.len() * 99 / 100).copied().unwrap_or(f64::NAN);
    let figures = format!(
        "{each:>6.1} kB each {:>5.2} cores {:>8} of {:.0} frames",
        cpu,
        times.len(),
        load.answered * READERS as f64
    );
    line(&format!("{READERS} readers, {RATE} events/s"), &figures, &at_most(p99, "ms p99", 50.0));
}

/// Whether every position is in the counts of a reader of summaries.
fn summaries(service: &Service, folder: &Path) {
    let stop = Arc::new(AtomicBool::new(false));
    let (sender, frames) = channel();
    let told = move |name: &str, frame: Value, sender: &Sender<(u64, u64, u64)>| {
        if name == "summary" {
            let figure = |field: &str| frame[field].as_u64().expect("a number");
            let _ = sender.send((figure("first"), figure("last"), figure("count")));
        }
    };
    let reader = spawn(service.port(), "/stream?view=summary", &stop, move |name, frame| {
        told(name, frame, &sender);
    });
    thread::sleep(Duration::from_secs(1));
    let batches = FAST * TIME.as_secs() as usize / BATCH;
    let files: Vec<_> = (0..batches)
        .map(|at| {
            let file = folder.join(format!("{at}.ndjson"));
            std::fs::write(&file, lines(BATCH)).expect("a file");
            file
        })
        .collect();
    let began = Instant::now();
    for (at, body) in files.iter().enumerate() {
        let due = Duration::from_secs_f64((at * BATCH) as f64 / FAST as f64);
        thread::sleep(due.saturating_sub(began.elapsed()));
        all_taken(post(&[body], &service.url("/events")), 1);
    }
    let rate = (batches * BATCH) as f64 / began.elapsed().as_secs_f64();
    thread::sleep(Duration::from_secs(2));
    stop.store(true, Ordering::Relaxed);
    reader.join().expect("the reader");
    let frames: Vec<(u64, u64, u64)> = frames.try_iter().collect();
    let counted: u64 = frames.iter().map(|frame| frame.2).sum();
    let gaps = frames.windows(2).filter(|pair| pair[0].1 + 1 != pair[1].0).count();
    let missing = (batches * BATCH) as u64 - counted.min((batches * BATCH) as u64);
    let figures = format!("{rate:>8.0}/s {:>6} frames {gaps:>4} gaps between them", frames.len());
    line("one reader of summaries", &figures, &at_most(missing as f64, "missing", 0.0));
}
