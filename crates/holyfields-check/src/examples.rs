//! HF050 to HF052: the examples of a contract are tests of it.

use std::collections::HashSet;

use holyfields::file::SchemaFile;
use holyfields::finding::{Finding, Place};
use holyfields::rules;
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use crate::contracts::Spot;
use crate::fault::{Fault, Names};
use crate::origin::{Origin, Origins};
use crate::words;

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
            let found = words::found(value);
            return report(format!("`{COUNTEREXAMPLES}` is {found}; it should be an array"), at);
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
    ///
    /// `document` is the contract's schema with all it refers to, `validator` made of it.
    pub(crate) fn check(
        &self,
        document: &Value,
        validator: &Validator,
        findings: &mut Vec<Finding>,
    ) {
        for (index, example) in self.list("examples").iter().enumerate() {
            if !validator.is_valid(example) {
                let errors: Vec<_> = validator.iter_errors(example).collect();
                findings.extend(self.refused(index, &errors, document));
            }
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

    /// One finding for each fault of an example, without those that another finding explains.
    fn refused(
        &self,
        index: usize,
        errors: &[ValidationError<'_>],
        document: &Value,
    ) -> Vec<Finding> {
        let names = Names::of(document);
        let faults = errors.iter().flat_map(|error| Fault::all_of(error, errors, &names));
        faults.filter_map(|fault| self.finding(index, fault)).collect()
    }

    /// None where the fault lies with closed inheritance.
    fn finding(&self, index: usize, fault: Fault) -> Option<Finding> {
        let schema = self.origins.find(&fault.schema);
        let is_closed = |origin: &Origin<'_>| {
            self.closed.contains(&(origin.file.path.as_str(), origin.pointer.as_str()))
        };
        if schema.as_ref().is_some_and(is_closed) {
            return None;
        }
        let mut message =
            format!("example {} of `{}` is refused: {}", index + 1, self.key, fault.problem);
        if let Some(expected) = fault.expected {
            message = format!("{message}; expected {expected}");
        }
        let at = format!("/examples/{index}{}", fault.pointer);
        let place = match fault.is_name {
            true => Place::key(&self.file.path, at),
            false => Place::value(&self.file.path, at),
        };
        let mut finding = Finding::new(rules::INVALID_EXAMPLE, message, place);
        if let Some(Origin { file, pointer }) = schema {
            let place = Place::key(&file.path, pointer);
            finding = finding.also(place.labelled("the schema asks for it here"));
        }
        Some(finding.help(match fault.similar {
            Some(name) => format!("did you mean `{name}`?"),
            None => "correct the example, or the schema".to_owned(),
        }))
    }
}

/// Counted as people count, from 1.
fn counterexample(index: usize) -> String {
    format!("counter-example {}", index + 1)
}
