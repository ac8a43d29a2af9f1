//! Which files are contracts, and what each is called.

use serde_json::Value;

use crate::file::SchemaFile;
use crate::finding::{Finding, Place};
use crate::key::{Kind, RoutingKey, version_word};
use crate::resolve::References;
use crate::rules;

/// The properties that may name a contract's key.
pub const KEY_PROPERTIES: [&str; 2] = ["event_type", "type"];

/// What a contract is, as its const and its path say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Event or command.
    pub kind: Kind,
    /// The bare keys; more than one only where the schema has an enum of them.
    pub keys: Vec<RoutingKey>,
    /// 1 unless the file name says `.v<N>`.
    pub version: u32,
    /// The property whose const or enum names the key; none where only the path does.
    pub key_property: Option<&'static str>,
}

/// Tells contracts from libraries: none for a library.
pub(crate) fn identify(
    index: usize,
    file: &SchemaFile,
    references: &References,
    findings: &mut Vec<Finding>,
) -> Option<Identity> {
    if is_private(file) {
        return None;
    }
    let path = PathIdentity::of(file);
    let named = KeyConst::of(file);
    let by_path = path.key.as_ref().or(match references.is_referenced(index) {
        true => None,
        false => path.short_key.as_ref(),
    });
    let (texts, key_property, place) = match (&named, by_path) {
        (Some(named), _) => (named.keys.clone(), Some(named.property), named.place(file)),
        (None, Some(key)) => (vec![key.as_str()], None, Place::file(&file.path)),
        (None, None) => {
            warn_if_keyless(index, file, references, findings);
            return None;
        }
    };
    let place_of = |index| match &named {
        Some(named) => named.place_of(file, index),
        None => place.clone(),
    };
    let keys = parse_keys(&texts, &place, place_of, findings)?;
    if let (Some(named), Some(by_path)) = (&named, &path.key)
        && !named.keys.contains(&by_path.as_str())
    {
        let message = format!(
            "the const says `{}` and the path `{by_path}`; the const counts",
            named.keys.join("`, `"),
        );
        findings.push(
            Finding::new(rules::KEY_AGAINST_PATH, message, named.place(file))
                .help("rename the file, or correct the const"),
        );
    }
    if named.is_none() && file.schema.pointer("/properties/event_type").is_some() {
        warn_without_const(file, &keys[0], findings);
    }
    Some(Identity { kind: path.kind, keys, version: path.version, key_property })
}

/// `_common/` and `_base.json` are for others to refer to, whatever is in them.
fn is_private(file: &SchemaFile) -> bool {
    file.path.split('/').any(|word| word.starts_with('_'))
}

/// What the path says: `<domain>/[commands/]<entity>.<action>.v<N>[.schema].json`.
struct PathIdentity {
    kind: Kind,
    version: u32,
    key: Option<String>,
    /// The key of `voice/transcription.v1.json`, a versioned object of one word: a contract unless
    /// another file refers to it.
    short_key: Option<String>,
}

impl PathIdentity {
    fn of(file: &SchemaFile) -> Self {
        let mut words: Vec<&str> = file.stem().split('/').collect();
        let name = words.pop().unwrap_or_default();
        let marked = file.text("x-bloodbank-kind") == Some("command");
        let in_commands = words.last() == Some(&"commands");
        if in_commands {
            words.pop();
        }
        let (name, version) = match name.rsplit_once('.') {
            Some((name, last)) => match version_word(last) {
                Some(version) => (name, Some(version)),
                None => (name, None),
            },
            None => (name, None),
        };
        let bare = if version.is_some() { name } else { "" };
        let key = words.last().map(|domain| format!("{domain}.{bare}"));
        let words = if bare.is_empty() { 0 } else { bare.split('.').count() };
        let is_object = file.schema.get("properties").is_some();
        PathIdentity {
            kind: if marked || in_commands { Kind::Command } else { Kind::Event },
            version: version.unwrap_or(1),
            key: key.clone().filter(|_| words == 2),
            short_key: key.filter(|_| words == 1 && is_object),
        }
    }
}

