//! One header's value.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

/// The value of a header, in every type that AMQP gives it. What we write ourselves is text.
///
/// In JSON a text, a truth value, null and a list are themselves, a whole number is an [`I32`] if it is
/// one and an [`I64`] otherwise, and everything else is an object of one field that names the type:
/// `{"$time": 1769860800}`. So every value comes back as it was, except that a list or table inside
/// [`MOST_LEVELS`] others becomes the text [`TOO_DEEP`], because readers of JSON refuse deep nesting.
///
/// [`I32`]: HeaderValue::I32
/// [`I64`]: HeaderValue::I64
/// [`MOST_LEVELS`]: HeaderValue::MOST_LEVELS
/// [`TOO_DEEP`]: HeaderValue::TOO_DEEP
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum HeaderValue {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number of 8 bits.
    I8(i8),
    /// The same without a sign.
    U8(u8),
    /// A whole number of 16 bits.
    I16(i16),
    /// The same without a sign.
    U16(u16),
    /// A whole number of 32 bits.
    I32(i32),
    /// The same without a sign.
    U32(u32),
    /// A whole number of 64 bits.
    I64(i64),
    /// A float of 32 bits.
    F32(f32),
    /// A float of 64 bits.
    F64(f64),
    /// A decimal number: the value with so many digits behind the point.
    Decimal {
        /// How many digits stand behind the point.
        scale: u8,
        /// The digits.
        value: u32,
    },
    /// Text.
    Text(String),
    /// What was sent as text and is not UTF-8.
    RawText(Vec<u8>),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A time, in seconds since 1970.
    Time(u64),
    /// A list.
    List(Vec<HeaderValue>),
    /// Values with names.
    Table(BTreeMap<String, HeaderValue>),
}

impl HeaderValue {
    /// How many lists and tables may stand inside each other.
    pub const MOST_LEVELS: usize = 32;

    /// The text that stands for a list or table below that.
    pub const TOO_DEEP: &str = "(nested deeper than 32 levels)";

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            HeaderValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, if it is one, also one that is written as text.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            HeaderValue::I8(n) => Some((*n).into()),
            HeaderValue::U8(n) => Some((*n).into()),
            HeaderValue::I16(n) => Some((*n).into()),
            HeaderValue::U16(n) => Some((*n).into()),
            HeaderValue::I32(n) => Some((*n).into()),
            HeaderValue::U32(n) => Some((*n).into()),
            HeaderValue::I64(n) => Some(*n),
            HeaderValue::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// Its form in JSON, from which [`from_json`](HeaderValue::from_json) makes the same value.
    pub fn to_json(&self) -> Value {
        self.to_json_inside(0)
    }

    /// The same inside so many lists and tables.
    fn to_json_inside(&self, levels: usize) -> Value {
        match self {
            HeaderValue::List(_) | HeaderValue::Table(_) if levels >= Self::MOST_LEVELS => {
                Self::TOO_DEEP.into()
            }
            HeaderValue::Null => Value::Null,
            HeaderValue::Bool(value) => (*value).into(),
            HeaderValue::I8(n) => json!({ "$i8": n }),
            HeaderValue::U8(n) => json!({ "$u8": n }),
            HeaderValue::I16(n) => json!({ "$i16": n }),
            HeaderValue::U16(n) => json!({ "$u16": n }),
            HeaderValue::I32(n) => (*n).into(),
            HeaderValue::U32(n) => json!({ "$u32": n }),
            HeaderValue::I64(n) if i32::try_from(*n).is_err() => (*n).into(),
            HeaderValue::I64(n) => json!({ "$i64": n }),
            // Rust writes the shortest digits that read as the same number; of what is not a number
            // the bits count.
            HeaderValue::F32(n) if n.is_finite() => json!({ "$f32": format!("{n:?}") }),
            HeaderValue::F32(n) => json!({ "$f32": format!("0x{:08x}", n.to_bits()) }),
            HeaderValue::F64(n) if n.is_finite() => json!({ "$f64": format!("{n:?}") }),
            HeaderValue::F64(n) => json!({ "$f64": format!("0x{:016x}", n.to_bits()) }),
            HeaderValue::Decimal { scale, value } => json!({ "$decimal": [scale, value] }),
            HeaderValue::Text(text) => text.as_str().into(),
            HeaderValue::RawText(bytes) => json!({ "$text": hex(bytes) }),
            HeaderValue::Bytes(bytes) => json!({ "$bytes": hex(bytes) }),
            HeaderValue::Time(seconds) => json!({ "$time": seconds }),
            HeaderValue::List(values) => {
                values.iter().map(|value| value.to_json_inside(levels + 1)).collect()
            }
            HeaderValue::Table(table) => {
                let json = |value: &HeaderValue| value.to_json_inside(levels + 1);
                let fields = table.iter().map(|(name, value)| (name.clone(), json(value)));
                json!({ "$table": Value::Object(fields.collect()) })
            }
        }
    }

