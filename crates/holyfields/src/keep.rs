//! How long events are kept, as registry.yaml writes it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long events are kept: `12h`, `30d`, `8w`, or `forever`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Keep(Option<u64>);

/// A text that is not a [`Keep`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` does not say how long; expected `12h`, `30d`, `8w` or `forever`")]
pub struct KeepError(String);

/// Each unit with its hours, the largest first.
const UNITS: [(char, u64); 3] = [('w', 168), ('d', 24), ('h', 1)];

/// The most digits.
const DIGITS: usize = 5;

/// What the texts match.
pub(crate) const PATTERN: &str = "^(forever|[1-9][0-9]{0,4}[hdw])$";

/// The word for what is never pruned.
const FOREVER: &str = "forever";

impl Keep {
    /// The same as a duration; `None` for ever.
    pub fn duration(self) -> Option<Duration> {
        self.0.map(|hours| Duration::from_secs(hours * 3_600))
    }
}

impl FromStr for Keep {
    type Err = KeepError;

    fn from_str(text: &str) -> Result<Self, KeepError> {
        if text == FOREVER {
            return Ok(Keep(None));
        }
        let refused = || KeepError(text.to_owned());
        let unit = UNITS.iter().find_map(|(unit, hours)| Some((text.strip_suffix(*unit)?, hours)));
        let (digits, hours) = unit.ok_or_else(refused)?;
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number || digits.starts_with('0') || digits.len() > DIGITS {
            return Err(refused());
        }
        let number: u64 = digits.parse().map_err(|_| refused())?;
        Ok(Keep(Some(number * hours)))
    }
}

impl TryFrom<String> for Keep {
    type Error = KeepError;

    fn try_from(text: String) -> Result<Self, KeepError> {
        text.parse()
    }
}

impl From<Keep> for String {
    fn from(keep: Keep) -> String {
        keep.to_string()
    }
}

/// In days where they are whole, as far as they can be read again, else in weeks or hours.
impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(hours) = self.0 else { return f.write_str(FOREVER) };
        for (unit, size) in [('d', 24), ('w', 168), ('h', 1)] {
            if hours.is_multiple_of(size) && hours / size < 100_000 {
                return write!(f, "{}{unit}", hours / size);
            }
        }
        write!(f, "{hours}h")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_and_a_unit_or_for_ever() {
        for (text, hours, shown) in [
            ("12h", 12, "12h"),
            ("48h", 48, "2d"),
            ("30d", 720, "30d"),
            ("8w", 1_344, "56d"),
            ("99999w", 99_999 * 168, "99999w"),
        ] {
            let keep: Keep = text.parse().unwrap();
            assert_eq!(keep.duration(), Some(Duration::from_secs(hours * 3_600)));
            assert_eq!(keep.to_string(), shown);
            assert_eq!(shown.parse(), Ok(keep));
        }
        assert_eq!("forever".parse::<Keep>().unwrap().duration(), None);
        for text in
            ["", "30", "d", "0d", "030d", "1.5d", "-1d", "1 d", "1m", "100000d", "+1d", "ever"]
        {
            assert!(text.parse::<Keep>().is_err(), "{text}");
        }
    }
}
