//! What a `$ref` means.

use super::{Level, Rule};

/// The family, by id.
pub(super) const ALL: &[&Rule] =
    &[UNRESOLVED_REF, REMOTE_REF, ESCAPING_REF, AMBIGUOUS_REF, DUPLICATE_ID, IGNORED_SIBLING];

/// A `$ref` leads nowhere.
pub const UNRESOLVED_REF: &Rule = &Rule {
    id: "HF010",
    level: Level::Error,
    purpose: "A `$ref` leads nowhere.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// A `$ref` leads to the network; nothing is ever fetched.
pub const REMOTE_REF: &Rule = &Rule {
    id: "HF011",
    level: Level::Error,
    purpose: "A `$ref` leads to the network; nothing is ever fetched.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// A `$ref` leads out of the schema folder.
pub const ESCAPING_REF: &Rule = &Rule {
    id: "HF012",
    level: Level::Error,
    purpose: "A `$ref` leads out of the schema folder.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// A `$ref` means one file by path and another by `$id`.
pub const AMBIGUOUS_REF: &Rule = &Rule {
    id: "HF013",
    level: Level::Warning,
    purpose: "A `$ref` means one file by path and another by `$id`.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// Two schemas have one `$id`.
pub const DUPLICATE_ID: &Rule = &Rule {
    id: "HF014",
    level: Level::Error,
    purpose: "Two schemas have one `$id`.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// A keyword stands beside a draft-07 `$ref`, where it counts for nothing.
pub const IGNORED_SIBLING: &Rule = &Rule {
    id: "HF015",
    level: Level::Warning,
    purpose: "A keyword stands beside a draft-07 `$ref`, where it counts for nothing.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};
