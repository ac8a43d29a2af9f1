//! Equality of payloads by meaning.

use chrono::DateTime;
use serde_json::{Number, Value};
use uuid::Uuid;

/// Whether two payloads mean the same.
///
/// Numbers are compared by value (`1` is `1.0`, large integers exactly), RFC 3339 date-times by
/// instant (up to the nanosecond), UUIDs without regard to case, objects without regard to order.
/// Absent and null differ.
pub fn same_value(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => same_number(a, b),
        (Value::String(a), Value::String(b)) => a == b || same_uuid(a, b) || same_instant(a, b),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_value(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let same = |(key, a)| b.get(key).is_some_and(|b| same_value(a, b));
            a.len() == b.len() && a.iter().all(same)
        }
        _ => a == b,
    }
}

fn same_number(a: &Number, b: &Number) -> bool {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => a == b,
        (Some(whole), None) => b.as_f64().is_some_and(|float| is_whole(float, whole)),
        (None, Some(whole)) => a.as_f64().is_some_and(|float| is_whole(float, whole)),
        (None, None) => a.as_f64() == b.as_f64(),
    }
}

/// Whether a float is exactly this integer, which has at most 64 bits, so that the cast back cannot
/// meet it by saturating.
fn is_whole(float: f64, whole: i128) -> bool {
    float.fract() == 0.0 && float as i128 == whole
}

fn same_uuid(a: &str, b: &str) -> bool {
    let is_uuid = |text: &str| text.len() == UUID_LENGTH && Uuid::try_parse(text).is_ok();
    a.eq_ignore_ascii_case(b) && is_uuid(a)
}

/// With hyphens, as the format `uuid` wants it; no other form has as many characters.
const UUID_LENGTH: usize = 36;

fn same_instant(a: &str, b: &str) -> bool {
    // Shorter than `2025-01-31T12:00:00Z`, or no digit at the front: not worth parsing.
    let maybe = |text: &str| text.len() >= 20 && text.as_bytes()[0].is_ascii_digit();
    maybe(a)
        && maybe(b)
        && match (DateTime::parse_from_rfc3339(a), DateTime::parse_from_rfc3339(b)) {
            (Ok(a), Ok(b)) => a == b,
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn by_meaning() {
        let same = [
            (json!(1), json!(1.0)),
            (json!(0), json!(-0.0)),
            (json!(u64::MAX), json!(u64::MAX)),
            (json!({"a": 1, "b": [2]}), json!({"b": [2.0], "a": 1})),
            (json!("2025-01-31T12:00:00Z"), json!("2025-01-31T13:00:00.000+01:00")),
            (
                json!("67E55044-10B1-426F-9247-BB680E5FE0C8"),
                json!("67e55044-10b1-426f-9247-bb680e5fe0c8"),
            ),
            (json!(null), json!(null)),
        ];
        for (a, b) in same {
            assert!(same_value(&a, &b), "{a} is {b}");
        }
        let different = [
            (json!(u64::MAX), json!(u64::MAX as f64)),
            (json!(9_007_199_254_740_993_u64), json!(9_007_199_254_740_992.0)),
            (json!(1), json!("1")),
            (json!({"a": null}), json!({})),
            (json!([1, 2]), json!([2, 1])),
            (json!(""), json!(null)),
            (json!(""), json!("a")),
            (json!("2025-01-31T12:00:00Z"), json!("2025-01-31T12:00:00+01:00")),
            (json!("A"), json!("a")),
            (json!("67E5504410B1426F9247BB680E5FE0C8"), json!("67e5504410b1426f9247bb680e5fe0c8")),
        ];
        for (a, b) in different {
            assert!(!same_value(&a, &b), "{a} is not {b}");
        }
    }

    fn payloads() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[a-c]{0,3}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec(("[a-c]", inner), 0..4)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    /// The same payload with every order turned around and every small integer a float.
    fn disguise(value: &Value) -> Value {
        match value {
            Value::Number(n) => match n.as_i64() {
                Some(n) if n.abs() < 1 << 53 => json!(n as f64),
                _ => value.clone(),
            },
            Value::Array(items) => items.iter().map(disguise).collect(),
            Value::Object(object) => {
                object.iter().rev().map(|(key, value)| (key.clone(), disguise(value))).collect()
            }
            _ => value.clone(),
        }
    }

    proptest! {
        #[test]
        fn symmetric(a in payloads(), b in payloads()) {
            prop_assert!(same_value(&a, &a));
            prop_assert_eq!(same_value(&a, &b), same_value(&b, &a));
        }

        #[test]
        fn disguised_is_same(a in payloads()) {
            prop_assert!(same_value(&a, &disguise(&a)));
        }

        #[test]
        fn what_is_equal_is_same(a in payloads(), b in payloads()) {
            prop_assert!(a != b || same_value(&a, &b));
        }

        #[test]
        fn integers_and_floats(whole in any::<i64>()) {
            let float = whole as f64;
            prop_assert_eq!(same_value(&json!(whole), &json!(float)), float as i128 == i128::from(whole));
        }
    }
}
