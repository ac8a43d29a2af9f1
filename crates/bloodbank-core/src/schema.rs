//! A schema as the validator reads it: the one place that says how.
//!
//! Linters ask here too, so that what they accept is what a publisher accepts.

use holyfields::file;
use jsonschema::canonical::{self, CanonicalizationError, Satisfiability};
use jsonschema::{Draft, FancyRegex, PatternOptions, ValidationError};
use serde_json::Value;

use crate::explain::{self, Facts, Plan};
use crate::violation::Violations;
use crate::{Code, Violation};

/// Steps a `pattern` may go back before it counts as failed: some milliseconds.
///
/// Look-ahead needs an engine that backtracks, and so a payload could keep one busy for ever.
const BACKTRACK_LIMIT: usize = 100_000;

/// The validator of one schema: JSON Schema 2020-12, formats asserted, nothing fetched.
#[derive(Debug)]
pub struct Validator {
    engine: jsonschema::Validator,
    plan: Plan,
    facts: Facts,
}

impl Validator {
    /// The validator of a document as [`Bundle::document`](crate::Bundle::document) makes it. Takes
    /// some 0.3 ms.
    ///
    /// # Errors
    /// If the schema is not valid itself, has a pattern or format that cannot be checked, or refers
    /// to something outside the document.
    pub fn new(document: &Value) -> Result<Self, SchemaError> {
        let engine = engine(document)?;
        Ok(Validator { engine, plan: Plan::of(document), facts: Facts::of(document) })
    }

    /// Whether the schema accepts a payload.
    pub fn is_valid(&self, payload: &Value) -> bool {
        self.engine.is_valid(payload)
    }

    /// Checks a payload.
    ///
    /// # Errors
    /// What is wrong with it, by the schema's rules. Finding out takes memory and time in proportion
    /// to the payload, whatever the schema.
    pub fn check(&self, payload: &Value) -> Result<(), Violations> {
        if self.is_valid(payload) { Ok(()) } else { Err(self.explain(payload).0) }
    }

    /// What is wrong with a payload that is refused, and the steps that finding out has taken.
    #[doc(hidden)]
    pub fn explain(&self, payload: &Value) -> (Violations, u64) {
        explain::explain(&self.plan, &self.facts, payload)
    }

    /// Puts `(hidden)` in place of what the schema marks as sensitive.
    pub(crate) fn hide(&self, payload: &mut Value) {
        self.facts.hide(payload);
    }

    /// Whether the value at this place of the payload must not be shown.
    pub(crate) fn hides(&self, pointer: &str) -> bool {
        self.facts.hides(pointer)
    }

    /// Whether the schema marks anything as sensitive.
    pub(crate) fn has_sensitive(&self) -> bool {
        self.facts.any_sensitive()
    }
}

/// A schema that nothing can be checked against.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
#[non_exhaustive]
pub struct SchemaError {
    /// What the schema compiler says.
    pub reason: String,
}

impl SchemaError {
    /// Its code, [`Code::SchemaUnusable`].
    pub fn code(&self) -> Code {
        Code::SchemaUnusable
    }
}

/// Whether it is proven that a document accepts no value. What cannot be decided is not proven.
///
/// # Panics
/// Maybe: the canonical form is young. A caller who must go on catches that.
pub fn accepts_nothing(document: &Value) -> bool {
    let satisfiability = || -> Result<Satisfiability, CanonicalizationError> {
        let options = canonical::options()
            .with_draft(Draft::Draft202012)
            .offline()
            .should_validate_formats(true)
            .with_pattern_options(patterns());
        Ok(options.canonicalize(document)?.satisfiability())
    };
    matches!(satisfiability(), Ok(Satisfiability::No))
}

/// What is wrong with a schema file by the metaschema of its draft: nothing if it is in order.
///
/// [`Violation::schema`] points into that metaschema, or the vocabulary of it that refuses.
pub fn faults(schema: &Value, draft: file::Draft) -> Vec<Violation> {
    let metaschema = match draft {
        file::Draft::V2020 => jsonschema::draft202012::meta::validator(),
        file::Draft::V7 => jsonschema::draft7::meta::validator(),
    };
    if metaschema.is_valid(schema) {
        return Vec::new();
    }
    let errors: Vec<ValidationError<'_>> = metaschema.iter_errors(schema).collect();
    explain::explain_errors(&errors, &Facts::default())
}

/// The library's validator of a schema, as everything here is checked.
pub(crate) fn engine(schema: &Value) -> Result<jsonschema::Validator, SchemaError> {
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .offline()
        .should_validate_formats(true)
        .should_ignore_unknown_formats(false)
        .with_pattern_options(patterns())
        .build(schema)
        .map_err(|error| SchemaError { reason: error.to_string() })
}

fn patterns() -> PatternOptions<FancyRegex> {
    PatternOptions::fancy_regex().backtrack_limit(BACKTRACK_LIMIT)
}
