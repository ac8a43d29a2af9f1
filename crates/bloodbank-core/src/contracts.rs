//! The one authority on what is valid.

use std::collections::HashMap;
use std::fmt;
use std::sync::OnceLock;

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

use crate::facts::Facts;
use crate::{
    Bundle, BundledContract, CheckError, Envelope, Refusal, UnknownKey, Validated, Violation,
    explain, nearest,
};

/// Steps a `pattern` may go back before it counts as failed: some milliseconds.
///
/// Look-ahead needs an engine that backtracks, and so a payload could keep one busy for ever.
const BACKTRACK_LIMIT: usize = 100_000;

/// The contracts of a catalog, with their validators.
///
/// Validators are JSON Schema 2020-12 with formats asserted and nothing fetched. Each is compiled
/// when it is first needed (some 0.3 ms) and then shared between threads.
pub struct Contracts {
    bundle: Bundle,
    /// Indices into `bundle.contracts` and `compiled`.
    by_route: HashMap<String, usize>,
    compiled: Vec<OnceLock<Result<Compiled, String>>>,
}

struct Compiled {
    validator: Validator,
    facts: Facts,
}

impl Contracts {
    /// The contracts of a bundle. Compiles nothing yet.
    pub fn new(bundle: Bundle) -> Self {
        let mut by_route = HashMap::new();
        for (index, contract) in bundle.contracts.iter().enumerate() {
            for route in contract.routes() {
                by_route.entry(route).or_insert(index);
            }
        }
        let compiled = bundle.contracts.iter().map(|_| OnceLock::new()).collect();
        Contracts { bundle, by_route, compiled }
    }

    /// The contracts of a bundle in its JSON form, as codegen writes and embeds it.
    ///
    /// # Errors
    /// If the text is no bundle.
    pub fn from_json(bundle: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(bundle).map(Contracts::new)
    }

    /// The contracts of a bundle that codegen has embedded in a program.
    ///
    /// # Panics
    /// If the text is no bundle. Codegen wrote it with the same types that read it here, so that
    /// takes a program whose generated code is of another version than its library.
    #[doc(hidden)]
    pub fn embedded(bundle: &str) -> Self {
        match Contracts::from_json(bundle) {
            Ok(contracts) => contracts,
            #[allow(clippy::panic)] // See above; there is nobody who could handle it.
            Err(error) => panic!("the embedded bundle is not of this version: {error}"),
        }
    }

    /// The catalog as data.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// The contract of a key on the wire (with version).
    pub fn contract(&self, route: &str) -> Option<&BundledContract> {
        self.by_route.get(route).map(|&index| &self.bundle.contracts[index])
    }

    /// The contract of a key on the wire, or which keys look like it.
    ///
    /// # Errors
    /// [`UnknownKey`], with up to three suggestions.
    pub fn find(&self, route: &str) -> Result<&BundledContract, UnknownKey> {
        Ok(&self.bundle.contracts[self.index(route)?])
    }

    /// Checks a payload (not an envelope) against the contract of a key.
    ///
    /// # Errors
    /// [`CheckError::Refused`] with every violation, [`CheckError::UnknownKey`], or
    /// [`CheckError::Schema`] if the contract itself cannot be used.
    pub fn check(&self, route: &str, payload: &Value) -> Result<(), CheckError> {
        self.check_at(self.index(route)?, route, payload)
    }

    /// Checks the payload of an envelope: the only way to a [`Validated`] envelope.
    ///
    /// # Errors
    /// Those of [`Contracts::check`].
    pub fn validate(&self, envelope: Envelope) -> Result<Validated<Envelope>, CheckError> {
        let index = self.index(&envelope.event_type)?;
        self.check_at(index, &envelope.event_type, &envelope.data)?;
        Ok(Validated::new(envelope, self.bundle.contracts[index].kind))
    }

    /// Whether the contract of this key marks anything as sensitive. False for an unknown key.
    pub fn has_sensitive(&self, route: &str) -> bool {
        let compiled = self
            .index(route)
            .and_then(|index| self.compiled(index, route).map_err(|_| self.unknown(route)));
        compiled.is_ok_and(|compiled| compiled.facts.any_sensitive())
    }

    fn check_at(&self, index: usize, route: &str, payload: &Value) -> Result<(), CheckError> {
        let Compiled { validator, facts } = self.compiled(index, route)?;
        if validator.is_valid(payload) {
            return Ok(());
        }
        let mut violations = explain::explain(validator.iter_errors(payload), facts);
        if violations.is_empty() {
            // The library's two ways disagree. Its verdict stands; what it means, nobody can say.
            violations.push(Violation {
                pointer: String::new(),
                rule: "false".to_owned(),
                expected: "what the contract asks for".to_owned(),
                found: "a payload that it refuses without a reason".to_owned(),
            });
        }
        Err(Refusal { key: route.to_owned(), violations }.into())
    }

    fn index(&self, route: &str) -> Result<usize, UnknownKey> {
        self.by_route.get(route).copied().ok_or_else(|| self.unknown(route))
    }

    fn unknown(&self, route: &str) -> UnknownKey {
        let near = nearest(route, self.by_route.keys().map(String::as_str), 3);
        UnknownKey {
            key: route.to_owned(),
            suggestions: near.into_iter().map(str::to_owned).collect(),
        }
    }

    fn compiled(&self, index: usize, route: &str) -> Result<&Compiled, CheckError> {
        let compile = || Compiled::new(&self.bundle.document(&self.bundle.contracts[index]));
        self.compiled[index]
            .get_or_init(compile)
            .as_ref()
            .map_err(|reason| CheckError::Schema { key: route.to_owned(), reason: reason.clone() })
    }
}

impl Compiled {
    fn new(document: &Value) -> Result<Self, String> {
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .offline()
            .should_validate_formats(true)
            .should_ignore_unknown_formats(false)
            .with_pattern_options(PatternOptions::fancy_regex().backtrack_limit(BACKTRACK_LIMIT))
            .build(document)
            .map_err(|error| error.to_string())?;
        Ok(Compiled { validator, facts: Facts::of(document) })
    }
}

impl fmt::Debug for Contracts {
    /// The keys; the schemas would fill pages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut keys: Vec<&String> = self.by_route.keys().collect();
        keys.sort_unstable();
        f.debug_tuple("Contracts").field(&keys).finish()
    }
}
