//! The table.

/// Takes figures of rounds and gives the one in the middle.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// What was measured, and on what.
pub(crate) fn heading() {
    let mode = if cfg!(debug_assertions) { "unoptimised" } else { "optimised" };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("model name"));
    let name = line.and_then(|line| line.split(':').nth(1)).unwrap_or("unknown processor");
    println!(
        "\nhttp ({mode}, {cores} cores shared with broker and load, {}, medians)\n",
        name.trim()
    );
}

/// A line of figures, and what they are beside what is wished for.
pub(crate) fn line(what: &str, figures: &str, verdict: &str) {
    println!("{what:<44} {figures:<46} {verdict}");
}

/// Whether a ratio is at least what is wished for.
pub(crate) fn at_least(ratio: f64, of: &str, wanted: f64) -> String {
    let reached = if ratio >= wanted { "reached" } else { "missed" };
    format!("{ratio:>6.2} × {of}, wanted ≥ {wanted}: {reached}")
}

/// Whether a figure is at most what is wished for.
pub(crate) fn at_most(figure: f64, unit: &str, wanted: f64) -> String {
    let reached = if figure <= wanted { "reached" } else { "missed" };
    format!("{figure:>6.2} {unit}, wanted ≤ {wanted}: {reached}")
}
