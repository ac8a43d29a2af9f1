//! One schema of the suite, compiled as a contract is, and asked.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bloodbank_core::schema::Validator;
use holyfields::finding::Finding;
use holyfields::rules::Level;
use holyfields_codegen::Options;
use serde_json::{Value, json};

use super::cases::{Case, Test};

/// Where in a payload the schema stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seat {
    /// It describes the payload; asked with those instances that are objects.
    Root,
    /// It describes the payload's one property.
    Property,
}

/// What came of a trial.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Compiled; these tests got another verdict than the suite's.
    Compiled { false_accepts: Vec<String>, false_rejects: Vec<String> },
    /// Refused by these rules: id, pointer, message.
    Refused(Vec<(&'static str, String, String)>),
    /// A panic, with its text.
    Panicked(String),
}

/// The verdicts on a case: one for each seat that it fits.
pub(super) fn of(case: &Case) -> Vec<(Seat, Verdict)> {
    let tried = [Seat::Root, Seat::Property].into_iter().filter_map(|seat| {
        let files = files(case, seat)?;
        let verdict = catch_unwind(AssertUnwindSafe(|| verdict(&files, case, seat)));
        Some((seat, verdict.unwrap_or_else(|panic| Verdict::Panicked(text(&*panic)))))
    });
    tried.collect()
}

/// The schema files of a trial; none where the schema cannot stand at this seat.
fn files(case: &Case, seat: Seat) -> Option<Vec<(String, Value)>> {
    let metaschema = case.edition.metaschema();
    match seat {
        Seat::Property => {
            let payload = json!({
                "$schema": metaschema,
                "type": "object",
                "properties": { "value": { "$ref": "schema.json" } },
            });
            let schema = with(&case.schema, "$schema", metaschema);
            Some(vec![(PAYLOAD.to_owned(), payload), (SCHEMA.to_owned(), schema)])
        }
        Seat::Root => {
            let takes_objects = case.tests.iter().any(|test| test.valid && test.data.is_object());
            if !takes_objects {
                return None;
            }
            let schema = with(&case.schema, "$schema", metaschema);
            if case.schema.get("type").is_some_and(|kind| kind == "object") {
                return Some(vec![(PAYLOAD.to_owned(), schema)]);
            }
            // A payload has to say that it is an object, and the schema must stay as it is.
            let payload = json!({
                "$schema": metaschema,
                "type": "object",
                "allOf": [{ "$ref": "schema.json" }],
            });
            Some(vec![(PAYLOAD.to_owned(), payload), (SCHEMA.to_owned(), schema)])
        }
    }
}

/// The contract of a trial.
const PAYLOAD: &str = "suite/case.tried.v1.json";

/// The schema of the suite, beside it.
const SCHEMA: &str = "suite/schema.json";

/// The schema with a keyword, if it can have it and has not.
fn with(schema: &Value, keyword: &str, value: &str) -> Value {
    let mut schema = schema.clone();
    if let Some(object) = schema.as_object_mut() {
        object.entry(keyword).or_insert_with(|| value.into());
    }
    schema
}

fn verdict(files: &[(String, Value)], case: &Case, seat: Seat) -> Verdict {
    let files = files.iter().chain(&case.remotes);
    let texts: Vec<_> = files.map(|(path, schema)| (path.as_str(), schema.to_string())).collect();
    let texts = texts.iter().map(|(path, text)| (*path, text.as_str()));
    let (catalog, mut findings) = holyfields::read_texts(texts);
    findings.extend(holyfields_check::check(&catalog, &findings));
    let errors: Vec<_> =
        findings.iter().filter(|finding| finding.level == Level::Error).map(reason).collect();
    if !errors.is_empty() {
        return Verdict::Refused(errors);
    }
    if let Err(error) = holyfields_codegen::generate(&catalog, &Options::default()) {
        return Verdict::Panicked(error.to_string());
    }
    let bundle = catalog.bundle();
    let validator = match Validator::new(&bundle.document(&bundle.contracts[0])) {
        Ok(validator) => validator,
        Err(error) => return Verdict::Panicked(error.to_string()),
    };
    let (mut false_accepts, mut false_rejects) = (Vec::new(), Vec::new());
    for test in &case.tests {
        match (payload(test, seat).map(|payload| validator.is_valid(&payload)), test.valid) {
            (Some(true), false) => false_accepts.push(test.description.clone()),
            (Some(false), true) => false_rejects.push(test.description.clone()),
            _ => {}
        }
    }
    Verdict::Compiled { false_accepts, false_rejects }
}

fn payload(test: &Test, seat: Seat) -> Option<Value> {
    match seat {
        Seat::Root => test.data.is_object().then(|| test.data.clone()),
        Seat::Property => Some(json!({ "value": test.data })),
    }
}

fn reason(finding: &Finding) -> (&'static str, String, String) {
    (finding.rule.id, finding.places[0].pointer.clone(), finding.message.clone())
}

fn text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text").to_owned()
}
