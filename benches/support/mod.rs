//! Medians, and a table of them.
#![allow(dead_code)] // Not every benchmark needs all of it.

use std::time::{Duration, Instant};

use bloodbank::chrono::Utc;
use bloodbank::events::{common, theboard};
use bloodbank::uuid::Uuid;

/// The event of seven fields that is published wherever something is.
pub(crate) fn meeting() -> theboard::MeetingCreated {
    theboard::MeetingCreated::new(
        Uuid::now_v7(),
        "How do we make the roadmap legible?",
        common::MeetingStrategy::MultiAgent,
        5,
        Some(4),
    )
    .with_scheduled_for(Utc::now())
}

/// The median time of one call, over `rounds` rounds of `calls` calls; `setup` runs before each
/// round and is not counted.
pub(crate) fn median(
    rounds: usize,
    calls: u32,
    mut setup: impl FnMut(),
    mut call: impl FnMut(),
) -> Duration {
    let mut times: Vec<Duration> = (0..=rounds)
        .map(|_| {
            setup();
            let start = Instant::now();
            for _ in 0..calls {
                call();
            }
            start.elapsed() / calls
        })
        .skip(1)
        .collect();
    times.sort();
    times[times.len() / 2]
}

/// One row: what was measured, its median, and how it stands to the row it is compared with.
pub(crate) fn row(name: &str, median: Duration, compared: Option<(&str, Duration)>) {
    let ratio = compared.map(|(other, time)| {
        format!("{:>6.2} × {other}", median.as_secs_f64() / time.as_secs_f64())
    });
    println!("{name:<52} {:>12}  {}", shown(median), ratio.unwrap_or_default());
}

/// A heading, with what the figures hang on.
pub(crate) fn heading(title: &str) {
    let mode = if cfg!(debug_assertions) { "unoptimised" } else { "optimised" };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("\n{title} ({mode}, {cores} cores, {}, medians)", processor());
}

fn shown(time: Duration) -> String {
    match time.as_nanos() {
        nanos if nanos < 10_000 => format!("{nanos} ns"),
        nanos if nanos < 10_000_000 => format!("{:.1} µs", nanos as f64 / 1e3),
        nanos if nanos < 10_000_000_000 => format!("{:.1} ms", nanos as f64 / 1e6),
        nanos => format!("{:.1} s", nanos as f64 / 1e9),
    }
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("model name"));
    let name = line.and_then(|line| line.split(':').nth(1)).unwrap_or("unknown processor");
    name.trim().to_owned()
}
