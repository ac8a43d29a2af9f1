//! The bundle: a catalog as one self-contained JSON document.
//!
//! It is what generated code embeds, what validators are built from and what tools read when they
//! want the catalog as data. References are rewritten to `#/$defs/<file>/…`, older drafts are
//! lowered to 2020-12, and nothing else about a schema is changed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::delay::Delay;
use crate::keep::Keep;
use crate::key::{Kind, RoutingKey};
use crate::pointer;

/// The word under which a command's schema holds that of its answer.
pub const REPLY: &str = "x-bloodbank-reply";

/// All contracts and services of a catalog, and every schema they reach.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bundle {
    /// Sorted by kind, key and version.
    pub contracts: Vec<BundledContract>,
    /// Sorted by name; empty without a registry.
    #[serde(default)]
    pub services: Vec<BundledService>,
    /// What the registry says about the exchange of events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<BundledExchange>,
    /// How long a store keeps events, as the registry says. The first that matches a key counts; what
    /// none matches is kept for ever.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retention: Vec<BundledRetention>,
    /// The layers in which a picture of the topology arranges the services, in the order of the
    /// registry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topology: Vec<BundledLayer>,
    /// Key or pattern → the services that listen to it, as the registry says for readers. What counts
    /// is [`BundledService::consumes`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub event_subscriptions: BTreeMap<String, Vec<String>>,
    /// One schema per file, by its path under the schema root without `.json`.
    ///
    /// Every `$ref` inside reads `#/$defs/<file>` plus, maybe, a pointer into that file.
    #[serde(rename = "$defs")]
    pub definitions: Map<String, Value>,
}

/// One event or command, one version of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BundledContract {
    /// Event or command.
    pub kind: Kind,
    /// The bare keys, one except for a contract whose key is an enum.
    pub keys: Vec<RoutingKey>,
    /// 1 unless the file name says `.v<N>`.
    pub version: u32,
    /// The schema's `$id`, else its path.
    pub schema_id: String,
    /// The schema's title, else the key.
    pub title: String,
    /// The schema's description, else empty.
    #[serde(default)]
    pub description: String,
    /// The generated Rust type below the module of generated code: `theboard::MeetingCreated`.
    pub rust_type: String,
    /// The name of its schema in [`Bundle::definitions`].
    pub definition: String,
}

/// The exchange of RabbitMQ that events are published to, as far as the registry describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundledExchange {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its type: `topic`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub exchange_type: Option<String>,
    /// Whether it outlives a restart of the broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durable: Option<bool>,
}

/// How long a store keeps events of some keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundledRetention {
    /// A key, or a pattern.
    pub keys: String,
    /// From when they were stored.
    pub keep: Keep,
}

/// A layer of the topology: services that a picture shows side by side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundledLayer {
    /// Its name.
    pub name: String,
    /// The names of its services, in the order of the registry.
    pub services: Vec<String>,
}

/// One service of the registry: what describes it, and what it may do (bare keys and routes of
/// contracts, wildcards expanded).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BundledService {
    /// Its name in registry.yaml.
    pub name: String,
    /// Its marker type in Rust: `TheboardProducer`.
    pub rust_type: String,
    /// What it is for, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `event-producer` or `event-consumer`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub service_type: Option<String>,
    /// `active`, `planned` or `deprecated`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The person or team that answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Words to find it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Name → URL.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub endpoints: BTreeMap<String, String>,
    /// How it is run; free form.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub runtime: Map<String, Value>,
    /// Routes (key with version) of the events it may publish.
    pub produces: BTreeSet<String>,
    /// Routes of the events it listens to.
    pub consumes: BTreeSet<String>,
    /// Routes of the commands it may send.
    pub sends: BTreeSet<String>,
    /// Routes of the commands it carries out.
    pub handles: BTreeSet<String>,
    /// The queues that its events come through, sorted by name; empty if it listens to none.
    #[serde(default)]
    pub queues: Vec<BundledQueue>,
    /// How the worker queues of its commands are; its other queues say it themselves.
    #[serde(default, skip_serializing_if = "QueueLimits::is_empty")]
    pub limits: QueueLimits,
}

/// A queue of a service, and what it is bound with on the exchange of events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundledQueue {
    /// Its name on the broker.
    pub name: String,
    /// Topic patterns without doubles, in the order of registry.yaml.
    ///
    /// Behind a pattern stand the later versions that it means and does not match:
    /// `shop.order.paid`, then `shop.order.paid.v2`. No command's key is among them.
    pub bindings: Vec<String>,
    /// Whether one consumer at a time gets all of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ordered: bool,
    /// What else the registry says about it.
    #[serde(flatten)]
    pub limits: QueueLimits,
}

/// What the registry says about retries and room of a queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueLimits {
    /// How long a message waits before each further attempt; none means one attempt. `None` leaves it
    /// to the consumer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<Vec<Delay>>,
    /// The most messages that it holds. `None` leaves it to the transport.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u64>,
}

impl QueueLimits {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == QueueLimits::default()
    }
}

