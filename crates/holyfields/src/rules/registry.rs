//! registry.yaml: who publishes and consumes what.

use super::{Level, Rule};

/// The family, by id.
pub(super) const ALL: &[&Rule] = &[
    REGISTRY,
    REGISTRY_KEY,
    REGISTRY_KIND,
    REGISTRY_FIELD,
    UNMATCHED_PATTERN,
    FIRST_VERSION_ONLY,
    MISTAKEN_WILDCARD,
];

/// The service registry cannot be read.
pub const REGISTRY: &Rule = &Rule {
    id: "HF060",
    level: Level::Error,
    purpose: "The service registry cannot be read.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// The registry names a key that no contract has.
pub const REGISTRY_KEY: &Rule = &Rule {
    id: "HF061",
    level: Level::Warning,
    purpose: "The registry names a key that no contract has.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// The registry lists a command as an event, or an event as a command.
pub const REGISTRY_KIND: &Rule = &Rule {
    id: "HF062",
    level: Level::Error,
    purpose: "The registry lists a command as an event, or an event as a command.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// The registry has a field that nothing reads.
pub const REGISTRY_FIELD: &Rule = &Rule {
    id: "HF063",
    level: Level::Warning,
    purpose: "The registry has a field that nothing reads.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// A pattern of the registry matches no contract.
pub const UNMATCHED_PATTERN: &Rule = &Rule {
    id: "HF064",
    level: Level::Warning,
    purpose: "A pattern of the registry matches no contract.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// A pattern of the registry matches a key but not its later versions.
pub const FIRST_VERSION_ONLY: &Rule = &Rule {
    id: "HF065",
    level: Level::Note,
    purpose: "A pattern of the registry matches a key but not its later versions.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// A pattern uses `*` or `#` for what it does not mean.
pub const MISTAKEN_WILDCARD: &Rule = &Rule {
    id: "HF066",
    level: Level::Error,
    purpose: "A pattern uses `*` or `#` for what it does not mean.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};
