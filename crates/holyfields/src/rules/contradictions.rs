//! Parts of a schema that can never matter.

use super::{Level, Rule};

/// The family, by id.
pub(super) const ALL: &[&Rule] =
    &[CONTRADICTING_BOUNDS, DEAD_VALUE, DEAD_BRANCH, UNDECLARED_REQUIRED];

/// Two bounds exclude each other, so that no value is between them.
pub const CONTRADICTING_BOUNDS: &Rule = &Rule {
    id: "HF070",
    level: Level::Warning,
    purpose: "Two bounds exclude each other, so that no value is between them.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// A value of an `enum` or `const` that the type beside it refuses.
pub const DEAD_VALUE: &Rule = &Rule {
    id: "HF071",
    level: Level::Warning,
    purpose: "A value of an `enum` or `const` that the type beside it refuses.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// A branch of a union that no value can match.
pub const DEAD_BRANCH: &Rule = &Rule {
    id: "HF072",
    level: Level::Warning,
    purpose: "A branch of a union that no value can match.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// A required property that no `properties` declares.
pub const UNDECLARED_REQUIRED: &Rule = &Rule {
    id: "HF073",
    level: Level::Warning,
    purpose: "A required property that no `properties` declares.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};
