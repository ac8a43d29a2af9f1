//! What `unevaluatedProperties` and `unevaluatedItems` are about: what nothing else has looked at.

use std::collections::HashSet;

use serde_json::Value;

use crate::explain::found::{Found, Place};
use crate::explain::plan::{Id, Node, Parts};
use crate::explain::walk::Walk;

/// The members of one value that some subschema has looked at.
#[derive(Default)]
struct Evaluated<'v> {
    all: bool,
    names: HashSet<&'v str>,
    /// So many items from the first one.
    first: usize,
    items: HashSet<usize>,
}

impl Walk<'_> {
    /// Finds the members of a value that nothing beside these two keywords has looked at.
    pub(crate) fn unevaluated(
        &mut self,
        id: Id,
        node: &Node,
        parts: &Parts,
        value: &Value,
        place: &Place<'_>,
        found: &mut Found,
    ) {
        let schema = match value {
            Value::Object(_) => parts.unevaluated_properties,
            Value::Array(_) => parts.unevaluated_items,
            _ => None,
        };
        let Some(schema) = schema.filter(|&schema| !self.is_open(schema)) else { return };
        let mut evaluated = Evaluated::default();
        self.evaluate(id, value, true, &mut evaluated);
        if evaluated.all || self.is_exhausted() {
            return;
        }
        if let Value::Object(object) = value {
            for (name, member) in object {
                if found.is_settled() || !self.spend(2) {
                    return;
                }
                if !evaluated.names.contains(name.as_str()) && !self.holds(schema, member) {
                    self.unexpected(found, node, "unevaluatedProperties", value, name, place);
                }
            }
        } else if let Value::Array(items) = value {
            let rest = items.iter().enumerate().skip(evaluated.first);
            let refused = rest
                .filter(|(index, _)| !evaluated.items.contains(index))
                .any(|(_, item)| !self.holds(schema, item));
            if refused {
                let at = format!("{}/unevaluatedItems", node.at);
                let expected = || "no further items".to_owned();
                self.plain(found, place, value, "unevaluatedItems", &at, expected);
            }
        }
    }

    /// Notes what a subschema looks at. A branch that does not hold looks at nothing; where no branch
    /// of a union holds, that is another violation, and what any of them looks at counts here.
    fn evaluate<'v>(
        &mut self,
        id: Id,
        value: &'v Value,
        is_asking: bool,
        evaluated: &mut Evaluated<'v>,
    ) {
        let key = (id, std::ptr::from_ref(value).addr());
        if !self.spend(1) || evaluated.all || self.marking.contains(&key) {
            return;
        }
        let plan = self.plan;
        let Some(parts) = &plan.nodes[id].parts else { return };
        self.marking.push(key);
        match value {
            Value::Object(_) => self.evaluate_names(parts, value, is_asking, evaluated),
            Value::Array(items) => self.evaluate_items(parts, items, is_asking, evaluated),
            _ => {}
        }
        for &part in parts.all_of.iter().chain(&parts.reference) {
            self.evaluate(part, value, false, evaluated);
        }
        for union in [&parts.any_of, &parts.one_of] {
            let holding: Vec<Id> =
                union.iter().copied().filter(|&branch| self.branch_holds(branch, value)).collect();
            let counting = if holding.is_empty() { union } else { &holding };
            for &branch in counting {
                self.evaluate(branch, value, false, evaluated);
            }
        }
        if let Some((question, then, other)) = parts.condition {
            let holds = self.holds(question, value);
            let question = Some(question).filter(|_| holds);
            for part in question.into_iter().chain(if holds { then } else { other }) {
                self.evaluate(part, value, false, evaluated);
            }
        }
        self.marking.pop();
    }

    fn evaluate_names<'v>(
        &mut self,
        parts: &Parts,
        value: &'v Value,
        is_asking: bool,
        evaluated: &mut Evaluated<'v>,
    ) {
        let Value::Object(object) = value else { return };
        let asks_for_rest = !is_asking && parts.unevaluated_properties.is_some();
        evaluated.all |= parts.additional.is_some() || asks_for_rest;
        if evaluated.all {
            return;
        }
        if !parts.properties.is_empty() || !parts.patterns.is_empty() {
            for name in object.keys() {
                if !self.spend(2) {
                    return;
                }
                let mut is_named = parts.by_name.contains_key(name);
                if !is_named && !parts.patterns.is_empty() {
                    let text = Value::String(name.clone());
                    is_named = parts.patterns.iter().any(|(own, _)| self.matches(own, &text));
                }
                if is_named {
                    evaluated.names.insert(name);
                }
            }
        }
        for (name, part) in &parts.dependent {
            if object.contains_key(name) {
                self.evaluate(*part, value, false, evaluated);
            }
        }
    }

    fn evaluate_items(
        &mut self,
        parts: &Parts,
        items: &[Value],
        is_asking: bool,
        evaluated: &mut Evaluated<'_>,
    ) {
        let asks_for_rest = !is_asking && parts.unevaluated_items.is_some();
        evaluated.all |= parts.items.is_some() || asks_for_rest;
        evaluated.first = evaluated.first.max(parts.prefix.len());
        if let Some(contains) = parts.contains.as_ref().filter(|_| !evaluated.all) {
            for (index, item) in items.iter().enumerate() {
                if self.is_exhausted() {
                    return;
                }
                if self.holds(contains.schema, item) {
                    evaluated.items.insert(index);
                }
            }
        }
    }
}
