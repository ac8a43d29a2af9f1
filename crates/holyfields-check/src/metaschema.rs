//! HF044: every schema file against the metaschema of its draft.

use holyfields::file::{Draft, SchemaFile};
use holyfields::finding::{Finding, Place};
use holyfields::{rules, suggest};
use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Rule;
use serde_json::Value;

use crate::words;

/// The values of `type`.
const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];

pub(crate) fn check(files: &[SchemaFile], findings: &mut Vec<Finding>) {
    for file in files {
        let metaschema = match file.draft {
            Draft::V2020 => jsonschema::draft202012::meta::validator(),
            Draft::V7 => jsonschema::draft7::meta::validator(),
        };
        if !metaschema.is_valid(&file.schema) {
            for error in metaschema.iter_errors(&file.schema) {
                report(file, &error, findings);
            }
        }
    }
}

fn report(file: &SchemaFile, error: &ValidationError<'_>, findings: &mut Vec<Finding>) {
    match words::meant_branch(error) {
        Some(branch) => branch.iter().for_each(|below| report(file, below, findings)),
        None if is_of_pattern(error) => {}
        None => findings.push(finding(file, error)),
    }
}

/// Draft-07's metaschema checks patterns too; HF042 says more about them.
fn is_of_pattern(error: &ValidationError<'_>) -> bool {
    match error.kind() {
        Rule::Format { format } => format == "regex",
        Rule::PropertyNames { error } => is_of_pattern(error),
        _ => false,
    }
}

fn finding(file: &SchemaFile, error: &ValidationError<'_>) -> Finding {
    let at = error.instance_path().as_str();
    let found = words::found(error.instance());
    // A metaschema says "boolean or object" where it means a schema.
    let expected = match error.schema_path().as_str() {
        "/type" => "a schema: an object, `true` or `false`".to_owned(),
        _ => words::expected(error),
    };
    let message = format!("{} is {found}; it should be {expected}", subject(at));
    let finding = Finding::new(rules::INVALID_SCHEMA, message, Place::value(&file.path, at));
    match similar_type(at, error.instance()) {
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
