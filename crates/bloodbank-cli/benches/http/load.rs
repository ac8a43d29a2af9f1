//! The programs that make requests: `wrk` and `hey`, as Debian has them.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

pub(crate) const CONNECTIONS: usize = 64;

/// What came of many requests.
pub(crate) struct Load {
    /// Answers a second.
    pub(crate) rate: f64,
    /// How many requests were answered.
    pub(crate) answered: f64,
    /// How many of them not by 2xx, or not at all.
    pub(crate) failed: f64,
    /// The time of 99 of 100, in milliseconds.
    pub(crate) p99: f64,
}

/// Whether the programs are installed; says so if they are not.
pub(crate) fn is_there() -> bool {
    let is_missing = |name: &&str| {
        let look = format!("command -v {name}");
        let found = Command::new("sh").args(["-c", &look]).stdout(Stdio::null()).status();
        !found.is_ok_and(|status| status.success())
    };
    let missing: Vec<_> = ["wrk", "hey", "curl"].into_iter().filter(is_missing).collect();
    if !missing.is_empty() {
        eprintln!("skipped: `{}` missing; `apt-get install {0}`", missing.join(" "));
    }
    missing.is_empty()
}

/// Whether a GET is answered by 200.
pub(crate) fn is_ready(url: &str) -> bool {
    let curl = Command::new("curl").args(["-sf", "-o", "/dev/null", "-m", "2", url]).status();
    curl.is_ok_and(|status| status.success())
}

/// As many requests as are answered, each by the next one on its connection.
pub(crate) fn most(url: &str, body: &Path, time: Duration) -> Load {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/http/post.lua");
    let output = Command::new("wrk")
        .args(["-t", "2", "-c", &CONNECTIONS.to_string(), "-d"])
        .args([&format!("{}s", time.as_secs()), "-s", script, url, "--"])
        .arg(body)
        .stderr(Stdio::inherit())
        .output()
        .expect("wrk starts");
    let output = String::from_utf8_lossy(&output.stdout);
    let figures = output.lines().find_map(|line| line.strip_prefix("figures "));
    let figures = figures.unwrap_or_else(|| panic!("wrk has failed:\n{output}"));
    let figures: Vec<f64> =
        figures.split_whitespace().map(|text| text.parse().expect("a number")).collect();
    let [answered, failed, seconds, p99] = figures[..] else { panic!("wrk said {figures:?}") };
    Load { rate: answered / seconds, answered, failed, p99 }
}

/// So many requests a second over all connections.
pub(crate) fn paced(url: &str, body: &Path, rate: usize, time: Duration) -> Load {
    let each = rate as f64 / CONNECTIONS as f64;
    let output = Command::new("hey")
        .args(["-z", &format!("{}s", time.as_secs()), "-c", &CONNECTIONS.to_string()])
        .args(["-q", &each.to_string(), "-o", "csv", "-m", "POST", "-T", "application/json", "-D"])
        .arg(body)
        .arg(url)
        .stderr(Stdio::inherit())
        .output()
        .expect("hey starts");
    let output = String::from_utf8_lossy(&output.stdout);
    let mut times = Vec::new();
    let mut failed = 0.0;
    for line in output.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        times.push(fields[0].parse::<f64>().expect("a time") * 1e3);
        failed +=
            if fields.get(6).is_some_and(|status| status.starts_with('2')) { 0.0 } else { 1.0 };
    }
    times.sort_by(f64::total_cmp);
    let p99 = times.get(times.len() * 99 / 100).copied().unwrap_or(f64::NAN);
    let answered = times.len() as f64;
    Load { rate: answered / time.as_secs_f64(), answered, failed, p99 }
}
