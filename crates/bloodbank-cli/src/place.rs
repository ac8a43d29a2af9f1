//! Places in the store, and ids, as people write them.

use bloodbank::candystore::Position;
use bloodbank::chrono::{DateTime, Utc};
use bloodbank::uuid::Uuid;

use crate::when;

/// A position, or the time that something was stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Place {
    Position(Position),
    Time(DateTime<Utc>),
}

/// A position (`1`), an age (`10m`) or a time (`2026-01-31T12:00:00Z`).
///
/// # Errors
/// If it is none of these.
pub(crate) fn parse(text: &str) -> Result<Place, String> {
    match text.parse() {
        Ok(position) => Ok(Place::Position(position)),
        Err(_) => when::parse(text)
            .map(Place::Time)
            .map_err(|error| format!("{error}, or a position, as in `1`")),
    }
}

/// An id.
///
/// # Errors
/// If it is no UUID.
pub(crate) fn id(text: &str) -> Result<Uuid, String> {
    text.parse().map_err(|_| "expected an id (a UUID)".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_or_a_time() {
        assert_eq!(parse("7"), Ok(Place::Position(7)));
        assert!(matches!(parse("10m"), Ok(Place::Time(_))));
        let error = parse("soon").err().unwrap_or_default();
        assert!(error.contains("`soon` is no time") && error.contains("a position"), "{error}");
        assert_eq!(id("zzz"), Err("expected an id (a UUID)".to_owned()));
    }
}
