//! What a type cannot show.

use super::{Level, Rule};

/// The family, by id.
pub(super) const ALL: &[&Rule] = &[NOT_CARRIED, NOT_AN_OBJECT, UNSUPPORTED_KEYWORD, NARROWER_TYPE];

/// A keyword shapes the payload in a way the type cannot show; the validator enforces it.
pub const NOT_CARRIED: &Rule = &Rule {
    id: "HF030",
    level: Level::Note,
    purpose: "A keyword shapes the payload in a way the type cannot show; the validator enforces it.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// The payload of a contract may be something other than an object.
pub const NOT_AN_OBJECT: &Rule = &Rule {
    id: "HF031",
    level: Level::Error,
    purpose: "The payload of a contract may be something other than an object.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// A keyword that is not supported.
pub const UNSUPPORTED_KEYWORD: &Rule = &Rule {
    id: "HF032",
    level: Level::Error,
    purpose: "A keyword that is not supported.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// A contract accepts values that its type cannot hold.
pub const NARROWER_TYPE: &Rule = &Rule {
    id: "HF033",
    level: Level::Note,
    purpose: "A contract accepts values that its type cannot hold.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};
