//! The one authority on what is valid.

use std::collections::HashMap;
use std::fmt;
use std::sync::OnceLock;

use holyfields::suggest;
use serde_json::Value;
use uuid::Uuid;

use crate::bounds;
use crate::schema::{SchemaError, Validator};
use crate::{Bundle, BundledContract, CheckError, Envelope, Refusal, UnknownKey, Validated};

/// The contracts of a catalog, with their validators.
///
/// Each [`Validator`] is made when it is first needed and then shared between threads.
pub struct Contracts {
    bundle: Bundle,
    /// Indices into `bundle.contracts` and `validators`.
    by_route: HashMap<String, usize>,
    validators: Vec<OnceLock<Result<Validator, SchemaError>>>,
    digests: Vec<OnceLock<Uuid>>,
}

/// The namespace (RFC 9562) of the digests of schemas.
const DIGESTS: Uuid = Uuid::from_u128(0x3b1d_5e0a_7f42_4c96_9d21_80c5_a4e6_12f7);

impl Contracts {
    /// The contracts of a bundle. Compiles nothing yet.
    pub fn new(bundle: Bundle) -> Self {
        let mut by_route = HashMap::new();
        for (index, contract) in bundle.contracts.iter().enumerate() {
            for route in contract.routes() {
                by_route.entry(route).or_insert(index);
            }
        }
        let validators = bundle.contracts.iter().map(|_| OnceLock::new()).collect();
        let digests = bundle.contracts.iter().map(|_| OnceLock::new()).collect();
        Contracts { bundle, by_route, validators, digests }
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

    /// Checks an envelope and its payload: the only way to a [`Validated`] envelope.
    ///
    /// # Errors
    /// Those of [`Contracts::check`]. What is wrong with the envelope's own fields comes first, with
    /// pointers that begin with `(envelope)`.
    pub fn validate(&self, envelope: Envelope) -> Result<Validated<Envelope>, CheckError> {
        let index = self.index(&envelope.event_type)?;
        let mut faults = bounds::violations_when_written(&envelope);
        match self.check_at(index, &envelope.event_type, &envelope.data) {
            Ok(()) if faults.is_empty() => {
                let kind = self.bundle.contracts[index].kind;
                Ok(Validated::new(envelope, kind, self.digest_at(index)))
            }
            Err(CheckError::Refused(refusal)) => {
                faults.extend(refusal.violations);
                Err(Refusal { key: envelope.event_type, violations: faults }.into())
            }
            Ok(()) => Err(Refusal { key: envelope.event_type, violations: faults }.into()),
            Err(other) => Err(other),
        }
    }

    /// Whether the contract of this key marks anything as sensitive. False for an unknown key.
    pub fn has_sensitive(&self, route: &str) -> bool {
        let index = self.by_route.get(route);
        let validator = index.and_then(|&index| self.validator(index).ok());
        validator.is_some_and(Validator::has_sensitive)
    }

    /// Names the very schema that judges a key: another schema has another digest. None for an unknown
    /// key.
    pub fn digest(&self, route: &str) -> Option<Uuid> {
        self.by_route.get(route).map(|&index| self.digest_at(index))
    }

    fn digest_at(&self, index: usize) -> Uuid {
        *self.digests[index].get_or_init(|| {
            let document = self.bundle.document(&self.bundle.contracts[index]);
            Uuid::new_v5(&DIGESTS, document.to_string().as_bytes())
        })
    }

    fn check_at(&self, index: usize, route: &str, payload: &Value) -> Result<(), CheckError> {
        let validator = self.validator(index).map_err(|error| CheckError::Schema {
            key: route.to_owned(),
            reason: error.reason.clone(),
        })?;
        validator
            .check(payload)
            .map_err(|violations| Refusal { key: route.to_owned(), violations }.into())
    }

    fn index(&self, route: &str) -> Result<usize, UnknownKey> {
        self.by_route.get(route).copied().ok_or_else(|| self.unknown(route))
    }

    fn unknown(&self, route: &str) -> UnknownKey {
        let near = suggest::nearest(route, self.by_route.keys().map(String::as_str));
        UnknownKey {
            key: route.to_owned(),
            suggestions: near.into_iter().map(str::to_owned).collect(),
        }
    }

    fn validator(&self, index: usize) -> Result<&Validator, &SchemaError> {
        let validator = || Validator::new(&self.bundle.document(&self.bundle.contracts[index]));
        self.validators[index].get_or_init(validator).as_ref()
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
