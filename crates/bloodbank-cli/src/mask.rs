//! What contracts mark as sensitive, and is not shown unless it is asked for.

use std::borrow::Cow;

use bloodbank::Contracts;
use bloodbank::serde_json::{self, Value};

use crate::contracts::{self, Source};

/// What stands for what is hidden.
const HIDDEN: &[u8] = b"(hidden)";

/// Hides what contracts mark as sensitive; nothing, if that is asked for.
pub(crate) struct Mask {
    contracts: Option<Contracts>,
}

impl Mask {
    /// By the contracts at hand: those of the schema folder, and those built in where there is none.
    ///
    /// # Errors
    /// If they cannot be read; nobody can say what is sensitive then.
    pub(crate) fn new(source: &Source, reveal: bool) -> anyhow::Result<Self> {
        let contracts = match reveal {
            true => None,
            false => Some(contracts::sensitive(source)?),
        };
        Ok(Mask { contracts })
    }

    /// The bytes of a message as they may be shown. They are as they came where nothing is hidden; what
    /// cannot be read under a key that has anything sensitive is hidden altogether.
    pub(crate) fn body<'b>(&self, key: &str, body: &'b [u8]) -> Cow<'b, [u8]> {
        let Some(contracts) = &self.contracts else { return Cow::Borrowed(body) };
        if !contracts.has_sensitive(key) {
            return Cow::Borrowed(body);
        }
        let Ok(mut said) = serde_json::from_slice::<Value>(body) else {
            return Cow::Borrowed(HIDDEN);
        };
        let before = said.clone();
        // An envelope has its payload in `data`, also that of a CloudEvent; else it is the payload.
        let is_envelope = ["event_type", "specversion"].iter().any(|name| said.get(name).is_some());
        match said.get_mut("data") {
            Some(data) if is_envelope => contracts.hide(key, data),
            _ => contracts.hide(key, &mut said),
        };
        if said == before { Cow::Borrowed(body) } else { Cow::Owned(said.to_string().into_bytes()) }
    }
}
