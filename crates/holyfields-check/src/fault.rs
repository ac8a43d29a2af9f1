//! One thing that is wrong with an example, in words.

use std::collections::BTreeSet;

use holyfields::{pointer, suggest};
use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Rule;
use serde_json::Value;

use crate::words;

/// One thing that is wrong with an example.
pub(crate) struct Fault {
    /// Into the example.
    pub(crate) pointer: String,
    /// Whether the name of the member is at fault, not its value.
    pub(crate) is_name: bool,
    /// What is wrong, as a clause.
    pub(crate) problem: String,
    /// What the schema asks for instead, unless the problem says it.
    pub(crate) expected: Option<String>,
    /// The keyword that refuses, in the document that the validator was made of.
    pub(crate) schema: String,
    /// A declared name that is much like one that is not declared.
    pub(crate) similar: Option<String>,
}

impl Fault {
    /// The faults that one of the validator's errors on an example amounts to.
    ///
    /// A property whose own schema fails is not "evaluated", so that `unevaluatedProperties` calls
    /// it unexpected, together with its innocent neighbours. Beside other errors that is news only
    /// for names that are declared nowhere.
    pub(crate) fn all_of(
        error: &ValidationError<'_>,
        errors: &[ValidationError<'_>],
        names: &Names<'_>,
    ) -> Vec<Fault> {
        match error.kind() {
            Rule::AdditionalProperties { unexpected } => {
                let unexpected = unexpected.iter();
                unexpected.map(|name| Fault::undeclared(error, name, names)).collect()
            }
            Rule::UnevaluatedProperties { unexpected } => {
                let is_alone = errors.iter().all(is_unevaluated);
                let unexpected =
                    unexpected.iter().filter(|name| is_alone || !names.0.contains(name.as_str()));
                unexpected.map(|name| Fault::undeclared(error, name, names)).collect()
            }
            Rule::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                let place = pointer::join(error.instance_path().as_str(), name);
                vec![Fault::of_value(error, format!("`{place}` is missing"), None)]
            }
            _ => match words::meant_branch(error) {
                Some(branch) => {
                    branch.iter().flat_map(|below| Fault::all_of(below, branch, names)).collect()
                }
                None => vec![Fault::of_value(error, problem(error), Some(words::expected(error)))],
            },
        }
    }

    fn of_value(error: &ValidationError<'_>, problem: String, expected: Option<String>) -> Fault {
        let pointer = error.instance_path().as_str().to_owned();
        let schema = error.schema_path().as_str().to_owned();
        Fault { pointer, is_name: false, problem, expected, schema, similar: None }
    }

    fn undeclared(error: &ValidationError<'_>, name: &str, names: &Names<'_>) -> Fault {
        let pointer = pointer::join(error.instance_path().as_str(), name);
        let others = names.0.iter().copied().filter(|other| *other != name);
        Fault {
            problem: format!("no property `{pointer}` is declared"),
            pointer,
            is_name: true,
            expected: None,
            schema: error.schema_path().as_str().to_owned(),
            similar: suggest::nearest(name, others).first().map(|&other| other.to_owned()),
        }
    }
}

fn problem(error: &ValidationError<'_>) -> String {
    let found = words::found(error.instance());
    match error.instance_path().as_str() {
        "" => format!("the payload is {found}"),
        at => format!("`{at}` is {found}"),
    }
}

fn is_unevaluated(error: &ValidationError<'_>) -> bool {
    matches!(error.kind(), Rule::UnevaluatedProperties { .. })
}

/// The names under any `properties` of a document.
pub(crate) struct Names<'a>(BTreeSet<&'a str>);

impl<'a> Names<'a> {
    pub(crate) fn of(document: &'a Value) -> Self {
        let mut names = BTreeSet::new();
        let mut open = vec![document];
        while let Some(value) = open.pop() {
            match value {
                Value::Object(members) => {
                    let declared = members.get("properties").and_then(Value::as_object);
                    names.extend(declared.into_iter().flat_map(|d| d.keys()).map(String::as_str));
                    open.extend(members.values());
                }
                Value::Array(items) => open.extend(items),
                _ => {}
            }
        }
        Names(names)
    }
}
