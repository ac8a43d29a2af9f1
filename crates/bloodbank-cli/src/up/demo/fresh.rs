//! Payloads that are new: those of examples with other ids and times.

use std::collections::HashMap;

use bloodbank::chrono::{DateTime, SecondsFormat, Utc};
use bloodbank::uuid::Uuid;
use serde_json::{Map, Value};

/// The ids of a workflow: fields of one name have one id in all of its messages.
#[derive(Default)]
pub(super) struct Ids(HashMap<String, Uuid>);

impl Ids {
    /// The example with ids of this workflow in place of its UUIDs, and now in place of its times.
    pub(super) fn freshen(&mut self, example: &Value) -> Value {
        self.freshen_at(example, "", Utc::now())
    }

    fn freshen_at(&mut self, value: &Value, name: &str, now: DateTime<Utc>) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text, name, now)),
            Value::Array(items) => {
                let fresh = |(place, item)| self.freshen_at(item, &format!("{name}/{place}"), now);
                Value::Array(items.iter().enumerate().map(fresh).collect())
            }
            Value::Object(fields) => {
                let fresh =
                    |(name, value): (&String, _)| (name.clone(), self.freshen_at(value, name, now));
                Value::Object(fields.iter().map(fresh).collect::<Map<_, _>>())
            }
            other => other.clone(),
        }
    }

    fn text(&mut self, text: &str, name: &str, now: DateTime<Utc>) -> String {
        if text.len() == 36 && Uuid::parse_str(text).is_ok() {
            return self.0.entry(name.to_owned()).or_insert_with(Uuid::now_v7).to_string();
        }
        match DateTime::parse_from_rfc3339(text) {
            Ok(_) => now.to_rfc3339_opts(SecondsFormat::Millis, true),
            Err(_) => text.to_owned(),
        }
    }
}

/// The payload without something that its contract may need: the fields of an object, one after the other.
pub(super) fn broken(payload: &Value) -> Vec<Value> {
    let Some(fields) = payload.as_object() else { return vec![Value::Null] };
    let without = |name: &String| {
        let mut fields = fields.clone();
        fields.shift_remove(name);
        Value::Object(fields)
    };
    fields.keys().map(without).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn fields_of_one_name_have_one_id_in_a_workflow_and_times_are_now() {
        let (one, other) = (Uuid::now_v7().to_string(), Uuid::now_v7().to_string());
        let mut ids = Ids::default();
        let first = ids.freshen(&json!({
            "order_id": one, "at": "2020-01-01T00:00:00+02:00", "lines": [one, other], "n": 3,
            "title": "2020 in review",
        }));
        let second = ids.freshen(&json!({ "order_id": other, "deep": { "order_id": one } }));
        assert_ne!(first["order_id"], json!(one));
        assert_eq!(first["order_id"], second["order_id"]);
        assert_eq!(first["order_id"], second["deep"]["order_id"]);
        assert_ne!(first["lines"][0], first["lines"][1]);
        assert_eq!((&first["n"], &first["title"]), (&json!(3), &json!("2020 in review")));
        let at: DateTime<Utc> = first["at"].as_str().unwrap().parse().unwrap();
        assert!((Utc::now() - at).num_seconds().abs() < 60);
    }
}
