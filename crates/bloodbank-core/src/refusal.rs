//! Why a payload did not pass.

use std::fmt;

use crate::describe::{self, escape_control};
use crate::{Code, Violation};

/// The most violations that a [`Refusal`] lists.
///
/// A bound on memory and work: nobody reads more, and a payload may hold a million.
pub(crate) const MAX_VIOLATIONS: usize = 100;

/// Places wider than this are not padded for.
const WIDEST_PLACE: usize = 40;

/// A payload breaks its contract; the ways it does, at once.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The routing key, with version.
    pub key: String,
    /// In the order of the schema's rules. At least one; of the payload at most 100.
    pub violations: Vec<Violation>,
    /// How many more were found and are not listed. Two that say the same count as two.
    pub more: u64,
    /// Whether these are all. If not, the work of finding more would have been out of proportion to
    /// the payload, and `more` is the least that there are.
    pub is_complete: bool,
}

impl Refusal {
    /// Its code, [`Code::PayloadRefused`].
    pub fn code(&self) -> Code {
        Code::PayloadRefused
    }

    /// `1 fault`, `10,000 faults`, or `at least 10,000 faults`.
    pub fn count(&self) -> String {
        let number = self.violations.len() as u64 + self.more;
        let least = if self.is_complete { "" } else { "at least " };
        let faults = if number == 1 { "fault" } else { "faults" };
        format!("{least}{} {faults}", describe::grouped(number))
    }
}

impl fmt::Display for Refusal {
    /// A line that counts, then a line for each violation, and one for those that are not listed; no
    /// newline at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.count())?;
        let width = |place: &String| place.chars().count();
        let places: Vec<String> = self.violations.iter().map(Violation::place).collect();
        let widest = places.iter().map(width).filter(|&w| w <= WIDEST_PLACE).max().unwrap_or(0);
        for (violation, place) in self.violations.iter().zip(&places) {
            let Violation { expected, found, .. } = violation;
            write!(f, "\n  {place:widest$}  expected {expected}, found {found}")?;
        }
        match (self.more, self.is_complete) {
            (0, true) => Ok(()),
            (0, false) => f.write_str("\n  … and maybe more"),
            (more, true) => write!(f, "\n  … and {} more", describe::grouped(more)),
            (more, false) => write!(f, "\n  … and at least {} more", describe::grouped(more)),
        }
    }
}

impl std::error::Error for Refusal {}

/// No contract has this key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownKey {
    /// The key that was asked for.
    pub key: String,
    /// Up to three keys that look like it, the nearest first.
    pub suggestions: Vec<String>,
}

impl UnknownKey {
    /// Its code, [`Code::UnknownKey`].
    pub fn code(&self) -> Code {
        Code::UnknownKey
    }
}

impl fmt::Display for UnknownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no contract has the key `{}`", escape_control(&self.key))?;
        for (i, suggestion) in self.suggestions.iter().enumerate() {
            let lead = if i == 0 { "; did you mean" } else { " or" };
            write!(f, "{lead} `{suggestion}`")?;
        }
        f.write_str(if self.suggestions.is_empty() { "" } else { "?" })
    }
}

impl std::error::Error for UnknownKey {}

/// Why a check did not end in "valid".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The payload breaks the contract.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// There is no such contract.
    #[error(transparent)]
    UnknownKey(#[from] UnknownKey),
    /// The contract's own schema is at fault, so that nothing can be checked against it.
    #[error("the schema of `{key}` cannot be used: {reason}")]
    Schema {
        /// The routing key, with version.
        key: String,
        /// What the schema compiler says.
        reason: String,
    },
    /// The value has no JSON form.
    #[error("the payload cannot be written as JSON")]
    Encode(#[source] serde_json::Error),
}

impl CheckError {
    /// Its code.
    pub fn code(&self) -> Code {
        match self {
            CheckError::Refused(error) => error.code(),
            CheckError::UnknownKey(error) => error.code(),
            CheckError::Schema { .. } => Code::SchemaUnusable,
            CheckError::Encode(_) => Code::NotEncodable,
        }
    }

    /// The violations, if that is what it is.
    pub fn violations(&self) -> &[Violation] {
        match self {
            CheckError::Refused(refusal) => &refusal.violations,
            _ => &[],
        }
    }
}
