//! Files that cannot be read as schemas.

use super::{Level, Rule};

/// The family, by id.
pub(super) const ALL: &[&Rule] =
    &[UNREADABLE, SYNTAX, DUPLICATE_NAME, NOT_A_SCHEMA, UNKNOWN_DRAFT, OUTSIDE_ROOT];

/// A file cannot be read: missing rights, not UTF-8, or too large.
pub const UNREADABLE: &Rule = &Rule {
    id: "HF001",
    level: Level::Error,
    purpose: "A file cannot be read: missing rights, not UTF-8, or too large.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// A file is not valid JSON.
pub const SYNTAX: &Rule = &Rule {
    id: "HF002",
    level: Level::Error,
    purpose: "A file is not valid JSON.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// A name stands twice in one object; parsers keep one and drop the other.
pub const DUPLICATE_NAME: &Rule = &Rule {
    id: "HF003",
    level: Level::Error,
    purpose: "A name stands twice in one object; parsers keep one and drop the other.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// A file holds something that is no JSON Schema.
pub const NOT_A_SCHEMA: &Rule = &Rule {
    id: "HF004",
    level: Level::Error,
    purpose: "A file holds something that is no JSON Schema.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// A schema is of a draft other than 2020-12 and draft-07.
pub const UNKNOWN_DRAFT: &Rule = &Rule {
    id: "HF005",
    level: Level::Error,
    purpose: "A schema is of a draft other than 2020-12 and draft-07.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// A link leads out of the schema folder.
pub const OUTSIDE_ROOT: &Rule = &Rule {
    id: "HF006",
    level: Level::Error,
    purpose: "A link leads out of the schema folder.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};
