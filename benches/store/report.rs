//! Medians over rounds, and a verdict where something is wished for.

/// The median of some figures.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
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
