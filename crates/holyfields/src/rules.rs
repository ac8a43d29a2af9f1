//! The rules, as data. A rule has an id that never changes its meaning.

use std::fmt;

use serde::Serialize;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth knowing; nothing to do.
    Note,
    /// Probably a mistake; code is generated all the same.
    Warning,
    /// No code is generated.
    Error,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Error => "error",
        })
    }
}

/// Something that holyfields looks for.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// `HF` and three digits; the tens are the family.
    pub id: &'static str,
    /// How bad a finding of it is.
    pub level: Level,
    /// What it looks for, in one line.
    pub purpose: &'static str,
}

macro_rules! rules {
    ($($name:ident $id:literal $level:ident $purpose:literal;)*) => {
        $(
            #[doc = $purpose]
            pub const $name: &Rule = &Rule { id: $id, level: Level::$level, purpose: $purpose };
        )*

        /// Every rule, by id.
        pub const ALL: &[&Rule] = &[$($name),*];
    };
}

rules! {
    UNREADABLE "HF001" Error "A file cannot be read: missing rights, not UTF-8, or too large.";
    SYNTAX "HF002" Error "A file is not valid JSON.";
    DUPLICATE_NAME "HF003" Error "A name stands twice in one object; parsers keep one and drop the other.";
    NOT_A_SCHEMA "HF004" Error "A file holds something that is no JSON Schema.";
    UNKNOWN_DRAFT "HF005" Error "A schema is of a draft other than 2020-12 and draft-07.";
    OUTSIDE_ROOT "HF006" Error "A link leads out of the schema folder.";

    UNRESOLVED_REF "HF010" Error "A `$ref` leads nowhere.";
    REMOTE_REF "HF011" Error "A `$ref` leads to the network; nothing is ever fetched.";
    ESCAPING_REF "HF012" Error "A `$ref` leads out of the schema folder.";
    AMBIGUOUS_REF "HF013" Warning "A `$ref` means one file by path and another by `$id`.";
    DUPLICATE_ID "HF014" Error "Two schemas have one `$id`.";

    MISSING_KEY "HF020" Warning "A schema looks like a contract but names no key.";
    DUPLICATE_KEY "HF021" Error "Two contracts have one key and version.";
    MISSHAPEN_KEY "HF022" Error "A key is not `<domain>.<entity>.<action>`.";
    UNUSUAL_KEY "HF023" Note "A key has not three words.";
    KEY_AGAINST_PATH "HF024" Warning "The const of a contract and its path name two keys.";
    NAME_CLASH "HF025" Error "Two schemas become one name in generated code.";
    OPTIONAL_KEY "HF026" Warning "A contract does not require the property that names its key.";

    NOT_CARRIED "HF030" Note "A keyword shapes the payload in a way the type cannot show; the validator enforces it.";
    NOT_AN_OBJECT "HF031" Error "The payload of a contract may be something other than an object.";
    UNSUPPORTED_KEYWORD "HF032" Error "A keyword that is not supported.";

    CLOSED_INHERITANCE "HF040" Error "A contract refuses properties that its own base declares.";
    UNSATISFIABLE "HF041" Error "A contract accepts no payload at all.";
    INVALID_PATTERN "HF042" Error "A pattern is no regular expression.";
    UNKNOWN_FORMAT "HF043" Error "A format that nothing checks.";
    INVALID_SCHEMA "HF044" Error "A keyword has a value that JSON Schema does not allow.";

    INVALID_EXAMPLE "HF050" Error "An example that its own schema refuses.";
    ACCEPTED_COUNTEREXAMPLE "HF051" Error "A counter-example that its schema accepts.";
    MISSHAPEN_COUNTEREXAMPLE "HF052" Error "An entry of `x-bloodbank-counterexamples` without `why` and `data`.";

    REGISTRY "HF060" Error "The service registry cannot be read.";
    REGISTRY_KEY "HF061" Warning "The registry names a key that no contract has.";
    REGISTRY_KIND "HF062" Error "The registry lists a command as an event, or an event as a command.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_in_order() {
        assert!(ALL.is_sorted_by(|a, b| a.id < b.id));
    }
}
