//! The validator's own errors in our words: for schema files against their metaschema, whose unions
//! hold few errors. A payload is explained by the walk.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Rule;
use serde_json::Value;

use crate::explain::choice::{self, Branch};
use crate::explain::{Facts, without_echoes, words};
use crate::refusal::MAX_VIOLATIONS;
use crate::{Violation, describe};

/// The violations that a list of errors amounts to, without echoes of the same fault.
pub(crate) fn explain(errors: &[ValidationError<'_>], facts: &Facts) -> Vec<Violation> {
    let mut violations: Vec<Violation> = Vec::new();
    for error in errors {
        let found = match error.kind() {
            Rule::AnyOf { context } | Rule::OneOfNotValid { context } => {
                union(error, context, facts)
            }
            _ => words::one(error, "", "", facts),
        };
        for violation in found {
            if violations.len() >= MAX_VIOLATIONS {
                break;
            }
            if !violations.iter().any(|other| violation.repeats(other)) {
                violations.push(violation);
            }
        }
    }
    without_echoes(violations, facts)
}

/// The violations of a union none of whose branches fits.
fn union(
    error: &ValidationError<'_>,
    branches: &[Vec<ValidationError<'static>>],
    facts: &Facts,
) -> Vec<Violation> {
    if let Some(violation) = unknown_discriminator(error, branches, facts) {
        return vec![violation];
    }
    let branches = branches.iter().map(|errors| Branch {
        is_foreign: errors.iter().any(|below| is_foreign(error, below)),
        violations: explain(errors, facts),
        more: 0,
    });
    let at = error.instance_path().as_str();
    choice::choose(at, words::plain(error, at, "", facts), branches.collect()).0
}

/// Whether an error says that the branch is about something else, as in the walk.
fn is_foreign(union: &ValidationError<'_>, error: &ValidationError<'_>) -> bool {
    let at = union.instance_path().as_str();
    let Some(rest) = error.instance_path().as_str().strip_prefix(at) else { return false };
    let keyword = error.kind().keyword();
    match (keyword, rest.matches('/').count()) {
        ("type" | "const" | "enum", 0) | ("const", 1) => true,
        ("enum", 1) => union.instance().is_object(),
        _ => false,
    }
}

/// Every branch asks for another constant at the same place: one line with all of them.
fn unknown_discriminator(
    union: &ValidationError<'_>,
    branches: &[Vec<ValidationError<'static>>],
    facts: &Facts,
) -> Option<Violation> {
    let mut options: Vec<&Value> = Vec::new();
    let mut first: Option<&ValidationError<'static>> = None;
    for errors in branches {
        let discriminates =
            |e: &&ValidationError<'_>| is_foreign(union, e) && words::options(e).is_some();
        let error = errors.iter().find(discriminates)?;
        let place = first.get_or_insert(error).instance_path();
        if error.instance_path() != place {
            return None;
        }
        for option in words::options(error)? {
            if !options.contains(&option) {
                options.push(option);
            }
        }
    }
    let first = first?;
    let plain = words::plain(first, first.instance_path().as_str(), "", facts);
    Some(Violation { expected: describe::choices(&options), ..plain })
}
