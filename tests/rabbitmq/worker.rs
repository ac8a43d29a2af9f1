//! Processes that a test starts and kills: this binary once more, told to run one of its tests.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tokio::sync::oneshot;

/// Where a worker process connects to, and where it writes down what it has handled.
const URL: &str = "BLOODBANK_TEST_WORKER_URL";
const LOG: &str = "BLOODBANK_TEST_WORKER_LOG";

/// What this process was started for, if it is a worker: the URL and the log.
pub(crate) fn task() -> Option<(String, PathBuf)> {
    Some((std::env::var(URL).ok()?, std::env::var_os(LOG)?.into()))
}

/// Appends a line, which other processes do too.
pub(crate) fn note(log: &Path, line: &str) {
    let mut log = OpenOptions::new().append(true).create(true).open(log).unwrap();
    log.write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Done when whoever has started this process is gone, or wants no more of it.
pub(crate) async fn end_of_input() {
    let (end, ended) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        // An error is an end as well.
        let _ = std::io::stdin().read(&mut [0]);
        drop(end);
    });
    // It comes as an error.
    let _ = ended.await;
}

/// A worker process; dropped, it is killed.
pub(crate) struct Worker(Child);

impl Worker {
    /// Starts the test of this name as a worker.
    pub(crate) fn start(test: &str, url: &str, log: &Path) -> Worker {
        let child = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact"])
            .env(URL, url)
            .env(LOG, log)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Worker(child.unwrap())
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
