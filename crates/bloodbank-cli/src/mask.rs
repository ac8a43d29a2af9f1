//! What contracts mark as sensitive, and is not shown unless it is asked for.

use std::borrow::Cow;

use bloodbank::Contracts;

use crate::contracts::{self, Source};

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

    /// The bytes of a message as they may be shown: see [`Contracts::hide_message`].
    pub(crate) fn body<'b>(&self, key: &str, body: &'b [u8]) -> Cow<'b, [u8]> {
        match &self.contracts {
            Some(contracts) => contracts.hide_message(key, body),
            None => Cow::Borrowed(body),
        }
    }
}