    /// The value of this form in JSON; `None` if it is the form of none.
    pub fn from_json(json: Value) -> Option<Self> {
        HeaderValue::from_json_inside(0, json)
    }

    /// The same inside so many lists and tables.
    fn from_json_inside(levels: usize, json: Value) -> Option<Self> {
        Some(match json {
            Value::Null => HeaderValue::Null,
            Value::Bool(value) => value.into(),
            Value::String(text) => text.into(),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(n), _) => i32::try_from(n).map_or(HeaderValue::I64(n), HeaderValue::I32),
                (None, Some(n)) if number.is_f64() => HeaderValue::F64(n),
                _ => return None,
            },
            Value::Array(_) if levels >= Self::MOST_LEVELS => Self::TOO_DEEP.into(),
            Value::Array(values) => {
                let values = values
                    .into_iter()
                    .map(|value| HeaderValue::from_json_inside(levels + 1, value));
                HeaderValue::List(values.collect::<Option<_>>()?)
            }
            Value::Object(mut fields) => {
                let tag = fields.keys().next()?.clone();
                let value = fields.remove(&tag)?;
                if !fields.is_empty() {
                    return None;
                }
                match value {
                    Value::Object(_) if tag == "$table" && levels >= Self::MOST_LEVELS => {
                        Self::TOO_DEEP.into()
                    }
                    Value::Object(table) if tag == "$table" => {
                        let field = |(name, value)| {
                            Some((name, HeaderValue::from_json_inside(levels + 1, value)?))
                        };
                        HeaderValue::Table(table.into_iter().map(field).collect::<Option<_>>()?)
                    }
                    value => of_type(&tag, value)?,
                }
            }
        })
    }
}

/// The value that an object of one field stands for, unless it is a table.
fn of_type(tag: &str, value: Value) -> Option<HeaderValue> {
    fn read<T: serde::de::DeserializeOwned>(value: Value) -> Option<T> {
        serde_json::from_value(value).ok()
    }
    let bits = |digits: &str| u64::from_str_radix(digits.strip_prefix("0x")?, 16).ok();
    Some(match tag {
        "$i8" => HeaderValue::I8(read(value)?),
        "$u8" => HeaderValue::U8(read(value)?),
        "$i16" => HeaderValue::I16(read(value)?),
        "$u16" => HeaderValue::U16(read(value)?),
        "$u32" => HeaderValue::U32(read(value)?),
        "$i64" => HeaderValue::I64(read(value)?),
        "$f32" => {
            let text = value.as_str()?;
            let bits = bits(text).and_then(|bits| u32::try_from(bits).ok());
            HeaderValue::F32(match bits {
                Some(bits) => f32::from_bits(bits),
                None => text.parse().ok()?,
            })
        }
        "$f64" => {
            let text = value.as_str()?;
            HeaderValue::F64(match bits(text) {
                Some(bits) => f64::from_bits(bits),
                None => text.parse().ok()?,
            })
        }
        "$decimal" => {
            let (scale, value) = read(value)?;
            HeaderValue::Decimal { scale, value }
        }
        "$text" => HeaderValue::RawText(unhex(value.as_str()?)?),
        "$bytes" => HeaderValue::Bytes(unhex(value.as_str()?)?),
        "$time" => HeaderValue::Time(read(value)?),
        _ => return None,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    digits.as_bytes().chunks(2).map(byte).collect()
}

impl Serialize for HeaderValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            HeaderValue::Text(text) => serializer.serialize_str(text),
            other => other.to_json().serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for HeaderValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Value::deserialize(deserializer)?;
        HeaderValue::from_json(json).ok_or_else(|| D::Error::custom("not the value of a header"))
    }
}

