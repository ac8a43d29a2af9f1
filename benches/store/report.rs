//! Medians over rounds, and a verdict where something is wished for.

/// The median of some figures.
pub(crate) fn median(figures: &[f64]) -> f64 {
    quantile(figures, 0.5)
}

/// Whether a figure is as large as was wished for.
pub(crate) fn at_least(figure: f64, bound: f64) -> String {
    let verdict = if figure >= bound { "reached" } else { "missed" };
    format!("wanted ≥ {bound}  {verdict}")
}

/// A number with its thousands apart.
pub(crate) fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Whether a figure is as small as was wished for.
pub(crate) fn at_most(figure: f64, bound: f64) -> String {
    let verdict = if figure <= bound { "reached" } else { "missed" };
    format!("wanted ≤ {bound}  {verdict}")
}

/// What this part of the figures does not pass.
pub(crate) fn quantile(figures: &[f64], part: f64) -> f64 {
    let mut figures = figures.to_vec();
    figures.sort_by(f64::total_cmp);
    figures[((figures.len() - 1) as f64 * part).round() as usize]
}

/// The time that a process has used a core, in seconds.
pub(crate) fn cpu_time(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    // There are 100 of them in a second on every Linux.
    ticks.sum::<f64>() / 100.0
}
