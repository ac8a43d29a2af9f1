//! `services/registry.yaml`: who produces and consumes what.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::finding::{Finding, Place};
use crate::rules;
use crate::source::Sources;
use crate::suggest;

/// The service registry.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "registry-schema", derive(schemars::JsonSchema))]
pub struct Registry {
    /// The format of this file: `"1.0"`.
    pub version: String,
    /// The exchange that events go to; the default is what bloodbank declares itself.
    pub exchange: Option<Exchange>,
    /// The services, by name.
    #[serde(default)]
    pub services: BTreeMap<String, Service>,
    /// Key → the services that listen to it. Derived data; `services` counts.
    #[serde(default)]
    pub event_subscriptions: BTreeMap<String, Vec<String>>,
    /// Layer → services, for the picture of the topology.
    #[serde(default)]
    pub topology: BTreeMap<String, Vec<String>>,
}

/// The exchange that events go to.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "registry-schema", derive(schemars::JsonSchema))]
pub struct Exchange {
    /// `bloodbank.events.v1`.
    pub name: String,
    /// `topic`.
    #[serde(rename = "type")]
    pub exchange_type: String,
    /// Whether it outlives the broker's restart.
    pub durable: bool,
}

/// One service.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "registry-schema", derive(schemars::JsonSchema))]
pub struct Service {
    /// Its name again.
    pub name: Option<String>,
    /// What it is for, in a sentence.
    pub description: Option<String>,
    /// `event-producer` or `event-consumer`.
    #[serde(rename = "type")]
    pub service_type: Option<String>,
    /// `active`, `planned` or `deprecated`.
    pub status: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Words to find it by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Its queue, where it has one.
    pub queue_name: Option<String>,
    /// Its queues, where it has several that all get the same.
    #[serde(default)]
    pub queue_names: Vec<String>,
    /// Its queues, where it has several: name → the patterns that the queue is bound with.
    ///
    /// They count as `routing_keys` do.
    #[serde(default)]
    pub queues: BTreeMap<String, Vec<Key>>,
    /// The patterns its queues are bound with.
    #[serde(default)]
    pub routing_keys: Vec<Key>,
    /// Whether one process at a time gets all of its events, so that their order holds.
    #[serde(default)]
    pub ordered: bool,
    /// The keys of the events it publishes; `*` and `#` stand for what they match.
    #[serde(default)]
    pub produces: Vec<Key>,
    /// The keys of the events it listens to beside `routing_keys`.
    #[serde(default)]
    pub consumes: Vec<Key>,
    /// The commands it has to do with.
    #[serde(default)]
    pub commands: Commands,
    /// Name → URL.
    #[serde(default)]
    pub endpoints: BTreeMap<String, String>,
    /// How it is run; free form.
    #[serde(default)]
    pub runtime: BTreeMap<String, serde_json::Value>,
}

impl Service {
    /// The names under `queue_name` and `queue_names`, each with the field it stands in.
    pub(crate) fn queue_names(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let one = self.queue_name.iter().map(|name| (name.as_str(), "queue_name"));
        one.chain(self.queue_names.iter().map(|name| (name.as_str(), "queue_names")))
    }

    /// The patterns that go to no queue by name.
    pub(crate) fn common_keys(&self) -> impl Iterator<Item = &Key> {
        self.routing_keys.iter().chain(&self.consumes)
    }

    /// All patterns of events that it listens to.
    pub(crate) fn listens_to(&self) -> impl Iterator<Item = &Key> {
        self.common_keys().chain(self.queues.values().flatten())
    }
}

/// The commands a service has to do with.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "registry-schema", derive(schemars::JsonSchema))]
pub struct Commands {
    /// The keys of the commands it sends.
    #[serde(default)]
    pub sends: Vec<Key>,
    /// The keys of the commands it carries out.
    #[serde(default)]
    pub handles: Vec<Key>,
}

/// A key or a topic pattern, with its place in the file.
#[derive(Clone, Debug)]
pub struct Key {
    /// As written.
    pub text: String,
    range: std::ops::Range<usize>,
}

impl Key {
    /// Its place in the registry's file.
    pub fn place(&self, path: &str) -> Place {
        Place::bytes(path, self.range.clone())
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<String>::deserialize(deserializer)?;
        let span = spanned.referenced.span();
        let bytes = |count: Option<u64>| count.and_then(|count| usize::try_from(count).ok());
        let start = bytes(span.byte_offset()).unwrap_or(0);
        let length = bytes(span.byte_len()).unwrap_or(spanned.value.len());
        Ok(Key { text: spanned.value, range: start..start + length })
    }
}

#[cfg(feature = "registry-schema")]
impl schemars::JsonSchema for Key {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Key".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": r"^([a-z][a-z0-9_]*|\*|#)(\.([a-z][a-z0-9_]*|\*|#))*$",
        })
    }
}

/// The JSON Schema of registry.yaml, derived from the type that reads it.
#[cfg(feature = "registry-schema")]
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(Registry).to_value()
}