/// The keys that a schema names in the const or enum of `event_type` or `type`.
struct KeyConst<'a> {
    property: &'static str,
    keyword: &'static str,
    keys: Vec<&'a str>,
}

impl<'a> KeyConst<'a> {
    fn of(file: &'a SchemaFile) -> Option<Self> {
        KEY_PROPERTIES.into_iter().find_map(|property| {
            let schema = file.schema.get("properties")?.get(property)?;
            if let Some(key) = schema.get("const").and_then(Value::as_str) {
                // `type: {const: "s3"}` may as well be some other discriminator.
                let is_key = property == "event_type" || key.contains('.');
                return is_key.then(|| KeyConst { property, keyword: "const", keys: vec![key] });
            }
            let values = schema.get("enum")?.as_array()?;
            let keys: Option<Vec<&str>> = values.iter().map(Value::as_str).collect();
            let keys = keys.filter(|keys| !keys.is_empty() && keys.iter().all(|k| k.contains('.')));
            Some(KeyConst { property, keyword: "enum", keys: keys? })
        })
    }

    /// The one of its keys that an index means.
    fn place_of(&self, file: &SchemaFile, index: usize) -> Place {
        match self.keyword {
            "enum" => {
                Place::value(&file.path, format!("/properties/{}/enum/{index}", self.property))
            }
            _ => self.place(file),
        }
    }

    fn place(&self, file: &SchemaFile) -> Place {
        Place::value(&file.path, format!("/properties/{}/{}", self.property, self.keyword))
    }
}

/// The const or enum that names a contract's key; none where only the path does.
pub(crate) fn named_key_place(file: &SchemaFile) -> Option<Place> {
    KeyConst::of(file).map(|named| named.place(file))
}

fn parse_keys(
    texts: &[&str],
    place: &Place,
    place_of: impl Fn(usize) -> Place,
    findings: &mut Vec<Finding>,
) -> Option<Vec<RoutingKey>> {
    let mut keys: Vec<RoutingKey> = Vec::new();
    let mut all_parse = true;
    for (index, text) in texts.iter().enumerate() {
        match text.parse::<RoutingKey>() {
            Ok(key) if keys.contains(&key) => {}
            Ok(key) => keys.push(key),
            Err(error) => {
                all_parse = false;
                let finding =
                    Finding::new(rules::MISSHAPEN_KEY, error.to_string(), place_of(index));
                findings.push(
                    finding.help(
                        "write `<domain>.<entity>.<action>`, as in `theboard.meeting.created`",
                    ),
                );
            }
        }
    }
    for key in keys.iter().filter(|key| key.words().count() != 3) {
        let count = key.words().count();
        let message = format!("`{key}` has {count} words; keys have three by convention");
        findings.push(
            Finding::new(rules::UNUSUAL_KEY, message, place.clone())
                .help("bindings such as `*.*.created` do not match it"),
        );
    }
    all_parse.then_some(keys)
}

/// An event without a const: nothing ties the payload's `event_type` to the key.
fn warn_without_const(file: &SchemaFile, key: &RoutingKey, findings: &mut Vec<Finding>) {
    let message = format!("`event_type` of `{key}` has no const; any text would be accepted");
    let place = Place::key(&file.path, "/properties/event_type");
    findings.push(
        Finding::new(rules::MISSING_KEY, message, place)
            .help(format!("write `\"event_type\": {{ \"const\": \"{key}\" }}`")),
    );
}

/// A file that nobody refers to and that has an `event_type` was meant to be a contract.
fn warn_if_keyless(
    index: usize,
    file: &SchemaFile,
    references: &References,
    findings: &mut Vec<Finding>,
) {
    let has_event_type = file.schema.pointer("/properties/event_type").is_some();
    if has_event_type && !references.is_referenced(index) {
        let message = format!("`{}` has an `event_type` but names no key", file.path);
        findings.push(
            Finding::new(
                rules::MISSING_KEY,
                message,
                Place::key(&file.path, "/properties/event_type"),
            )
            .help(
                "give `event_type` a const, or name the file `<domain>/<entity>.<action>.v1.json`",
            ),
        );
    }
}