impl Bundle {
    /// The contract that describes payloads with this routing key (with its version).
    pub fn contract(&self, route: &str) -> Option<&BundledContract> {
        self.contracts.iter().find(|c| c.routes().any(|r| r == route))
    }

    /// The service of this name in the registry.
    pub fn service(&self, name: &str) -> Option<&BundledService> {
        self.services.iter().find(|s| s.name == name)
    }

    /// The layers of the topology that a service is in.
    pub fn layers_of<'b>(&'b self, service: &'b str) -> impl Iterator<Item = &'b str> {
        let layers = self.topology.iter();
        layers
            .filter(move |layer| layer.services.iter().any(|name| name == service))
            .map(|layer| layer.name.as_str())
    }

    /// The schema of a contract, references not followed.
    pub fn schema(&self, contract: &BundledContract) -> &Value {
        self.definitions.get(&contract.definition).unwrap_or(&Value::Null)
    }

    /// The payloads under `examples`: each must be accepted.
    pub fn examples(&self, contract: &BundledContract) -> &[Value] {
        list(self.schema(contract), "examples")
    }

    /// The payloads under `x-bloodbank-counterexamples`: each must be refused.
    ///
    /// An entry is `{"why": "…", "data": payload}`; entries of another shape are left out.
    pub fn counterexamples(
        &self,
        contract: &BundledContract,
    ) -> impl Iterator<Item = CounterExample<'_>> {
        list(self.schema(contract), "x-bloodbank-counterexamples").iter().filter_map(|entry| {
            Some(CounterExample { why: entry.get("why")?.as_str()?, data: entry.get("data")? })
        })
    }

    /// The schema of what a command is answered with, references not followed: that under
    /// `x-bloodbank-reply`. `None` for a command that does not say, and for an event.
    pub fn reply(&self, contract: &BundledContract) -> Option<&Value> {
        self.schema(contract).get(REPLY).filter(|_| contract.kind == Kind::Command)
    }

    /// The same as a document of its own.
    pub fn reply_document(&self, contract: &BundledContract) -> Option<Value> {
        self.reply(contract)?;
        let mut document = self.document(contract);
        let at = format!("/{}", pointer::escape(REPLY));
        document["$ref"] = reference_to(&contract.definition, &at).into();
        Some(document)
    }

    /// The schema of a contract as a document of its own: its `$defs` hold what it reaches.
    pub fn document(&self, contract: &BundledContract) -> Value {
        let mut reached = BTreeSet::from([contract.definition.as_str()]);
        let mut open = vec![contract.definition.as_str()];
        while let Some(name) = open.pop() {
            if let Some(schema) = self.definitions.get(name) {
                for_each_reference(schema, &mut |reference| {
                    let target = self.definition_of(reference);
                    if let Some(name) = target.filter(|name| reached.insert(name)) {
                        open.push(name);
                    }
                });
            }
        }
        let definitions =
            self.definitions.iter().filter(|(name, _)| reached.contains(name.as_str()));
        let definitions: Map<_, _> = definitions.map(|(n, s)| (n.clone(), s.clone())).collect();
        serde_json::json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$ref": reference_to(&contract.definition, ""),
            "$defs": definitions,
        })
    }

    fn definition_of(&self, reference: &str) -> Option<&str> {
        let place = pointer::from_fragment(reference);
        let first = place.strip_prefix("#/$defs/")?.split('/').next()?;
        let name = pointer::unescape(first);
        self.definitions.get_key_value(name.as_ref()).map(|(name, _)| name.as_str())
    }
}

impl BundledContract {
    /// The first of its keys.
    ///
    /// A contract without a key is not in a catalog, so there is one.
    pub fn key(&self) -> &str {
        self.keys.first().map_or("", RoutingKey::as_str)
    }

    /// Its `$id`; `None` for a contract without one, which goes by its path.
    pub fn uri(&self) -> Option<&str> {
        self.schema_id.contains(':').then_some(self.schema_id.as_str())
    }

    /// Its keys on the wire, with version.
    pub fn routes(&self) -> impl Iterator<Item = String> {
        self.keys.iter().map(|key| key.route(self.version))
    }
}

/// A payload that must be refused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CounterExample<'a> {
    /// What is wrong with it, in a sentence.
    pub why: &'a str,
    /// The payload.
    pub data: &'a Value,
}

/// The reference to a place in a definition: `#/$defs/<file><pointer>`, as a URI fragment.
pub fn reference_to(definition: &str, at: &str) -> String {
    let fragment = format!("/$defs/{}{at}", pointer::escape(definition));
    format!("#{}", pointer::to_fragment(&fragment))
}

fn for_each_reference<'a>(value: &'a Value, visit: &mut impl FnMut(&'a str)) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match value {
                    Value::String(target) if key == "$ref" || key == "$dynamicRef" => visit(target),
                    _ => for_each_reference(value, visit),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| for_each_reference(item, visit)),
        _ => {}
    }
}

fn list<'a>(schema: &'a Value, keyword: &str) -> &'a [Value] {
    schema.get(keyword).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
