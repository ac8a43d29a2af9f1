//! Spans of time as people write them.

use std::time::Duration;

/// `250ms`, `90s`, `10m`, `2h`, `1d`.
///
/// # Errors
/// If it is written otherwise.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| expected(text))?;
    let millis = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(expected(text)),
    };
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(|| expected(text))
}

fn expected(text: &str) -> String {
    format!("`{text}` is no span of time; expected a number and ms, s, m, h or d, as in `10m`")
}

/// In the largest unit that leaves a number of at least 2: `90s`, `10m`, `3d`.
pub(crate) fn show(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_a_unit() {
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse("2h"), Ok(Duration::from_secs(7_200)));
        for bad in ["", "10", "s", "1.5h", "-1s", "1w", "99999999999999999999s"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(show(Duration::from_secs(601)), "10m");
    }
}
