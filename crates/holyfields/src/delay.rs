//! Lengths of time as registry.yaml writes them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long a message waits until it is tried again: `500ms`, `10s`, `1m`, `2h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Delay(Duration);

/// A text that is not a [`Delay`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a delay; expected a whole number and its unit: `500ms`, `10s`, `1m` or `2h`")]
pub struct DelayError(String);

/// Each unit with its milliseconds and the most digits that it takes: RabbitMQ lets a message wait
/// for less than 50 days.
const UNITS: [(&str, u64, usize); 4] =
    [("ms", 1, 6), ("s", 1_000, 6), ("m", 60_000, 4), ("h", 3_600_000, 3)];

/// What the texts of delays match.
pub(crate) const PATTERN: &str = "^([1-9][0-9]{0,5}(ms|s)|[1-9][0-9]{0,3}m|[1-9][0-9]{0,2}h)$";

impl Delay {
    /// The same as a duration.
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl FromStr for Delay {
    type Err = DelayError;

    fn from_str(text: &str) -> Result<Self, DelayError> {
        let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(end);
        let unit = UNITS.iter().find(|(name, ..)| *name == unit);
        let delay = unit.filter(|(.., most)| !digits.starts_with('0') && digits.len() <= *most);
        let delay = delay.and_then(|(_, millis, _)| Some(digits.parse::<u64>().ok()? * millis));
        match delay {
            Some(millis) => Ok(Delay(Duration::from_millis(millis))),
            None => Err(DelayError(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Delay {
    type Error = DelayError;

    fn try_from(text: String) -> Result<Self, DelayError> {
        text.parse()
    }
}

impl From<Delay> for String {
    fn from(delay: Delay) -> String {
        delay.to_string()
    }
}

/// In the largest unit in which it can be read again.
impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let number = |(_, size, most): &(&str, u64, usize)| {
            let size = u128::from(*size);
            let digits = (millis / size).to_string();
            (millis.is_multiple_of(size) && digits.len() <= *most).then_some(digits)
        };
        let shown = UNITS.iter().rev().find_map(|unit| Some((number(unit)?, unit.0)));
        let (number, unit) = shown.unwrap_or((millis.to_string(), "ms"));
        write!(f, "{number}{unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_a_whole_number_and_a_unit() {
        for (text, millis) in [("500ms", 500), ("10s", 10_000), ("90s", 90_000), ("2h", 7_200_000)]
        {
            let delay: Delay = text.parse().unwrap();
            assert_eq!(delay.duration(), Duration::from_millis(millis));
            assert_eq!(delay.to_string(), text);
        }
        assert_eq!("60000ms".parse::<Delay>().unwrap().to_string(), "1m");
        for text in ["", "10", "s", "0s", "01s", "1.5s", "-1s", "1 s", "1d", "1000h", "1000000s"] {
            assert!(text.parse::<Delay>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_written_can_be_read_again() {
        // The largest of each unit, which may be written in another one.
        for text in ["999999ms", "999999s", "9999m", "999h", "60000s", "600000s", "7200s"] {
            let delay: Delay = text.parse().unwrap();
            assert_eq!(delay.to_string().parse::<Delay>().unwrap(), delay, "{text}");
        }
    }
}