/// The fields of [`Registry`], of [`Exchange`], [`Service`] and [`Commands`].
const FIELDS: [&str; 5] = ["version", "exchange", "services", "event_subscriptions", "topology"];
const EXCHANGE_FIELDS: [&str; 3] = ["name", "type", "durable"];
const SERVICE_FIELDS: [&str; 16] = [
    "name",
    "description",
    "type",
    "status",
    "owner",
    "tags",
    "ordered",
    "queue_name",
    "queue_names",
    "queues",
    "routing_keys",
    "produces",
    "consumes",
    "commands",
    "endpoints",
    "runtime",
];
const COMMANDS_FIELDS: [&str; 2] = ["sends", "handles"];

/// HF063: fields that nothing reads.
fn find_unknown_fields(path: &str, text: &str, findings: &mut Vec<Finding>) {
    let Ok(registry) = serde_saphyr::from_str::<serde_json::Value>(text) else { return };
    let mut check = |at: &serde_json::Value, words: &[&str], known: &[&str]| {
        for name in at.as_object().into_iter().flat_map(|fields| fields.keys()) {
            if known.contains(&name.as_str()) {
                continue;
            }
            let within = match words {
                [] => String::new(),
                words => format!(" of `{}`", words.join(".")),
            };
            let message = format!("nothing reads the field `{name}`{within}");
            let help = match suggest::nearest(name, known.iter().copied()).first() {
                Some(near) => format!("did you mean `{near}`?"),
                None => "remove it, or put it under `runtime`, which is free form".to_owned(),
            };
            let place = field_place(path, text, words, name);
            findings.push(Finding::new(rules::REGISTRY_FIELD, message, place).help(help));
        }
    };
    check(&registry, &[], &FIELDS);
    check(&registry["exchange"], &["exchange"], &EXCHANGE_FIELDS);
    for (name, service) in registry["services"].as_object().into_iter().flatten() {
        check(service, &["services", name], &SERVICE_FIELDS);
        check(&service["commands"], &["services", name, "commands"], &COMMANDS_FIELDS);
    }
}

/// The name of a field, found by the names of the blocks around it, each a member of the last.
///
/// Where it does not stand on a line of its own, the innermost of the blocks that does.
pub(crate) fn field_place(path: &str, text: &str, blocks: &[&str], field: &str) -> Place {
    let mut wanted = blocks.iter().chain([&field]).peekable();
    let mut found = Place::file(path);
    // How far in the last block that was found stands, and how far its members.
    let (mut depth, mut members) = (None, None);
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let start = offset;
        offset += line.len();
        let content = line.trim_start();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let indent = line.len() - content.len();
        if depth.is_some_and(|depth| indent <= depth) {
            break;
        }
        let quote = usize::from(content.starts_with(['"', '\'']));
        let is_named = wanted.peek().is_some_and(|name| {
            let rest = content[quote..].strip_prefix(**name);
            rest.is_some_and(|rest| rest.trim_start_matches(['"', '\'', ' ']).starts_with(':'))
        });
        if *members.get_or_insert(indent) == indent && is_named {
            (depth, members) = (Some(indent), None);
            let start = start + indent + quote;
            found = Place::bytes(path, start..start + wanted.next().map_or(0, |name| name.len()));
            if wanted.peek().is_none() {
                break;
            }
        }
    }
    found
}

/// What the YAML parser says, without the place and without its own types and options.
fn plain_words(problem: &str) -> String {
    let problem = problem.rsplit_once(" at line ").map_or(problem, |(problem, _)| problem);
    let problem = problem.split(", set DuplicateKeyPolicy").next().unwrap_or(problem);
    problem.replace("mapping start", "a mapping").replace("sequence start", "a list")
}

/// Reads a registry from its text; a finding where that fails.
pub(crate) fn parse(
    path: &str,
    text: &str,
    sources: &mut Sources,
    findings: &mut Vec<Finding>,
) -> Option<Registry> {
    sources.insert(path, text);
    match serde_saphyr::from_str(text) {
        Ok(registry) => {
            find_unknown_fields(path, text, findings);
            Some(registry)
        }
        Err(error) => {
            let location = error.location();
            let offset = location.and_then(|l| l.span().byte_offset()).unwrap_or(0);
            let start = usize::try_from(offset).unwrap_or(0).min(text.len());
            let place = Place::bytes(path, start..(start + 1).min(text.len()));
            let problem = error.without_snippet().to_string();
            let problem = plain_words(&problem);
            let message = format!("the service registry cannot be read: {problem}");
            findings.push(Finding::new(rules::REGISTRY, message, place));
            None
        }
    }
}

#[cfg(all(test, feature = "registry-schema"))]
mod tests {
    use super::*;

    #[test]
    fn the_fields_that_are_known_are_those_that_are_read() {
        let schema = json_schema();
        let fields = |at: &str| {
            let properties = schema.pointer(at).and_then(serde_json::Value::as_object).unwrap();
            properties.keys().cloned().collect::<std::collections::BTreeSet<_>>()
        };
        let listed = |fields: &[&str]| fields.iter().map(|f| (*f).to_owned()).collect();
        assert_eq!(fields("/properties"), listed(&FIELDS));
        assert_eq!(fields("/$defs/Exchange/properties"), listed(&EXCHANGE_FIELDS));
        assert_eq!(fields("/$defs/Service/properties"), listed(&SERVICE_FIELDS));
        assert_eq!(fields("/$defs/Commands/properties"), listed(&COMMANDS_FIELDS));
    }
}
