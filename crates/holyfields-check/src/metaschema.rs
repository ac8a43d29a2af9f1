//! HF044: every schema file against the metaschema of its draft.

use bloodbank_core::{Violation, schema};
use holyfields::bundle::REPLY;
use holyfields::file::SchemaFile;
use holyfields::finding::{Finding, Place};
use holyfields::{pointer, rules, suggest};
use serde_json::Value;

/// The values of `type`.
const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];

/// Draft-07's metaschema checks patterns too; HF042 says more about them.
const OF_PATTERNS: [&str; 2] =
    ["/properties/pattern/format", "/properties/patternProperties/propertyNames/format"];

pub(crate) fn check(files: &[SchemaFile], findings: &mut Vec<Finding>) {
    for file in files {
        find(file, "", &file.schema, findings);
        // To a metaschema it is a word of nobody's.
        if let Some(reply) = file.schema.get(REPLY) {
            find(file, &pointer::join("", REPLY), reply, findings);
        }
    }
}

/// Checks the schema that lies at a place of a file.
fn find(file: &SchemaFile, at: &str, schema: &Value, findings: &mut Vec<Finding>) {
    for mut fault in schema::faults(schema, file.draft) {
        if !OF_PATTERNS.contains(&fault.schema.as_str()) {
            fault.pointer.insert_str(0, at);
            findings.push(finding(file, &fault));
        }
    }
}

fn finding(file: &SchemaFile, fault: &Violation) -> Finding {
    let Violation { pointer: at, found, .. } = fault;
    // A metaschema says "boolean or object" where it means a schema.
    let expected = match fault.schema.as_str() {
        "/type" => "a schema (an object, `true` or `false`)",
        _ => &fault.expected,
    };
    let message = format!("{} is not valid: expected {expected}, found {found}", subject(at));
    let finding = Finding::new(rules::INVALID_SCHEMA, message, Place::value(&file.path, at));
    match file.schema.pointer(at).and_then(|value| similar_type(at, value)) {
        Some(name) => finding.help(format!("did you mean `{name}`?")),
        None => finding,
    }
}

/// The keyword that a pointer leads to; with its index where it is an item of a list.
fn subject(at: &str) -> String {
    let is_index = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    let Some((before, last)) = at.rsplit_once('/') else {
        return "the schema".to_owned();
    };
    match before.rsplit('/').next() {
        Some(list) if is_index(last) => format!("`{list}/{last}`"),
        _ => format!("`{}`", holyfields::pointer::unescape(last)),
    }
}

fn similar_type(at: &str, value: &Value) -> Option<&'static str> {
    let word = value.as_str().filter(|_| at.ends_with("/type") || at.contains("/type/"))?;
    suggest::nearest(word, TYPES).first().copied()
}
