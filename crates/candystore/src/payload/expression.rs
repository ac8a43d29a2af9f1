//! What an index on a field of the payload holds, in SQL.
//!
//! It is compared with a question's value, and what is found is then compared as contracts do. So an
//! index may find too much, and must never find too little: texts are in small letters, as UUIDs are
//! equal in either, and cut.

use std::fmt::Write as _;

use serde_json::Value as Json;

use crate::sql::Value;
use crate::{Field, FieldError};

/// The most characters of a text that are compared in the index: PostgreSQL's take 2,704 bytes.
const LONGEST: usize = 512;

/// The most bytes of a pointer.
const LONGEST_POINTER: usize = 200;

/// Whole numbers up to here are the same in every database.
const LARGEST: u64 = 1_000_000_000_000_000 - 1;

/// Stands for all events of which the server cannot tell.
const UNREADABLE: &str = "\u{1}";

/// What PostgreSQL computes of a body. It must not fail: nothing could be stored then.
pub(super) fn function() -> String {
    format!(
        "CREATE OR REPLACE FUNCTION candystore_field(body bytea, path text[]) RETURNS text \
         LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $f$ \
         DECLARE found json; \
         BEGIN \
         found := convert_from(body, 'UTF8')::json #> path; \
         RETURN CASE json_typeof(found) \
         WHEN 'string' THEN lower(substr(found #>> '{{}}', 1, {LONGEST})) \
         WHEN 'number' THEN trim_scale((found #>> '{{}}')::numeric)::text END; \
         EXCEPTION WHEN OTHERS THEN RETURN chr(1); \
         END $f$"
    )
}

/// A field in the payload of an envelope, in whichever form that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expressions {
    /// Below `data`, as envelopes have it.
    pub(crate) data: Expression,
    /// Where the body is the payload, as that of a CloudEvent in its binary form.
    pub(crate) whole: Expression,
}

/// An expression over the body; null where there is no such field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expression(pub(crate) String);

impl Expressions {
    /// Of the field that a pointer names.
    ///
    /// # Errors
    /// If nothing can be indexed by it.
    pub(crate) fn of(is_sqlite: bool, pointer: &str) -> Result<Self, FieldError> {
        let words = words(pointer)?;
        let data = [&["data".to_owned()], &words[..]].concat();
        let of = if is_sqlite { in_sqlite } else { in_postgres };
        Ok(Expressions { data: of(&data), whole: of(&words) })
    }

    /// What is looked up besides: events of which the database cannot tell.
    pub(crate) fn unreadable(&self) -> Option<Value> {
        self.data.0.starts_with("candystore_field").then(|| Value::text(UNREADABLE))
    }
}

/// The words of a pointer.
fn words(pointer: &str) -> Result<Vec<String>, FieldError> {
    let refused = |reason| FieldError::NoIndex { pointer: pointer.to_owned(), reason };
    let Some(rest) = pointer.strip_prefix('/') else {
        return Err(FieldError::Pointer(pointer.to_owned()));
    };
    if pointer.len() > LONGEST_POINTER {
        return Err(refused("it is longer than 200 bytes"));
    }
    let word = |word: &str| {
        let word = word.replace("~1", "/").replace("~0", "~");
        if word.is_empty() {
            return Err(refused("a name in it is empty"));
        }
        if word.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(refused("a number in it could be a place in a list or a name"));
        }
        match word.chars().any(|c| c.is_control() || c == '"' || c == '\\') {
            true => Err(refused("a name in it has a quote, a backslash or a control character")),
            false => Ok(word),
        }
    };
    rest.split('/').map(word).collect()
}

/// The path is written as digits, in which nothing is a word of SQL.
fn in_sqlite(words: &[String]) -> Expression {
    let path = words.iter().fold("$".to_owned(), |path, word| format!("{path}.\"{word}\""));
    let path = path.bytes().fold(String::new(), |mut path, byte| {
        // Writing to a text does not fail.
        let _ = write!(path, "{byte:02x}");
        path
    });
    Expression(format!(
        "LOWER(SUBSTR(CAST(CASE WHEN json_valid(CAST(body AS TEXT)) THEN \
         json_extract(CAST(body AS TEXT), CAST(x'{path}' AS TEXT)) END AS TEXT), 1, {LONGEST}))"
    ))
}

fn in_postgres(words: &[String]) -> Expression {
    let words: Vec<String> =
        words.iter().map(|word| format!("'{}'", word.replace('\'', "''"))).collect();
    Expression(format!("candystore_field(body, ARRAY[{}]::text[])", words.join(", ")))
}

/// What to look up for a field to be as it must be; `None` where an index does not know. In no index
/// are values that can be written in many ways.
pub(crate) fn wanted(field: &Field) -> Option<Vec<Value>> {
    match field.value() {
        // PostgreSQL takes no NUL.
        Json::String(text) if is_time(text) || text.contains('\0') => None,
        Json::String(text) => {
            let text: String = text.chars().take(LONGEST).collect();
            Some(vec![Value::Text(text)])
        }
        Json::Number(number) => {
            let number = number.as_i64().filter(|number| number.unsigned_abs() < LARGEST)?;
            // As SQLite shows a number that was written with a point.
            Some(vec![Value::Text(number.to_string()), Value::Text(format!("{number}.0"))])
        }
        _ => None,
    }
}

/// Whether a text may be a time, which can be written in many ways.
fn is_time(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit()) && text.contains(':')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pointers_that_no_index_takes_are_refused() {
        for bad in ["", "meeting_id", "/", "/a//b", "/a/0", "/a\"", "/a\\", "/a\n"] {
            assert!(Expressions::of(true, bad).is_err(), "{bad}");
        }
        assert!(Expressions::of(true, &format!("/{}", "a".repeat(200))).is_err());
        assert_eq!(
            words("/a~1b/c~0d/it's $1"),
            Ok(vec!["a/b".into(), "c~d".into(), "it's $1".into()])
        );
    }

    #[test]
    fn a_pointer_is_nothing_but_a_value_in_sql() {
        let pointer = "/x'); DROP TABLE events; -- $1 UUID";
        let Expressions { data, .. } = Expressions::of(true, pointer).unwrap();
        let words = ["DROP", "$", "UUID"];
        assert!(!words.iter().any(|word| data.0.contains(word)), "{data:?}");
        let Expressions { whole, .. } = Expressions::of(false, pointer).unwrap();
        assert!(whole.0.contains("ARRAY['x''); DROP"), "{whole:?}");
    }

    #[test]
    fn what_can_be_written_in_many_ways_is_not_looked_up() {
        let wanted = |value| wanted(&Field::new("/a", value).unwrap()).map(|values| values.len());
        assert_eq!(wanted(json!("Budget")), Some(1));
        assert_eq!(wanted(json!(3)), Some(2));
        for value in [
            json!("2026-01-31T12:00:00Z"),
            json!(0.5),
            json!(u64::MAX),
            json!(null),
            json!([1]),
            json!("\0"),
        ] {
            assert_eq!(wanted(value.clone()), None, "{value}");
        }
    }
}