/// Floats are the same if their bits are, so that what was read equals what was written.
impl PartialEq for HeaderValue {
    fn eq(&self, other: &Self) -> bool {
        use HeaderValue::*;
        match (self, other) {
            (Null, Null) => true,
            (Bool(a), Bool(b)) => a == b,
            (I8(a), I8(b)) => a == b,
            (U8(a), U8(b)) => a == b,
            (I16(a), I16(b)) => a == b,
            (U16(a), U16(b)) => a == b,
            (I32(a), I32(b)) => a == b,
            (U32(a), U32(b)) => a == b,
            (I64(a), I64(b)) => a == b,
            (F32(a), F32(b)) => a.to_bits() == b.to_bits(),
            (F64(a), F64(b)) => a.to_bits() == b.to_bits(),
            (Decimal { scale: a, value: b }, Decimal { scale: c, value: d }) => (a, b) == (c, d),
            (Text(a), Text(b)) => a == b,
            (RawText(a), RawText(b)) | (Bytes(a), Bytes(b)) => a == b,
            (Time(a), Time(b)) => a == b,
            (List(a), List(b)) => a == b,
            (Table(a), Table(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for HeaderValue {}

impl PartialEq<str> for HeaderValue {
    fn eq(&self, text: &str) -> bool {
        self.as_str() == Some(text)
    }
}

impl PartialEq<&str> for HeaderValue {
    fn eq(&self, text: &&str) -> bool {
        self.as_str() == Some(text)
    }
}

impl PartialEq<String> for HeaderValue {
    fn eq(&self, text: &String) -> bool {
        self.as_str() == Some(text)
    }
}

/// Text as it is, everything else as in JSON.
impl fmt::Display for HeaderValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeaderValue::Text(text) => f.write_str(text),
            other => write!(f, "{}", other.to_json()),
        }
    }
}

impl From<String> for HeaderValue {
    fn from(text: String) -> Self {
        HeaderValue::Text(text)
    }
}

impl From<&str> for HeaderValue {
    fn from(text: &str) -> Self {
        HeaderValue::Text(text.to_owned())
    }
}

impl From<bool> for HeaderValue {
    fn from(value: bool) -> Self {
        HeaderValue::Bool(value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values() -> impl Strategy<Value = HeaderValue> {
        use HeaderValue::*;
        let leaf = prop_oneof![
            Just(Null),
            any::<bool>().prop_map(Bool),
            any::<i8>().prop_map(I8),
            any::<u8>().prop_map(U8),
            any::<i16>().prop_map(I16),
            any::<u16>().prop_map(U16),
            any::<i32>().prop_map(I32),
            any::<u32>().prop_map(U32),
            prop_oneof![any::<i64>(), -9..9_i64].prop_map(I64),
            any::<u32>().prop_map(|bits| F32(f32::from_bits(bits))),
            any::<u64>().prop_map(|bits| F64(f64::from_bits(bits))),
            any::<(u8, u32)>().prop_map(|(scale, value)| Decimal { scale, value }),
            any::<String>().prop_map(Text),
            any::<Vec<u8>>().prop_map(RawText),
            any::<Vec<u8>>().prop_map(Bytes),
            any::<u64>().prop_map(Time),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(List),
                prop::collection::btree_map(any::<String>(), inner, 0..4).prop_map(Table),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_comes_back_from_its_json(value in values()) {
            let text = serde_json::to_string(&value).unwrap();
            let again: HeaderValue = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(again, value);
        }
    }

    #[test]
    fn text_is_itself_and_nothing_else_is_taken_for_a_value() {
        assert_eq!(HeaderValue::from_json(json!("{\"$i8\":1}")), Some("{\"$i8\":1}".into()));
        for strange in [
            json!({}),
            json!({"a": 1}),
            json!({"$i8": 1, "$u8": 1}),
            json!({"$i8": 300}),
            json!({"$bytes": "0"}),
            json!({"$table": [1]}),
            json!([{"$f64": "x"}]),
            json!(u64::MAX),
        ] {
            assert_eq!(HeaderValue::from_json(strange.clone()), None, "{strange}");
        }
    }

    /// So many lists and tables inside each other.
    fn nested(levels: usize) -> HeaderValue {
        (0..levels).fold(HeaderValue::I8(1), |inner, level| match level % 2 {
            0 => HeaderValue::Table([("a".to_owned(), inner)].into()),
            _ => HeaderValue::List(vec![inner]),
        })
    }

    fn innermost(mut value: &HeaderValue) -> (usize, &HeaderValue) {
        let mut levels = 0;
        loop {
            value = match value {
                HeaderValue::List(values) => &values[0],
                HeaderValue::Table(table) => &table["a"],
                other => return (levels, other),
            };
            levels += 1;
        }
    }

    #[test]
    fn what_is_nested_too_deep_becomes_a_text_and_the_rest_stays_readable() {
        const MOST: usize = HeaderValue::MOST_LEVELS;
        for levels in [MOST - 1, MOST] {
            let text = serde_json::to_string(&nested(levels)).unwrap();
            assert_eq!(serde_json::from_str::<HeaderValue>(&text).unwrap(), nested(levels));
        }
        let too_deep = HeaderValue::from(HeaderValue::TOO_DEEP);
        for levels in [MOST + 1, MOST + 2, 1_000] {
            let text = serde_json::to_string(&nested(levels)).unwrap();
            let again: HeaderValue = serde_json::from_str(&text).unwrap();
            assert_eq!(innermost(&again), (MOST, &too_deep));
        }
        for layer in [|inner| json!([inner]), |inner| json!({"$table": {"a": inner}})] {
            for (levels, expected) in [(MOST, &HeaderValue::I32(1)), (MOST + 1, &too_deep)] {
                let json = (0..levels).fold(json!(1), |inner, _| layer(inner));
                assert_eq!(innermost(&HeaderValue::from_json(json).unwrap()), (MOST, expected));
            }
        }
        assert!(HeaderValue::TOO_DEEP.contains(&MOST.to_string()));
    }

    #[test]
    fn numbers_are_read_from_text_and_numbers() {
        let numbers = [HeaderValue::from("7"), HeaderValue::I8(7), HeaderValue::I64(7)];
        assert!(numbers.iter().all(|number| number.as_i64() == Some(7)));
        assert_eq!(HeaderValue::Bool(true).as_i64(), None);
    }
}
