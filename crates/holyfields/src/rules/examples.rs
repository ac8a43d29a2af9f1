//! Examples, counter-examples and defaults, which are tests.

use super::{Level, Rule};

/// The family, by id.
pub(super) const ALL: &[&Rule] =
    &[INVALID_EXAMPLE, ACCEPTED_COUNTEREXAMPLE, MISSHAPEN_COUNTEREXAMPLE, INVALID_DEFAULT];

/// An example that its own schema refuses.
pub const INVALID_EXAMPLE: &Rule = &Rule {
    id: "HF050",
    level: Level::Error,
    purpose: "An example that its own schema refuses.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// A counter-example that its schema accepts.
pub const ACCEPTED_COUNTEREXAMPLE: &Rule = &Rule {
    id: "HF051",
    level: Level::Error,
    purpose: "A counter-example that its schema accepts.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// An entry of `x-bloodbank-counterexamples` without `why` and `data`.
pub const MISSHAPEN_COUNTEREXAMPLE: &Rule = &Rule {
    id: "HF052",
    level: Level::Error,
    purpose: "An entry of `x-bloodbank-counterexamples` without `why` and `data`.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// A default that its own schema refuses.
pub const INVALID_DEFAULT: &Rule = &Rule {
    id: "HF053",
    level: Level::Warning,
    purpose: "A default that its own schema refuses.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};
