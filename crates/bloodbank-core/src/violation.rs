//! One fault of a payload.

use std::fmt;

use crate::describe::escape_control;

/// Characters of a pointer that are shown: names in a payload may be megabytes long.
const LONGEST_PLACE: usize = 500;

/// One place of a payload that breaks the contract, in our words.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Violation {
    /// JSON Pointer (RFC 6901) into the payload; empty for the payload itself.
    ///
    /// For a missing property the place where it should be.
    pub pointer: String,
    /// The JSON Schema keyword that failed: `maxLength`.
    pub rule: String,
    /// What the contract asks for: `at most 100 characters`. Taken from the schema only.
    pub expected: String,
    /// What stands there: `"abc"`, `an object with 5 properties`.
    ///
    /// Never the contents of an array or object; long texts are cut, control characters escaped,
    /// and `(hidden)` where the schema says `"x-bloodbank-sensitive": true`.
    pub found: String,
    /// Where the contract asks for it: JSON Pointer to the keyword, in the document that
    /// [`Bundle::document`](crate::Bundle::document) makes of the contract.
    pub schema: String,
    /// For an unexpected property a declared name much like it; `expected` proposes it, too.
    pub similar: Option<String>,
}

impl Violation {
    /// Whether both say the same of the same value, maybe for two places of the schema.
    pub(crate) fn repeats(&self, other: &Violation) -> bool {
        self.words() == other.words()
    }

    /// What is said, and of which value.
    pub(crate) fn words(&self) -> [&str; 4] {
        [&self.pointer, &self.rule, &self.expected, &self.found]
    }

    /// The pointer as shown to people: control characters escaped, a very long one cut, `(root)` for
    /// the payload itself.
    pub fn place(&self) -> String {
        match self.pointer.as_str() {
            "" => "(root)".to_owned(),
            pointer => match pointer.char_indices().nth(LONGEST_PLACE) {
                None => escape_control(pointer),
                Some((end, _)) => format!("{}…", escape_control(&pointer[..end])),
            },
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  expected {}, found {}", self.place(), self.expected, self.found)
    }
}

/// The violations of one payload: a bounded list, and how many there are beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violations {
    /// At most 100, in the order of the schema's rules.
    pub list: Vec<Violation>,
    /// How many more were found and are not listed. Two that say the same count as two.
    pub more: u64,
    /// Whether these are all. If not, the work of finding more would have been out of proportion to
    /// the payload, and `more` is the least that there are.
    pub is_complete: bool,
}
