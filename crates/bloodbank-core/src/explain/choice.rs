//! Which branch of an `anyOf` or `oneOf` was meant, by what each of them finds wrong.

use std::collections::HashSet;

use crate::Violation;

/// One alternative and why it does not fit.
pub(crate) struct Branch {
    /// It fails on a discriminator or on the type of the whole: another alternative was meant.
    pub(crate) is_foreign: bool,
    pub(crate) violations: Vec<Violation>,
    /// Violations that are not listed.
    pub(crate) more: u64,
}

/// The violations of a union none of whose branches fits, and how many are not listed.
///
/// Those of the branch that was meant: the one that does not fail on its discriminator or type, and
/// else fails on the least. Where that does not single one out, what is wrong by all of them, else one
/// line for the whole union.
pub(crate) fn choose(
    at: &str,
    summary: Violation,
    mut branches: Vec<Branch>,
) -> (Vec<Violation>, u64) {
    branches.retain(|branch| !branch.violations.is_empty());
    if branches.iter().any(|branch| !branch.is_foreign) {
        branches.retain(|branch| !branch.is_foreign);
    }
    branches.sort_by_cached_key(|branch| branch.rank(at));
    let is_single = match &branches[..] {
        [] => return (vec![summary], 0),
        [_] => true,
        [best, next, ..] => !best.is_foreign && best.rank(at) < next.rank(at),
    };
    if is_single {
        let best = branches.swap_remove(0);
        return (best.violations, best.more);
    }
    let common = common(&branches);
    if common.is_empty() { (vec![joined(summary, &branches)], 0) } else { (common, 0) }
}

impl Branch {
    /// Faults in the shape of the union's value itself, then all faults. Faults further down say
    /// that the shape was right.
    fn rank(&self, at: &str) -> (usize, u64) {
        let shape = |v: &&Violation| {
            let depth = v.pointer.strip_prefix(at).map_or(0, |rest| rest.matches('/').count());
            let missing_or_unexpected = matches!(
                v.rule.as_str(),
                "required" | "additionalProperties" | "unevaluatedProperties" | "false"
            );
            depth == 0 || (depth == 1 && missing_or_unexpected)
        };
        let all = self.violations.len() as u64 + self.more;
        (self.violations.iter().filter(shape).count(), all)
    }
}

/// What every branch finds wrong.
fn common(branches: &[Branch]) -> Vec<Violation> {
    let Some((best, rest)) = branches.split_first() else { return Vec::new() };
    let mut common: Vec<&Violation> = best.violations.iter().collect();
    for branch in rest {
        if common.is_empty() {
            break;
        }
        let told: HashSet<_> = branch.violations.iter().map(Violation::words).collect();
        common.retain(|violation| told.contains(&violation.words()));
    }
    common.into_iter().cloned().collect()
}

/// `a string or null`: for alternatives with one fault each; else their number must do.
fn joined(summary: Violation, branches: &[Branch]) -> Violation {
    let mut expected: Vec<&str> = Vec::new();
    for branch in branches {
        match &branch.violations[..] {
            [only] if expected.contains(&only.expected.as_str()) => {}
            [only] if expected.len() < 4 => expected.push(&only.expected),
            _ => return summary,
        }
    }
    Violation { expected: expected.join(" or "), ..summary }
}
