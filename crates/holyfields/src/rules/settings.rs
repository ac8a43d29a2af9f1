//! bloodbank.toml: levels and allowances.

use super::{Level, Rule};

/// The family, by id.
pub(super) const ALL: &[&Rule] = &[SETTINGS, UNUSED_ALLOWANCE];

/// The settings cannot be read, or ask for what cannot be.
pub const SETTINGS: &Rule = &Rule {
    id: "HF090",
    level: Level::Error,
    purpose: "The settings cannot be read, or ask for what cannot be.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};

/// An allowance that matches no finding.
pub const UNUSED_ALLOWANCE: &Rule = &Rule {
    id: "HF091",
    level: Level::Warning,
    purpose: "An allowance that matches no finding.",
    why: "",
    fix: "",
    failing: &[],
    passing: &[],
};
