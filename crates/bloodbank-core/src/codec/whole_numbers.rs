//! `1.0` is an integer in JSON Schema, but not in serde.

use serde_json::{Number, Value};

/// The same payload with integers where it has floats without a fraction: `1.0` becomes `1`.
///
/// None where there is no such float. One that 64 bits do not hold exactly stays as it is.
pub(super) fn with_integers(value: &Value) -> Option<Value> {
    if !has_whole_float(value) {
        return None;
    }
    let mut value = value.clone();
    change(&mut value);
    Some(value)
}

fn has_whole_float(value: &Value) -> bool {
    match value {
        Value::Number(number) => integer(number).is_some(),
        Value::Array(items) => items.iter().any(has_whole_float),
        Value::Object(members) => members.values().any(has_whole_float),
        _ => false,
    }
}

fn change(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(integer) = integer(number) {
                *number = integer;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(change),
        Value::Object(members) => members.values_mut().for_each(change),
        _ => {}
    }
}

/// The integer that a float is.
fn integer(number: &Number) -> Option<Number> {
    let float = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0)?;
    // A cast stops at the limits of its type, and so does not come back from beyond them.
    let whole = float as i128;
    if whole as f64 != float {
        return None;
    }
    let unsigned = u64::try_from(whole).ok().map(Number::from);
    unsigned.or_else(|| i64::try_from(whole).ok().map(Number::from))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whole_floats_become_integers_wherever_they_are() {
        let value = json!({ "a": [1.0, 2.5, { "b": -0.0 }], "c": 1e3, "d": 7, "e": "1.0" });
        let expected = json!({ "a": [1, 2.5, { "b": 0 }], "c": 1000, "d": 7, "e": "1.0" });
        assert_eq!(with_integers(&value), Some(expected));
    }

    #[test]
    fn what_has_none_is_not_copied() {
        assert_eq!(with_integers(&json!({ "a": [1, 2.5, null, "x"] })), None);
    }

    #[test]
    fn only_what_64_bits_hold_exactly() {
        assert_eq!(with_integers(&json!(1e19)), Some(json!(10_000_000_000_000_000_000_u64)));
        assert_eq!(with_integers(&json!(-9_223_372_036_854_775_808.0)), Some(json!(i64::MIN)));
        for out in [json!(18_446_744_073_709_551_616.0), json!(-1e19), json!(1e300)] {
            assert_eq!(with_integers(&out), None, "{out}");
        }
    }
}
