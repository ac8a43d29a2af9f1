//! Times as people write them.

use bloodbank::chrono::{DateTime, TimeDelta, Utc};

use crate::span;

/// An age (`10m`, so long ago) or a time (RFC 3339: `2026-01-31T12:00:00Z`).
///
/// # Errors
/// If it is neither.
pub(crate) fn parse(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.to_utc());
    }
    let age = span::parse(text).ok().and_then(|age| TimeDelta::from_std(age).ok());
    age.and_then(|age| Utc::now().checked_sub_signed(age)).ok_or_else(|| {
        format!("`{text}` is no time; expected an age, as in `10m`, or `2026-01-31T12:00:00Z`")
    })
}

/// A span (`10m`, so long from now) or a time (RFC 3339: `2026-01-31T12:00:00Z`).
///
/// # Errors
/// If it is neither.
pub(crate) fn parse_future(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.to_utc());
    }
    let span = span::parse(text).ok().and_then(|span| TimeDelta::from_std(span).ok());
    span.and_then(|span| Utc::now().checked_add_signed(span)).ok_or_else(|| {
        format!("`{text}` is not a time; expected a span, as in `10m`, or `2026-01-31T12:00:00Z`")
    })
}

/// To the millisecond: `2026-01-31 12:00:00.000Z`.
pub(crate) fn show(time: DateTime<Utc>) -> String {
    time.format("%F %T%.3fZ").to_string()
}

/// How long after something, in the unit that suits: `+12 ms`, `+3.2 s`, `+10m`, `-5 ms`.
pub(crate) fn after(time: TimeDelta) -> String {
    let sign = if time < TimeDelta::zero() { '-' } else { '+' };
    format!("{sign}{}", span_of(time))
}

/// How long, in the unit that suits.
pub(crate) fn span_of(time: TimeDelta) -> String {
    let span = time.abs().to_std().unwrap_or_default();
    match span.as_micros() {
        0 => "0 ms".to_owned(),
        micros @ 1..1_000 => format!("{micros} µs"),
        micros @ 1_000..1_000_000 => format!("{} ms", micros / 1_000),
        micros @ 1_000_000..120_000_000 => format!("{:.1} s", micros as f64 / 1e6),
        _ => span::show(span),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_or_a_time() {
        let time = parse("2026-01-31T13:00:00+01:00").unwrap_or_default();
        assert_eq!(show(time), "2026-01-31 12:00:00.000Z");
        let time = parse("10m").unwrap_or_default();
        let age = Utc::now() - time;
        assert!(age >= TimeDelta::minutes(10) && age < TimeDelta::minutes(11), "{age}");
        for bad in ["", "yesterday", "10", "2026-01-31", "99999999999999d"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_span_is_shown_in_the_unit_that_suits() {
        let shown = [0, 420, -5_999, 999_999, 3_249_000, 600_000_000];
        let shown = shown.map(|micros| after(TimeDelta::microseconds(micros)));
        assert_eq!(shown, ["+0 ms", "+420 µs", "-5 ms", "+999 ms", "+3.2 s", "+10m"]);
    }
}
