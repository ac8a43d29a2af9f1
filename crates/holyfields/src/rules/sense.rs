//! Schemas that do not mean what they say.

use super::{Level, Rule};

/// The family, by id.
pub(super) const ALL: &[&Rule] = &[
    CLOSED_INHERITANCE,
    UNSATISFIABLE,
    INVALID_PATTERN,
    UNKNOWN_FORMAT,
    INVALID_SCHEMA,
    UNKNOWN_KEYWORD,
];

/// A contract refuses properties that its own base declares.
pub const CLOSED_INHERITANCE: &Rule = &Rule {
    id: "HF040",
    level: Level::Error,
    purpose: "A contract refuses properties that its own base declares.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// A contract accepts no payload at all.
pub const UNSATISFIABLE: &Rule = &Rule {
    id: "HF041",
    level: Level::Error,
    purpose: "A contract accepts no payload at all.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// A pattern is no regular expression.
pub const INVALID_PATTERN: &Rule = &Rule {
    id: "HF042",
    level: Level::Error,
    purpose: "A pattern is no regular expression.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// A format that nothing checks.
pub const UNKNOWN_FORMAT: &Rule = &Rule {
    id: "HF043",
    level: Level::Error,
    purpose: "A format that nothing checks.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// A keyword has a value that JSON Schema does not allow.
pub const INVALID_SCHEMA: &Rule = &Rule {
    id: "HF044",
    level: Level::Error,
    purpose: "A keyword has a value that JSON Schema does not allow.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// A word that is no keyword, so that nothing checks it.
pub const UNKNOWN_KEYWORD: &Rule = &Rule {
    id: "HF045",
    level: Level::Warning,
    purpose: "A word that is no keyword, so that nothing checks it.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};
