//! What a contract is called: key, version, kind, `$id`, names in code.

use super::{Level, Rule};

/// The family, by id.
pub(super) const ALL: &[&Rule] = &[
    MISSING_KEY,
    DUPLICATE_KEY,
    MISSHAPEN_KEY,
    UNUSUAL_KEY,
    KEY_AGAINST_PATH,
    NAME_CLASH,
    OPTIONAL_KEY,
    MISSING_ID,
    ID_AGAINST_PATH,
    TENSE,
];

/// A schema looks like a contract but names no key.
pub const MISSING_KEY: &Rule = &Rule {
    id: "HF020",
    level: Level::Warning,
    purpose: "A schema looks like a contract but names no key.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// Two contracts have one key and version.
pub const DUPLICATE_KEY: &Rule = &Rule {
    id: "HF021",
    level: Level::Error,
    purpose: "Two contracts have one key and version.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// A key is not `<domain>.<entity>.<action>`.
pub const MISSHAPEN_KEY: &Rule = &Rule {
    id: "HF022",
    level: Level::Error,
    purpose: "A key is not `<domain>.<entity>.<action>`.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// A key has not three words.
pub const UNUSUAL_KEY: &Rule = &Rule {
    id: "HF023",
    level: Level::Note,
    purpose: "A key has not three words.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// The const of a contract and its path name two keys.
pub const KEY_AGAINST_PATH: &Rule = &Rule {
    id: "HF024",
    level: Level::Warning,
    purpose: "The const of a contract and its path name two keys.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// Two schemas become one name in generated code.
pub const NAME_CLASH: &Rule = &Rule {
    id: "HF025",
    level: Level::Error,
    purpose: "Two schemas become one name in generated code.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// A contract does not require the property that names its key.
pub const OPTIONAL_KEY: &Rule = &Rule {
    id: "HF026",
    level: Level::Warning,
    purpose: "A contract does not require the property that names its key.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// A contract has no `$id`.
pub const MISSING_ID: &Rule = &Rule {
    id: "HF027",
    level: Level::Warning,
    purpose: "A contract has no `$id`.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// The `$id` of a schema is not that of its path.
pub const ID_AGAINST_PATH: &Rule = &Rule {
    id: "HF028",
    level: Level::Warning,
    purpose: "The `$id` of a schema is not that of its path.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// An event does not say what happened, or a command what to do.
pub const TENSE: &Rule = &Rule {
    id: "HF029",
    level: Level::Warning,
    purpose: "An event does not say what happened, or a command what to do.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};
