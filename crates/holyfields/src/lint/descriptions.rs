//! HF080 and HF081: what readers of a contract miss.

use serde_json::Value;

use super::{View, list};
use crate::finding::{Finding, Place};
use crate::identity::KEY_PROPERTIES;
use crate::resolve::Target;
use crate::{pointer, rules};

pub(super) fn check(view: &View<'_>, findings: &mut Vec<Finding>) {
    for (contract, file) in view.contracts() {
        let key = &contract.identity.keys[0];
        let root = Target { file: contract.file, pointer: String::new() };
        if view.layers(&root).text("description").is_none() {
            let message = format!("`{key}` has no description");
            let place = Place::value(&file.path, "");
            findings.push(
                Finding::new(rules::MISSING_DESCRIPTION, message, place)
                    .help("say who emits it, when, and what a reader does with it"),
            );
        }
        let examples = file.schema.get("examples").and_then(Value::as_array);
        if examples.is_none_or(Vec::is_empty) {
            let message = format!("`{key}` has no example");
            let place = Place::value(&file.path, "");
            findings.push(
                Finding::new(rules::MISSING_EXAMPLE, message, place)
                    .help("write `\"examples\": [{ … }]`: they are tests, and the first is shown"),
            );
        }
    }
    properties(view, findings);
}

/// One finding for all properties of a file.
fn properties(view: &View<'_>, findings: &mut Vec<Finding>) {
    for (index, file) in view.files() {
        let mut bare = Vec::new();
        crate::walk::each(&file.schema, "", file.draft, &mut |at, schema| {
            let members = schema.get("properties").and_then(Value::as_object);
            for (name, member) in members.into_iter().flatten() {
                let below = pointer::join(&pointer::join(at, "properties"), name);
                let here = Target { file: index, pointer: below.clone() };
                let is_key = KEY_PROPERTIES.contains(&name.as_str()) || member.is_boolean();
                let is_fixed = member.get("const").is_some();
                if !is_key && !is_fixed && view.layers(&here).text("description").is_none() {
                    bare.push((name.as_str(), below));
                }
            }
        });
        let Some((_, first)) = bare.first() else { continue };
        let names: Vec<&str> = bare.iter().map(|(name, _)| *name).collect();
        let verb = if names.len() == 1 { "has" } else { "have" };
        let message = format!("{} {verb} no description", list(&names));
        findings.push(
            Finding::new(rules::MISSING_DESCRIPTION, message, Place::key(&file.path, first))
                .help("say in a line what each means, and its unit"),
        );
    }
}
