//! Which branch of an `anyOf` or `oneOf` was meant.

use jsonschema::ValidationError;
use serde_json::Value;

use crate::facts::Facts;
use crate::{Violation, describe, explain};

/// The violations of a union none of whose branches fits.
///
/// Those of the branch that was meant: the one that does not fail on its discriminator or type, and
/// else fails on the least. Where that does not single one out, what is wrong by all of them, else one
/// line for the whole union.
pub(crate) fn explain(
    error: &ValidationError<'_>,
    branches: &[Vec<ValidationError<'static>>],
    facts: &Facts,
) -> Vec<Violation> {
    let at = error.instance_path().as_str();
    if let Some(violation) = unknown_discriminator(error, branches, facts) {
        return vec![violation];
    }
    let mut candidates: Vec<Branch> = branches
        .iter()
        .map(|errors| Branch {
            foreign: errors.iter().any(|below| is_foreign(error, below)),
            violations: explain::explain(errors, facts),
        })
        .collect();
    if candidates.iter().any(|branch| !branch.foreign) {
        candidates.retain(|branch| !branch.foreign);
    }
    candidates.sort_by_key(|branch| branch.rank(at));
    let summary = explain::plain(error, facts);
    match &candidates[..] {
        [] => vec![summary],
        [only] => only.violations.clone(),
        [best, next, ..] if !best.foreign && best.rank(at) < next.rank(at) => {
            best.violations.clone()
        }
        [best, rest @ ..] => {
            let everywhere = |v: &&Violation| rest.iter().all(|b| b.tells(v));
            let common: Vec<_> = best.violations.iter().filter(everywhere).cloned().collect();
            if common.is_empty() { vec![joined(summary, &candidates)] } else { common }
        }
    }
}

/// One alternative and why it does not fit.
struct Branch {
    /// It fails on a discriminator or on the type of the whole: another alternative was meant.
    foreign: bool,
    violations: Vec<Violation>,
}

impl Branch {
    fn tells(&self, violation: &Violation) -> bool {
        self.violations.iter().any(|other| violation.repeats(other))
    }

    /// Faults in the shape of the union's value itself, then all faults. Faults further down say
    /// that the shape was right.
    fn rank(&self, at: &str) -> (usize, usize) {
        let shape = |v: &&Violation| {
            let depth = v.pointer.strip_prefix(at).map_or(0, |rest| rest.matches('/').count());
            let missing_or_unexpected = matches!(
                v.rule.as_str(),
                "required" | "additionalProperties" | "unevaluatedProperties" | "false"
            );
            depth == 0 || (depth == 1 && missing_or_unexpected)
        };
        (self.violations.iter().filter(shape).count(), self.violations.len())
    }
}

/// Whether an error says that the branch is about something else: the type of the value, or a
/// `const` or `enum` of it or of a property right below. An item tells branches apart only by a
/// `const`, as in `["disk", "/tmp"]`; by an `enum` it is one of a list.
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
    let discriminator = |errors: &'_ [ValidationError<'static>]| {
        errors
            .iter()
            .position(|error| is_foreign(union, error) && explain::options(error).is_some())
    };
    let mut options: Vec<Value> = Vec::new();
    let mut first: Option<&ValidationError<'static>> = None;
    for errors in branches {
        let error = &errors[discriminator(errors)?];
        let place = first.get_or_insert(error).instance_path();
        if error.instance_path() != place {
            return None;
        }
        for option in explain::options(error)? {
            if !options.contains(&option) {
                options.push(option);
            }
        }
    }
    Some(Violation { expected: describe::choices(&options), ..explain::plain(first?, facts) })
}

/// `a string or null`: for alternatives with one fault each; else their number must do.
fn joined(summary: Violation, branches: &[Branch]) -> Violation {
    let mut expected: Vec<&str> = Vec::new();
    for branch in branches {
        match &branch.violations[..] {
            [only] if !expected.contains(&only.expected.as_str()) => expected.push(&only.expected),
            [_] => {}
            _ => return summary,
        }
    }
    if expected.len() > 4 {
        return summary;
    }
    Violation { expected: expected.join(" or "), ..summary }
}
