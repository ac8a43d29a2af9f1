//! Unions that no property and no JSON type tells apart.

use std::marker::PhantomData;

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::same_value;

/// The search for the branch of a union that a value is of: the first that keeps all of it.
///
/// A branch keeps a value if it comes back the same from the branch's type, by [`same_value`].
///
/// ```
/// # use bloodbank_core::codec::Branches;
/// # use serde::{Deserialize, Serialize};
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// struct Link {
///     url: String,
/// }
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// struct File {
///     path: String,
/// }
/// #[derive(Debug, PartialEq)]
/// enum Source {
///     Link(Link),
///     File(File),
/// }
/// let value = serde_json::json!({ "path": "/tmp" });
/// let source = Branches::read(value)?.or(Source::Link).or(Source::File).finish();
/// assert_eq!(source.ok(), Some(Source::File(File { path: "/tmp".into() })));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug)]
pub struct Branches<U, E> {
    value: Value,
    found: Option<U>,
    error: PhantomData<E>,
}

impl<U, E: Error> Branches<U, E> {
    /// Begins with a value.
    ///
    /// # Errors
    /// Those of the deserializer.
    pub fn read<'de, D: Deserializer<'de, Error = E>>(deserializer: D) -> Result<Self, E> {
        Ok(Branches { value: Value::deserialize(deserializer)?, found: None, error: PhantomData })
    }

    /// Tries a branch, unless one was found already.
    #[must_use]
    pub fn or<T: Serialize + DeserializeOwned>(mut self, branch: impl FnOnce(T) -> U) -> Self {
        if self.found.is_none() {
            self.found = whole(&self.value).map(branch);
        }
        self
    }

    /// Tries a branch if a property has this value.
    #[must_use]
    pub fn or_where<T: Serialize + DeserializeOwned>(
        self,
        property: &str,
        wanted: impl Into<Value>,
        branch: impl FnOnce(T) -> U,
    ) -> Self {
        let wanted = wanted.into();
        match self.value.get(property).is_some_and(|value| same_value(value, &wanted)) {
            true => self.or(branch),
            false => self,
        }
    }

    /// What was found.
    ///
    /// # Errors
    /// If no branch keeps the value.
    pub fn finish(self) -> Result<U, E> {
        self.found.ok_or_else(|| E::custom("no branch of the union keeps the whole value"))
    }
}

/// A value as a type that keeps all of it.
fn whole<T: Serialize + DeserializeOwned>(value: &Value) -> Option<T> {
    let typed = T::deserialize(value).ok()?;
    let back = serde_json::to_value(&typed).ok()?;
    same_value(value, &back).then_some(typed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Short {
        a: i64,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Long {
        a: i64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        b: Option<i64>,
    }

    #[derive(Debug, PartialEq)]
    enum Either {
        Short(Short),
        Long(Long),
    }

    fn read(value: Value) -> Result<Either, serde_json::Error> {
        Branches::read(value)?.or(Either::Short).or(Either::Long).finish()
    }

    #[test]
    fn the_first_branch_that_keeps_the_whole_value_counts() {
        assert_eq!(read(json!({ "a": 1 })).unwrap(), Either::Short(Short { a: 1 }));
        let long = Long { a: 1, b: Some(2) };
        assert_eq!(read(json!({ "a": 1, "b": 2 })).unwrap(), Either::Long(long));
    }

    #[test]
    fn what_no_branch_keeps_is_an_error_that_does_not_repeat_the_value() {
        let error = read(json!({ "a": 1, "b": "secret" })).unwrap_err().to_string();
        assert_eq!(error, "no branch of the union keeps the whole value");
        // Null is not absent.
        assert!(read(json!({ "a": 1, "b": null })).is_err());
    }

    #[test]
    fn a_property_may_say_which_branch_it_is() {
        let read = |value: Value| {
            Branches::<_, serde_json::Error>::read(value).and_then(|b| {
                b.or_where("a", 2, Either::Short).or_where("a", 1, Either::Long).finish()
            })
        };
        assert_eq!(read(json!({ "a": 1.0 })).ok(), None);
        assert_eq!(read(json!({ "a": 1 })).ok(), Some(Either::Long(Long { a: 1, b: None })));
        assert_eq!(read(json!({ "a": 3 })).ok(), None);
    }
}
