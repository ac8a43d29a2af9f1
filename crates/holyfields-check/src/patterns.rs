//! HF042: every regular expression must be one to the engine that runs it.

use std::collections::HashMap;

use bloodbank_core::schema::Validator;
use fancy_regex::CompileError;
use holyfields::file::SchemaFile;
use holyfields::finding::{Finding, Place};
use holyfields::{pointer, rules, walk};
use serde_json::{Value, json};

pub(crate) fn check(files: &[SchemaFile], findings: &mut Vec<Finding>) {
    let mut verdicts: HashMap<&str, Option<String>> = HashMap::new();
    for file in files {
        walk::each(&file.schema, "", file.draft, &mut |at, schema| {
            let mut check = |pattern, place| {
                let verdict = verdicts.entry(pattern).or_insert_with(|| fault(pattern));
                findings.extend(verdict.as_ref().map(|why| finding(pattern, why, place)));
            };
            if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
                check(pattern, Place::value(&file.path, pointer::join(at, "pattern")));
            }
            let by_name = schema.get("patternProperties").and_then(Value::as_object);
            let below = pointer::join(at, "patternProperties");
            for pattern in by_name.into_iter().flat_map(|members| members.keys()) {
                check(pattern, Place::key(&file.path, pointer::join(&below, pattern)));
            }
        });
    }
}

fn finding(pattern: &str, why: &str, place: Place) -> Finding {
    let message = format!("the pattern `{pattern}` cannot be used: {why}");
    Finding::new(rules::INVALID_PATTERN, message, place)
        .help("write an ECMA-262 regular expression; in JSON, a backslash is written `\\\\`")
}

/// Why a pattern cannot be used, if so.
fn fault(pattern: &str) -> Option<String> {
    Validator::new(&json!({ "pattern": pattern })).err()?;
    // The validator keeps the reason to itself; its engine tells.
    let why = match fancy_regex::Regex::new(pattern) {
        Ok(_) => "the validator cannot translate it".to_owned(),
        Err(error) => reason(&error),
    };
    Some(why)
}

/// The engine's reason in one line; its drawing of the pattern is left out, as findings have one.
fn reason(error: &fancy_regex::Error) -> String {
    let report = match error {
        fancy_regex::Error::ParseError(_, error) => error.to_string(),
        fancy_regex::Error::CompileError(error) => match &**error {
            CompileError::InnerError(error) => match error.syntax_error() {
                Some(error) => error.to_string(),
                None => error.to_string(),
            },
            error => error.to_string(),
        },
        error => error.to_string(),
    };
    let last = report.lines().last().unwrap_or_default();
    let reason = last.trim_start_matches("error: ");
    let mut letters = reason.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => report,
    }
}
