//! HF073: required properties that nothing declares.

use std::collections::BTreeSet;

use serde_json::Value;

use super::View;
use crate::finding::{Finding, Place};
use crate::resolve::Target;
use crate::{pointer, rules, suggest, walk};

/// Keywords whose subschemas describe the same value.
const IN_PLACE: [&str; 9] =
    ["allOf", "anyOf", "dependentSchemas", "dependencies", "else", "if", "not", "oneOf", "then"];

pub(super) fn check(view: &View<'_>, findings: &mut Vec<Finding>) {
    for (file, _) in view.files() {
        let root = Target { file, pointer: String::new() };
        visit(view, &root, &BTreeSet::new(), findings);
    }
}

/// `around` holds the names that the schemas around this one declare for the same value.
fn visit<'a>(
    view: &View<'a>,
    at: &Target,
    around: &BTreeSet<&'a str>,
    findings: &mut Vec<Finding>,
) {
    let file = &view.catalog.files[at.file];
    let Some(schema) = file.schema.pointer(&at.pointer).filter(|schema| schema.is_object()) else {
        return;
    };
    let mut declared = around.clone();
    let is_open = collect(view, at, &mut declared, &mut BTreeSet::new());
    // A schema without any property of its own is made to be mixed in.
    if !is_open && !declared.is_empty() {
        findings.extend(undeclared(view, at, schema, &declared));
    }
    let mut below = Vec::new();
    walk::children(schema, &at.pointer, file.draft, &mut |pointer, _| below.push(pointer));
    for pointer in below {
        let keyword = pointer[at.pointer.len() + 1..].split('/').next().unwrap_or_default();
        let here = Target { file: at.file, pointer: pointer.clone() };
        // `not: { required }` forbids a property, which nobody need declare.
        if keyword == "not" {
            continue;
        }
        match IN_PLACE.contains(&keyword) {
            true => visit(view, &here, &declared, findings),
            false => visit(view, &here, &BTreeSet::new(), findings),
        }
    }
}

/// Adds the names that a schema declares, here, in what it refers to and in its conditions. Tells
/// whether it declares more than names can say.
fn collect<'a>(
    view: &View<'a>,
    at: &Target,
    names: &mut BTreeSet<&'a str>,
    seen: &mut BTreeSet<Target>,
) -> bool {
    if !seen.insert(at.clone()) {
        return false;
    }
    let file = &view.catalog.files[at.file];
    let Some(object) = file.schema.pointer(&at.pointer).and_then(Value::as_object) else {
        return false;
    };
    let properties = object.get("properties").and_then(Value::as_object);
    names.extend(properties.into_iter().flat_map(|members| members.keys()).map(String::as_str));
    let is_map = object.get("additionalProperties").is_some_and(Value::is_object);
    let mut is_open = is_map || object.contains_key("patternProperties");
    if let Some(target) = view.catalog.references.target(at) {
        is_open |= collect(view, target, names, seen);
    }
    let mut below = Vec::new();
    let schema = file.schema.pointer(&at.pointer).unwrap_or(&Value::Null);
    walk::children(schema, &at.pointer, file.draft, &mut |pointer, _| below.push(pointer));
    for pointer in below {
        let keyword = pointer[at.pointer.len() + 1..].split('/').next().unwrap_or_default();
        if IN_PLACE.contains(&keyword) {
            is_open |= collect(view, &Target { file: at.file, pointer }, names, seen);
        }
    }
    is_open
}

fn undeclared(
    view: &View<'_>,
    at: &Target,
    schema: &Value,
    declared: &BTreeSet<&str>,
) -> Vec<Finding> {
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    let missing = required.enumerate().filter_map(|(index, name)| {
        let name = name.as_str().filter(|name| !declared.contains(name))?;
        let message = format!("`{name}` is required, and no `properties` declares it");
        let below = format!("{}/{index}", pointer::join(&at.pointer, "required"));
        let help = match suggest::nearest(name, declared.iter().copied()).first() {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("declare `{name}`, or do not require it"),
        };
        let place = Place::value(view.path(at), below);
        Some(Finding::new(rules::UNDECLARED_REQUIRED, message, place).help(help))
    });
    missing.collect()
}
