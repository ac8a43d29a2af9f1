//! The one authority on what is valid.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use holyfields::finding::has_errors;
use holyfields::suggest;
use serde_json::Value;
use uuid::Uuid;

use crate::bounds;
use crate::describe::HIDDEN;
use crate::schema::{SchemaError, Validator};
use crate::violation::Violations;
use crate::{
    Bundle, BundledContract, CheckError, Envelope, ReadError, Refusal, UnknownKey, Validated,
};

/// The contracts of a catalog, with their validators: a value that is handed to everything that judges.
///
/// Cheap to clone; clones share the validators, each of which is made when it is first needed.
/// [`LiveContracts`](crate::LiveContracts) lets a running process swap them.
#[derive(Clone)]
pub struct Contracts {
    inner: Arc<Inner>,
}

struct Inner {
    bundle: Bundle,
    /// Indices into `bundle.contracts` and `validators`.
    by_route: HashMap<String, usize>,
    validators: Vec<OnceLock<Result<Validator, SchemaError>>>,
    /// Of what commands are answered with; none where the schema does not say.
    replies: Vec<OnceLock<Option<Result<Validator, SchemaError>>>>,
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
        let replies = bundle.contracts.iter().map(|_| OnceLock::new()).collect();
        Contracts { inner: Arc::new(Inner { bundle, by_route, validators, replies, digests }) }
    }

    /// The contracts of a schema folder, and the services of a registry file.
    ///
    /// # Errors
    /// [`ReadError`], with every finding, if the folder or the registry has errors.
    pub fn read(schemas: &Path, registry: Option<&Path>) -> Result<Self, ReadError> {
        let (catalog, findings) = holyfields::read(schemas, registry);
        if has_errors(&findings) {
            return Err(ReadError::new(&catalog, findings));
        }
        Ok(Contracts::new(catalog.bundle()))
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
        &self.inner.bundle
    }

    /// The contract of a key on the wire (with version).
    pub fn contract(&self, route: &str) -> Option<&BundledContract> {
        self.inner.by_route.get(route).map(|&index| &self.inner.bundle.contracts[index])
    }

    /// The contract of a key on the wire, or which keys look like it.
    ///
    /// # Errors
    /// [`UnknownKey`], with up to three suggestions.
    pub fn find(&self, route: &str) -> Result<&BundledContract, UnknownKey> {
        Ok(&self.inner.bundle.contracts[self.index(route)?])
    }

    /// Checks a payload (not an envelope) against the contract of a key.
    ///
    /// # Errors
    /// [`CheckError::Refused`] with the violations, [`CheckError::UnknownKey`], or
    /// [`CheckError::Schema`] if the contract itself cannot be used.
    pub fn check(&self, route: &str, payload: &Value) -> Result<(), CheckError> {
        self.check_at(self.index(route)?, route, payload)
    }

    /// Checks what a command is answered with. Where its schema does not say, anything is right.
    ///
    /// # Errors
    /// Those of [`Contracts::check`]; the violations are those of the answer.
    pub fn check_reply(&self, route: &str, reply: &Value) -> Result<(), CheckError> {
        match self.reply_validator(self.index(route)?) {
            None => Ok(()),
            Some(validator) => judge(validator.as_ref(), route, reply),
        }
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
                let kind = self.inner.bundle.contracts[index].kind;
                Ok(Validated::new(envelope, kind, self.digest_at(index)))
            }
            Err(CheckError::Refused(mut refusal)) => {
                faults.append(&mut refusal.violations);
                Err(Refusal { violations: faults, ..refusal }.into())
            }
            Ok(()) => {
                let key = envelope.event_type;
                Err(Refusal { key, violations: faults, more: 0, is_complete: true }.into())
            }
            Err(other) => Err(other),
        }
    }

    /// Puts `(hidden)` in place of each value of a payload that its contract marks as sensitive
    /// (`"x-bloodbank-sensitive": true`). Gives whether the contract marks anything; false for an unknown
    /// key.
    pub fn hide(&self, route: &str, payload: &mut Value) -> bool {
        let index = self.inner.by_route.get(route);
        let Some(validator) = index.and_then(|&index| self.validator(index).ok()) else {
            return false;
        };
        validator.hide(payload);
        validator.has_sensitive()
    }

    /// The same of what a command is answered with.
    pub fn hide_reply(&self, route: &str, reply: &mut Value) -> bool {
        let validator = self.index(route).ok().and_then(|index| self.reply_validator(index));
        let Some(validator) = validator.and_then(|validator| validator.as_ref().ok()) else {
            return false;
        };
        validator.hide(reply);
        validator.has_sensitive()
    }

    /// The bytes of a message as they may be shown: with `(hidden)` in place of what its contract marks as
    /// sensitive. They are as they came where nothing is hidden; what cannot be read under a key that has
    /// anything sensitive is hidden altogether.
    pub fn hide_message<'b>(&self, route: &str, body: &'b [u8]) -> Cow<'b, [u8]> {
        if !self.has_sensitive(route) {
            return Cow::Borrowed(body);
        }
        let Ok(mut said) = serde_json::from_slice::<Value>(body) else {
            return Cow::Borrowed(HIDDEN.as_bytes());
        };
        let before = said.clone();
        // An envelope has its payload in `data`, also that of a CloudEvent; else it is the payload.
        let is_envelope = ["event_type", "specversion"].iter().any(|name| said.get(name).is_some());
        match said.get_mut("data") {
            Some(data) if is_envelope => self.hide(route, data),
            _ => self.hide(route, &mut said),
        };
        if said == before { Cow::Borrowed(body) } else { Cow::Owned(said.to_string().into_bytes()) }
    }

    /// Whether some contract marks what a JSON pointer names as sensitive, so that who may not see it must
    /// not find it out by asking for it either. With `whole` also where it is only a part of that.
    pub fn hides_anywhere(&self, pointer: &str, whole: bool) -> bool {
        let all = (0..self.inner.validators.len()).filter_map(|index| self.validator(index).ok());
        let hides = |validator: &Validator| {
            validator.hides(pointer) || (whole && validator.has_sensitive())
        };
        all.into_iter().any(hides)
    }

    /// Whether the contract of this key marks anything as sensitive. False for an unknown key.
    pub fn has_sensitive(&self, route: &str) -> bool {
        let index = self.inner.by_route.get(route);
        let validator = index.and_then(|&index| self.validator(index).ok());
        validator.is_some_and(Validator::has_sensitive)
    }

    /// The same of what a command is answered with.
    pub(crate) fn has_sensitive_reply(&self, route: &str) -> bool {
        let validator = self.index(route).ok().and_then(|index| self.reply_validator(index));
        validator.is_some_and(|validator| validator.as_ref().is_ok_and(Validator::has_sensitive))
    }

    /// Names the very schema that judges a key: another schema has another digest. None for an unknown
    /// key.
    pub fn digest(&self, route: &str) -> Option<Uuid> {
        self.inner.by_route.get(route).map(|&index| self.digest_at(index))
    }

    fn digest_at(&self, index: usize) -> Uuid {
        *self.inner.digests[index].get_or_init(|| {
            let document = self.inner.bundle.document(&self.inner.bundle.contracts[index]);
            Uuid::new_v5(&DIGESTS, document.to_string().as_bytes())
        })
    }

    fn check_at(&self, index: usize, route: &str, payload: &Value) -> Result<(), CheckError> {
        judge(self.validator(index), route, payload)
    }

    fn reply_validator(&self, index: usize) -> Option<&Result<Validator, SchemaError>> {
        let validator = || {
            let document = self.inner.bundle.reply_document(&self.inner.bundle.contracts[index]);
            document.map(|document| Validator::new(&document))
        };
        self.inner.replies[index].get_or_init(validator).as_ref()
    }

    fn index(&self, route: &str) -> Result<usize, UnknownKey> {
        self.inner.by_route.get(route).copied().ok_or_else(|| self.unknown(route))
    }

    fn unknown(&self, route: &str) -> UnknownKey {
        let near = suggest::nearest(route, self.inner.by_route.keys().map(String::as_str));
        UnknownKey {
            key: route.to_owned(),
            suggestions: near.into_iter().map(str::to_owned).collect(),
        }
    }

    fn validator(&self, index: usize) -> Result<&Validator, &SchemaError> {
        let validator =
            || Validator::new(&self.inner.bundle.document(&self.inner.bundle.contracts[index]));
        self.inner.validators[index].get_or_init(validator).as_ref()
    }
}

fn judge(
    validator: Result<&Validator, &SchemaError>,
    route: &str,
    value: &Value,
) -> Result<(), CheckError> {
    let validator = validator.map_err(|error| CheckError::Schema {
        key: route.to_owned(),
        reason: error.reason.clone(),
    })?;
    validator.check(value).map_err(|found| {
        let Violations { list: violations, more, is_complete } = found;
        Refusal { key: route.to_owned(), violations, more, is_complete }.into()
    })
}

impl fmt::Debug for Contracts {
    /// The keys; the schemas would fill pages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut keys: Vec<&String> = self.inner.by_route.keys().collect();
        keys.sort_unstable();
        f.debug_tuple("Contracts").field(&keys).finish()
    }
}
