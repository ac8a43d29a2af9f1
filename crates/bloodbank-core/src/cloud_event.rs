//! CloudEvents 1.0: the same envelope in the words that others use.
//!
//! | envelope | CloudEvent |
//! |---|---|
//! | `event_type` | `type` |
//! | `timestamp` | `time` |
//! | `schema` | `dataschema` |
//! | `correlation_id`, `causation_id`, `session_id` | `correlationid`, `causationid`, `sessionid` |
//! | `id`, `source`, `traceparent`, `tracestate`, `data` | the same |
//!
//! `datacontenttype` is always JSON. A field that the envelope does not know becomes an extension, and
//! an extension such a field, where both can have its name and value: lower-case letters and digits,
//! and a text, a whole number of 32 bits or a truth value. All others are together in the extension
//! [`EXTRA`], as the text of a JSON object. So every envelope comes back as it was.
//!
//! A source that is not a URI reference, and a session with control characters, have no form as a
//! CloudEvent and are refused.

use std::fmt::Write;

use fluent_uri::UriRef;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::bounds::FIELDS;
use crate::{Code, Envelope, EnvelopeError, escape_control};

/// The version of the specification.
const VERSION: &str = "1.0";
/// The extension that holds the unknown fields that cannot be extensions themselves.
pub const EXTRA: &str = "bloodbankextra";
/// The field that keeps the id of a CloudEvent whose id is not a UUID.
pub const FOREIGN_ID: &str = "cloudeventid";
/// The media type of the payload.
const JSON: &str = "application/json";

/// The namespace (RFC 9562) of ids that are made from a source and an id that is not a UUID.
const FOREIGN_IDS: Uuid = Uuid::from_u128(0x8e2f_6a10_35bd_4c0e_9b57_d1a4_70c8_2f93);

/// Fields of the envelope that have another name there.
const RENAMED: [(&str, &str); 6] = [
    ("event_type", "type"),
    ("timestamp", "time"),
    ("schema", "dataschema"),
    ("correlation_id", "correlationid"),
    ("causation_id", "causationid"),
    ("session_id", "sessionid"),
];

/// Why an envelope has no form as a CloudEvent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the envelope has no form as a CloudEvent: its `{field}` is not {expected}")]
#[non_exhaustive]
pub struct NotACloudEvent {
    /// The field of the envelope.
    pub field: &'static str,
    /// What it would have to be.
    pub expected: &'static str,
}

impl NotACloudEvent {
    /// Its code, [`Code::NotACloudEvent`].
    pub fn code(&self) -> Code {
        Code::NotACloudEvent
    }
}

impl Envelope {
    /// The attributes of the CloudEvent that says the same, `data` among them.
    ///
    /// # Errors
    /// If a field has no form there.
    pub fn to_cloud_event(&self) -> Result<Map<String, Value>, NotACloudEvent> {
        self.check_cloud_event()?;
        let mut event = Map::from_iter([
            ("specversion".to_owned(), json!(VERSION)),
            ("datacontenttype".to_owned(), json!(JSON)),
        ]);
        let mut extra = Map::new();
        // A tree of texts and maps always has a JSON form.
        let fields = serde_json::to_value(self).unwrap_or_default();
        for (name, value) in fields.as_object().into_iter().flatten() {
            if FIELDS.contains(&name.as_str()) {
                event.insert(their_name(name).to_owned(), value.clone());
            } else if is_extension(name, value) {
                event.insert(name.clone(), value.clone());
            } else {
                extra.insert(name.clone(), value.clone());
            }
        }
        if !extra.is_empty() {
            event.insert(EXTRA.to_owned(), ascii(&Value::Object(extra).to_string()).into());
        }
        Ok(event)
    }

    fn check_cloud_event(&self) -> Result<(), NotACloudEvent> {
        let is_uri = !self.source.is_empty() && UriRef::parse(self.source.as_str()).is_ok();
        if !is_uri {
            return Err(NotACloudEvent { field: "source", expected: "a URI reference" });
        }
        match &self.session_id {
            Some(session) if !is_text(session) => {
                Err(NotACloudEvent { field: "session_id", expected: "free of control characters" })
            }
            _ => Ok(()),
        }
    }

    /// Reads the envelope of a CloudEvent that travelled under a routing key, from its attributes, as
    /// [`read`](Envelope::read) reads one in our own words.
    ///
    /// An id that is not a UUID gives one that is made from it and the source, always the same, and is
    /// kept in the field [`FOREIGN_ID`].
    ///
    /// # Errors
    /// [`EnvelopeError`]. Events without `time` or with data that is not JSON are not taken in.
    pub fn read_cloud_event(
        key: &str,
        attributes: Map<String, Value>,
    ) -> Result<Self, EnvelopeError> {
        let fields = fields(attributes)
            .map_err(|reason| EnvelopeError::Malformed(escape_control(&reason)))?;
        Envelope::judged(key, serde_json::from_value(Value::Object(fields)))
    }
}

