//! Values on their way into and out of a database.

use std::fmt;
use std::sync::Arc;

/// A value of a statement. The statements cast it to what a column holds, so that each client needs
/// these types only.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value {
    /// A whole number: `bigint`.
    Int(i64),
    /// Text, or nothing.
    Text(Option<String>),
    /// Bytes.
    Bytes(Arc<[u8]>),
}

impl Value {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Value::Text(Some(text.into()))
    }
}

impl fmt::Debug for Value {
    /// Without what it holds, which may be a payload.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Value::Int(_) => "Int",
            Value::Text(_) => "Text",
            Value::Bytes(_) => "Bytes",
        })
    }
}
