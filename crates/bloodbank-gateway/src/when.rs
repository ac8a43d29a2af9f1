//! Times as callers write them: an age, or a time.

use chrono::{DateTime, TimeDelta, Utc};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

/// What such texts match.
const PATTERN: &str = "^([1-9][0-9]{0,4}(ms|s|m|h|d)|[12][0-9]{3}-(0[1-9]|1[0-2])-\
     (0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?\
     (Z|[+-](0[0-9]|1[0-3]):[0-5][0-9]))$";

/// As the document describes it.
pub(crate) fn schema() -> Object {
    let example = serde_json::json!("10m");
    let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(PATTERN));
    text.examples([example]).build()
}

/// A time, or so long ago: `2026-01-31T12:00:00Z`, `10m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct When(pub(crate) DateTime<Utc>);

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).map(When).ok_or_else(|| {
            let expected = "expected a time, as in `2026-01-31T12:00:00Z`, or an age, as in `10m`";
            D::Error::custom(expected)
        })
    }
}

fn parse(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number: i64 = digits.parse().ok().filter(|number| *number >= 0)?;
    let age = match &text[digits.len()..] {
        "ms" => TimeDelta::try_milliseconds(number),
        "s" => TimeDelta::try_seconds(number),
        "m" => TimeDelta::try_minutes(number),
        "h" => TimeDelta::try_hours(number),
        "d" => TimeDelta::try_days(number),
        _ => None,
    };
    Utc::now().checked_sub_signed(age?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_or_an_age() {
        let time = parse("2026-01-31T13:00:00+01:00").unwrap();
        assert_eq!(time.to_rfc3339(), "2026-01-31T12:00:00+00:00");
        let time = parse("10m").unwrap();
        let age = Utc::now() - time;
        assert!(age >= TimeDelta::minutes(10) && age < TimeDelta::minutes(11), "{age}");
        for bad in ["", "10", "m", "-1m", "1w", "yesterday", "9999999999999999d", "2026-01-31"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
