//! What readers of a contract miss.

use super::{Level, Rule};

/// The family, by id.
pub(super) const ALL: &[&Rule] = &[MISSING_DESCRIPTION, MISSING_EXAMPLE, UNMARKED_SECRET];

/// A contract or one of its properties has no description.
pub const MISSING_DESCRIPTION: &Rule = &Rule {
    id: "HF080",
    level: Level::Warning,
    purpose: "A contract or one of its properties has no description.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// A contract has no example.
pub const MISSING_EXAMPLE: &Rule = &Rule {
    id: "HF081",
    level: Level::Warning,
    purpose: "A contract has no example.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// A property looks like a secret and is not marked `x-bloodbank-sensitive`.
pub const UNMARKED_SECRET: &Rule = &Rule {
    id: "HF082",
    level: Level::Warning,
    purpose: "A property looks like a secret and is not marked `x-bloodbank-sensitive`.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};