/// The fields of the envelope that a CloudEvent says.
fn fields(attributes: Map<String, Value>) -> Result<Map<String, Value>, String> {
    check_version(&attributes)?;
    check_data(&attributes)?;
    if !attributes.get("time").is_some_and(Value::is_string) {
        return Err("a CloudEvent without `time`".to_owned());
    }
    let mut fields = Map::new();
    for (name, value) in attributes {
        match name.as_str() {
            "specversion" | "datacontenttype" => {}
            // What is null is absent.
            _ if value.is_null() => {}
            EXTRA => add_extra(&value, &mut fields)?,
            theirs => match our_name(theirs) {
                Some(ours) => add(ours, value, &mut fields)?,
                None => add_unknown(theirs, value, &mut fields)?,
            },
        }
    }
    take_id(&mut fields)?;
    Ok(fields)
}

fn check_version(attributes: &Map<String, Value>) -> Result<(), String> {
    match attributes.get("specversion") {
        Some(version) if version == VERSION => Ok(()),
        Some(other) => Err(format!("CloudEvents {other} are not taken in, only \"{VERSION}\"")),
        None => Err("a CloudEvent without `specversion`".to_owned()),
    }
}

fn check_data(attributes: &Map<String, Value>) -> Result<(), String> {
    let has = |name: &str| attributes.get(name).is_some_and(|value| !value.is_null());
    match (has("data"), has("data_base64")) {
        (true, false) => {}
        (true, true) => return Err("a CloudEvent with both `data` and `data_base64`".to_owned()),
        (false, true) => return Err("a CloudEvent with `data_base64`, not JSON".to_owned()),
        (false, false) => return Err("a CloudEvent without `data`".to_owned()),
    }
    match attributes.get("datacontenttype") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(media)) if is_json(media) => Ok(()),
        Some(other) => Err(format!("a CloudEvent with data of the type {other}, not JSON")),
    }
}

/// Whether a media type is that of JSON: `application/json`, or one that ends with `+json`.
fn is_json(media: &str) -> bool {
    let essence = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == JSON || essence == "text/json" || essence.ends_with("+json")
}

/// Fields that were together in one extension.
fn add_extra(value: &Value, fields: &mut Map<String, Value>) -> Result<(), String> {
    let text = value.as_str().unwrap_or_default();
    let extra: Map<String, Value> = serde_json::from_str(text)
        .map_err(|_| format!("a CloudEvent whose `{EXTRA}` is not the text of a JSON object"))?;
    extra.into_iter().try_for_each(|(name, value)| add_unknown(&name, value, fields))
}

fn add_unknown(name: &str, value: Value, fields: &mut Map<String, Value>) -> Result<(), String> {
    if FIELDS.contains(&name) {
        return Err(format!("a CloudEvent whose extension `{name}` is a field of the envelope"));
    }
    add(name, value, fields)
}

fn add(name: &str, value: Value, fields: &mut Map<String, Value>) -> Result<(), String> {
    match fields.insert(name.to_owned(), value) {
        None => Ok(()),
        Some(_) => Err(format!("a CloudEvent that says `{name}` twice")),
    }
}

/// Makes a UUID of an id that is none.
fn take_id(fields: &mut Map<String, Value>) -> Result<(), String> {
    let Some(id) = fields.get("id").and_then(Value::as_str).map(str::to_owned) else {
        return Err("a CloudEvent without `id`".to_owned());
    };
    if id.len() == uuid::fmt::Hyphenated::LENGTH && Uuid::try_parse(&id).is_ok() {
        return Ok(());
    }
    let source = fields.get("source").and_then(Value::as_str).unwrap_or_default();
    let name = format!("{}\n{source}\n{id}", source.len());
    let made = Uuid::new_v5(&FOREIGN_IDS, name.as_bytes()).to_string();
    fields.insert("id".to_owned(), made.into());
    add_unknown(FOREIGN_ID, id.into(), fields)
}

fn their_name(ours: &str) -> &str {
    RENAMED.iter().find(|(name, _)| *name == ours).map_or(ours, |(_, theirs)| theirs)
}

/// The field that an attribute is; none for an extension.
fn our_name(theirs: &str) -> Option<&'static str> {
    let renamed = RENAMED.iter().find(|(_, name)| *name == theirs).map(|(ours, _)| *ours);
    let is_renamed = |ours: &str| RENAMED.iter().any(|(name, _)| *name == ours);
    let same = FIELDS.iter().find(|ours| **ours == theirs && !is_renamed(ours));
    renamed.or(same.copied())
}

/// Whether a field that the envelope does not know can be an extension, and come back from it.
fn is_extension(name: &str, value: &Value) -> bool {
    let is_name = !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let is_taken = ["specversion", "datacontenttype", EXTRA].contains(&name)
        || RENAMED.iter().any(|(_, theirs)| *theirs == name);
    let is_value = match value {
        Value::Bool(_) => true,
        Value::Number(number) => number.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
        Value::String(text) => !text.is_empty() && is_text(text),
        _ => false,
    };
    is_name && !is_taken && is_value
}

/// Whether a text is one that CloudEvents take: without control characters and what is not a
/// character.
fn is_text(text: &str) -> bool {
    let is_nothing = |c: char| {
        let low = u32::from(c) & 0xFFFF;
        low >= 0xFFFE || ('\u{FDD0}'..='\u{FDEF}').contains(&c)
    };
    !text.chars().any(|c| c.is_control() || is_nothing(c))
}

/// JSON in which everything but plain ASCII is escaped.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if matches!(character, ' '..='~') {
            text.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to a String cannot fail.
            let _ = write!(text, "\\u{unit:04x}");
        }
    }
    text
}
