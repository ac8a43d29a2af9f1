//! Why a payload is refused, in our words: a bounded number of them, found with bounded work.
//!
//! The validator says whether a payload is valid, and what a keyword that stands alone asks for. Which
//! keywords fail, and where, is found by a walk of our own: the validator's list of errors holds those
//! of every branch at every depth, so that a hundred bytes can take gigabytes.

mod choice;
mod errors;
mod evaluated;
mod facts;
mod found;
mod members;
mod own;
mod plan;
mod quick;
mod union;
mod walk;
mod words;

use holyfields::pointer;
use serde_json::Value;

pub(crate) use errors::explain as explain_errors;
pub(crate) use facts::Facts;
pub(crate) use plan::Plan;

use crate::refusal::MAX_VIOLATIONS;
use crate::violation::Violations;
use crate::{Violation, describe};
use found::{Found, Place};
use walk::Walk;

/// Steps for a payload of any size.
const LEAST_STEPS: u64 = 500_000;

/// Steps for each value of the payload, and for every eight bytes of its texts.
const STEPS_EACH: u64 = 32;

/// Steps for the largest payload. A step takes some 5 ns.
const MOST_STEPS: u64 = 16_000_000;

/// What is wrong with a payload that its schema refuses; at least one violation. Also how many steps
/// finding out has taken.
pub(crate) fn explain(plan: &Plan, facts: &Facts, payload: &Value) -> (Violations, u64) {
    let mut walk = Walk::new(plan, facts, steps(payload));
    let mut found = Found::up_to(MAX_VIOLATIONS);
    walk.walk(0, payload, &Place::ROOT, &mut found);
    let mut list = without_echoes(found.list, facts);
    let is_complete = walk.is_complete();
    if list.is_empty() {
        list.push(unexplained(facts, payload));
    }
    (Violations { list, more: found.more, is_complete }, walk.spent())
}

/// Says no more than that the payload is refused.
fn unexplained(facts: &Facts, payload: &Value) -> Violation {
    Violation {
        pointer: String::new(),
        rule: "false".to_owned(),
        expected: "what the contract asks for".to_owned(),
        found: if facts.hides("") { describe::HIDDEN.into() } else { describe::found(payload) },
        schema: String::new(),
        similar: None,
    }
}

/// How many steps explaining a payload may take: the more, the larger it is, within bounds.
fn steps(payload: &Value) -> u64 {
    let mut steps = LEAST_STEPS;
    let mut open = vec![payload];
    while let Some(value) = open.pop() {
        let size = match value {
            Value::String(text) => text.len() / 8,
            Value::Array(items) => items.len(),
            Value::Object(members) => members.keys().map(|name| 1 + name.len() / 8).sum(),
            _ => 0,
        };
        steps += STEPS_EACH * size as u64;
        if steps > MOST_STEPS {
            return MOST_STEPS;
        }
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(members) => open.extend(members.values()),
            _ => {}
        }
    }
    steps
}

/// Leaves out what is only the echo of another violation.
///
/// Where a value fails `enum` or `const`, that it also fails `type` adds nothing. And a property
/// whose schema fails is not "evaluated", so that `unevaluatedProperties` calls it unexpected,
/// together with its innocent neighbours: such a violation counts only if no property of the name is
/// declared anywhere, or if nothing else is wrong with the object.
fn without_echoes(violations: Vec<Violation>, facts: &Facts) -> Vec<Violation> {
    let is_echo = |violation: &Violation| match violation.rule.as_str() {
        "type" => violations
            .iter()
            .any(|v| v.pointer == violation.pointer && matches!(v.rule.as_str(), "enum" | "const")),
        "unevaluatedProperties" => {
            let (object, name) = violation.pointer.rsplit_once('/').unwrap_or_default();
            facts.declared.contains(pointer::unescape(name).as_ref())
                && violations.iter().any(|v| {
                    v.rule != violation.rule
                        && v.pointer.strip_prefix(object).is_some_and(|rest| rest.starts_with('/'))
                })
        }
        _ => false,
    };
    let echoes: Vec<bool> = violations.iter().map(is_echo).collect();
    violations.into_iter().zip(echoes).filter(|(_, echo)| !echo).map(|(v, _)| v).collect()
}
