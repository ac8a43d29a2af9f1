//! HF050 to HF052: the examples of a contract are tests of it.

use std::collections::HashSet;

use bloodbank_core::Violation;
use bloodbank_core::schema::Validator;
use holyfields::file::SchemaFile;
use holyfields::finding::{Finding, Place};
use holyfields::rules;
use serde_json::Value;

use crate::contracts::Spot;
use crate::origin::{self, Origin, Origins};

/// The payloads that must be refused; each is `{"why": "…", "data": payload}`.
const COUNTEREXAMPLES: &str = "x-bloodbank-counterexamples";

/// The examples and counter-examples of one contract.
pub(crate) struct Examples<'a> {
    pub(crate) file: &'a SchemaFile,
    pub(crate) key: &'a str,
    pub(crate) origins: &'a Origins<'a>,
    /// Where closed inheritance was found; it also refuses good examples.
    pub(crate) closed: &'a HashSet<Spot<'a>>,
}

impl Examples<'_> {
    /// Whether counter-examples are written as they should be.
    pub(crate) fn check_shape(&self, findings: &mut Vec<Finding>) {
        let Some(value) = self.file.schema.get(COUNTEREXAMPLES) else {
            return;
        };
        let at = format!("/{COUNTEREXAMPLES}");
        let mut report = |message, at: String| {
            let place = Place::value(&self.file.path, at);
            findings.push(
                Finding::new(rules::MISSHAPEN_COUNTEREXAMPLE, message, place)
                    .help("write `{ \"why\": \"what is wrong with it\", \"data\": { … } }`"),
            );
        };
        let Some(entries) = value.as_array() else {
            return report(format!("`{COUNTEREXAMPLES}` is not an array"), at);
        };
        for (index, entry) in entries.iter().enumerate() {
            let has_why =
                entry.get("why").and_then(Value::as_str).is_some_and(|why| !why.is_empty());
            let missing = match (has_why, entry.get("data").is_some()) {
                (true, true) => continue,
                (true, false) => "`data`",
                (false, true) => "text `why`",
                (false, false) => "text `why` and no `data`",
            };
            report(format!("{} has no {missing}", counterexample(index)), format!("{at}/{index}"));
        }
    }

    /// Whether some example is accepted.
    pub(crate) fn any_valid(&self, validator: &Validator) -> bool {
        self.list("examples").iter().any(|example| validator.is_valid(example))
    }

    /// Whether examples are accepted and counter-examples refused.
    pub(crate) fn check(&self, validator: &Validator, findings: &mut Vec<Finding>) {
        for (index, example) in self.list("examples").iter().enumerate() {
            let violations = validator.check(example).err().unwrap_or_default().list;
            findings.extend(violations.iter().filter_map(|v| self.refused(index, example, v)));
        }
        for (index, entry) in self.list(COUNTEREXAMPLES).iter().enumerate() {
            if !entry.get("data").is_some_and(|data| validator.is_valid(data)) {
                continue;
            }
            let why = entry.get("why").and_then(Value::as_str).unwrap_or_default();
            let name = counterexample(index);
            let message =
                format!("{name} of `{}` is accepted, but should be refused: {why}", self.key);
            let at = format!("/{COUNTEREXAMPLES}/{index}/data");
            findings.push(
                Finding::new(
                    rules::ACCEPTED_COUNTEREXAMPLE,
                    message,
                    Place::value(&self.file.path, at),
                )
                .help("let the schema say so, or remove the counter-example"),
            );
        }
    }

    fn list(&self, keyword: &str) -> &[Value] {
        self.file.schema.get(keyword).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// None where the fault lies with closed inheritance.
    fn refused(&self, index: usize, example: &Value, violation: &Violation) -> Option<Finding> {
        let schema = self.origins.find(&violation.schema);
        let is_closed = |origin: &Origin<'_>| {
            self.closed.contains(&(origin.file.path.as_str(), origin.pointer.as_str()))
        };
        if schema.as_ref().is_some_and(is_closed) {
            return None;
        }
        let Violation { expected, found, .. } = violation;
        let at = match violation.pointer.as_str() {
            "" => String::new(),
            _ => format!(" at `{}`", violation.place()),
        };
        let message = format!(
            "example {} of `{}` is refused{at}: expected {expected}, found {found}",
            index + 1,
            self.key,
        );
        // What is missing has no place of its own.
        let present = origin::present(example, &violation.pointer).unwrap_or_default();
        let at = format!("/examples/{index}{present}");
        let place = match violation.rule.as_str() {
            "additionalProperties" | "unevaluatedProperties" | "propertyNames" => {
                Place::key(&self.file.path, at)
            }
            _ => Place::value(&self.file.path, at),
        };
        let mut finding = Finding::new(rules::INVALID_EXAMPLE, message, place);
        if let Some(Origin { file, pointer }) = schema {
            let place = Place::key(&file.path, pointer);
            finding = finding.also(place.labelled("the schema asks for it here"));
        }
        Some(finding.help(match &violation.similar {
            Some(name) => format!("write `{name}`, or correct the schema"),
            None => "correct the example, or the schema".to_owned(),
        }))
    }
}

/// Counted as people count, from 1.
fn counterexample(index: usize) -> String {
    format!("counter-example {}", index + 1)
}
