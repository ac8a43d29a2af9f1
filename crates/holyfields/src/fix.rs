//! What `lint --fix` writes: single changes of a JSON text, which leave the rest as it stands.

use serde_json::Value;

/// How a finding can be mended by a machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Fix {
    /// Who may apply it.
    pub safety: Safety,
    /// All of them or none.
    pub edits: Vec<Edit>,
}

/// Whether a fix asks for a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Safety {
    /// The one right answer: `--fix`.
    Safe,
    /// It changes what a contract is called: `--fix --unsafe`.
    Unsafe,
}

/// One change of one file.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// The file's path below the schema root.
    pub file: String,
    /// JSON Pointer to the value that changes, or to the object that gets a member.
    pub pointer: String,
    /// What happens there.
    pub change: Change,
}

/// What happens at a place.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The value becomes another.
    Replace(Value),
    /// The member gets another name.
    Rename(String),
    /// The object gets one more member, as its last; or behind this one if it has it.
    Insert {
        /// Its name.
        name: String,
        /// Its value.
        value: Value,
        /// The member before it.
        after: Option<String>,
    },
    /// The member or item goes.
    Remove,
}
