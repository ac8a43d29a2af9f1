//! `services/registry.yaml`: who produces and consumes what.

mod form;
mod table;
mod yaml;

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;

use serde_json::{Map, Value, json};

use self::form::{Check, Form};
use self::yaml::Node;
use crate::bundle::{BundledExchange, BundledLayer, BundledRetention};
use crate::delay::Delay;
use crate::finding::{Finding, Place};
use crate::rules;
use crate::source::Sources;

/// What a registry says. What is not of its form is left out and has its finding.
#[derive(Clone, Debug)]
pub(crate) struct Registry {
    /// The file's path, as findings name it.
    pub(crate) file: String,
    pub(crate) exchange: Option<BundledExchange>,
    /// By name.
    pub(crate) services: BTreeMap<String, Service>,
    /// Key → the services that are said to listen to it, in the order of the file.
    pub(crate) event_subscriptions: Vec<(Key, Vec<Key>)>,
    /// In the order of the file.
    pub(crate) retention: Vec<BundledRetention>,
    /// Layer → services, in the order of the file.
    pub(crate) layers: Vec<(String, Vec<Key>)>,
    root: Node,
}

/// One service.
#[derive(Clone, Debug, Default)]
pub(crate) struct Service {
    pub(crate) name: Option<Key>,
    pub(crate) description: Option<String>,
    pub(crate) service_type: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) owner: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) queue_name: Option<Key>,
    pub(crate) queue_names: Vec<Key>,
    pub(crate) queues: BTreeMap<String, Queue>,
    pub(crate) routing_keys: Vec<Key>,
    pub(crate) consumes: Vec<Key>,
    pub(crate) properties: Properties,
    pub(crate) produces: Vec<Key>,
    pub(crate) sends: Vec<Key>,
    pub(crate) handles: Vec<Key>,
    pub(crate) endpoints: BTreeMap<String, String>,
    pub(crate) runtime: Map<String, Value>,
}

/// One queue of a service that names what each of them gets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queue {
    pub(crate) routing_keys: Vec<Key>,
    pub(crate) properties: Properties,
}

/// How a queue is: as a queue says it, or its service for all of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Properties {
    pub(crate) ordered: Option<bool>,
    pub(crate) retries: Option<Vec<Delay>>,
    pub(crate) max_length: Option<u64>,
}

/// A text with its place in the file: a key, a topic pattern, or a name.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// As written.
    pub(crate) text: String,
    range: Range<usize>,
}

impl Key {
    /// Its place in the registry's file.
    pub(crate) fn place(&self, path: &str) -> Place {
        Place::bytes(path, self.range.clone())
    }

    fn of(node: &Node) -> Option<Self> {
        Some(Key { text: node.text()?.to_owned(), range: node.range.clone() })
    }
}

impl Properties {
    /// The same, with what they do not say from those of the service.
    pub(crate) fn or(&self, service: &Properties) -> Properties {
        Properties {
            ordered: self.ordered.or(service.ordered),
            retries: self.retries.clone().or_else(|| service.retries.clone()),
            max_length: self.max_length.or(service.max_length),
        }
    }

    fn of(node: &Node) -> Self {
        let retries = node.get("retries").map(|list| {
            list.items().iter().filter_map(|delay| delay.text()?.parse().ok()).collect()
        });
        Properties {
            ordered: flag(node, "ordered"),
            retries,
            max_length: node.get("max_length").and_then(Node::count),
        }
    }
}

impl Service {
    /// The names under `queue_name` and `queue_names`, each with the field it stands in.
    pub(crate) fn queue_names(&self) -> impl Iterator<Item = &Key> {
        self.queue_name.iter().chain(&self.queue_names)
    }

    /// The patterns that go to no queue by name.
    pub(crate) fn common_keys(&self) -> impl Iterator<Item = &Key> {
        self.routing_keys.iter().chain(&self.consumes)
    }

    /// All patterns of events that it listens to.
    pub(crate) fn listens_to(&self) -> impl Iterator<Item = &Key> {
        self.common_keys().chain(self.queues.values().flat_map(|queue| &queue.routing_keys))
    }

    fn of(node: &Node) -> Self {
        let commands = |field| node.get("commands").map(|node| keys(node, field));
        let runtime = node.get("runtime").and_then(Node::to_json);
        let queues = texts_and_values(node, "queues").map(|(name, node)| {
            let queue = match node.items() {
                [] => Queue {
                    routing_keys: keys(node, "routing_keys"),
                    properties: Properties::of(node),
                },
                items => Queue {
                    routing_keys: items.iter().filter_map(Key::of).collect(),
                    ..Queue::default()
                },
            };
            (name.text, queue)
        });
        let endpoints = texts_and_values(node, "endpoints");
        Service {
            name: node.get("name").and_then(Key::of),
            description: text(node, "description"),
            service_type: text(node, "type"),
            status: text(node, "status"),
            owner: text(node, "owner"),
            tags: keys(node, "tags").into_iter().map(|tag| tag.text).collect(),
            queue_name: node.get("queue_name").and_then(Key::of),
            queue_names: keys(node, "queue_names"),
            queues: queues.collect(),
            routing_keys: keys(node, "routing_keys"),
            consumes: keys(node, "consumes"),
            properties: Properties::of(node),
            produces: keys(node, "produces"),
            sends: commands("sends").unwrap_or_default(),
            handles: commands("handles").unwrap_or_default(),
            endpoints: endpoints
                .filter_map(|(name, url)| Some((name.text, url.text()?.to_owned())))
                .collect(),
            runtime: match runtime {
                Some(Value::Object(runtime)) => runtime,
                _ => Map::new(),
            },
        }
    }
}

impl Registry {
    /// The name of a field, found by the names of the blocks around it; the innermost of them that is
    /// there if it is not.
    pub(crate) fn place(&self, path: &[&str]) -> Place {
        match self.root.place(path) {
            Some(range) => Place::bytes(&*self.file, range),
            None => Place::file(&*self.file),
        }
    }

    /// The layers without the places.
    pub(crate) fn bundled_layers(&self) -> Vec<BundledLayer> {
        let texts = |keys: &[Key]| keys.iter().map(|key| key.text.clone()).collect();
        let layers = self.layers.iter();
        layers
            .map(|(name, services)| BundledLayer { name: name.clone(), services: texts(services) })
            .collect()
    }

    /// The subscriptions without the places.
    pub(crate) fn bundled_subscriptions(&self) -> BTreeMap<String, Vec<String>> {
        let texts = |keys: &[Key]| keys.iter().map(|key| key.text.clone()).collect();
        let all = self.event_subscriptions.iter();
        all.map(|(key, services)| (key.text.clone(), texts(services))).collect()
    }

    fn of(file: &str, root: Node) -> Self {
        let exchange = root.get("exchange").map(|exchange| BundledExchange {
            name: text(exchange, "name"),
            exchange_type: text(exchange, "type"),
            durable: flag(exchange, "durable"),
        });
        let items = |node: &Node| node.items().iter().filter_map(Key::of).collect();
        let services = texts_and_values(&root, "services");
        let subscriptions = texts_and_values(&root, "event_subscriptions");
        let layers = texts_and_values(&root, "topology");
        Registry {
            file: file.to_owned(),
            exchange: exchange.filter(|exchange| *exchange != BundledExchange::default()),
            services: services.map(|(name, node)| (name.text, Service::of(node))).collect(),
            event_subscriptions: subscriptions.map(|(key, node)| (key, items(node))).collect(),
            retention: root.get("retention").map(retention).unwrap_or_default(),
            layers: layers.map(|(layer, node)| (layer.text, items(node))).collect(),
            root,
        }
    }
}

/// What is not of its form is left out.
fn retention(node: &Node) -> Vec<BundledRetention> {
    let rule = |node: &Node| {
        let keep = node.get("keep")?.text()?.parse().ok()?;
        Some(BundledRetention { keys: text(node, "keys")?, keep })
    };
    node.items().iter().filter_map(rule).collect()
}

fn text(node: &Node, field: &str) -> Option<String> {
    node.get(field)?.text().map(str::to_owned)
}

fn flag(node: &Node, field: &str) -> Option<bool> {
    node.get(field)?.flag()
}

fn keys(node: &Node, field: &str) -> Vec<Key> {
    node.get(field).map_or(&[][..], Node::items).iter().filter_map(Key::of).collect()
}

/// The members of a map in a field.
fn texts_and_values<'n>(node: &'n Node, field: &str) -> impl Iterator<Item = (Key, &'n Node)> {
    let members = node.get(field).map_or(&[][..], Node::members);
    members.iter().filter_map(|(name, value)| Some((Key::of(name)?, value)))
}

/// Reads a registry from its file; `None` and a finding where it is not YAML.
pub(crate) fn read(
    path: &Path,
    sources: &mut Sources,
    findings: &mut Vec<Finding>,
) -> Option<Registry> {
    let name = path.display().to_string();
    let mut refuse = |message: String, place: Place, help: &str| {
        let finding = Finding::new(rules::REGISTRY, message, place);
        findings.push(if help.is_empty() { finding } else { finding.help(help) });
    };
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let message = format!("the service registry cannot be read: {error}");
            refuse(message, Place::file(name), "");
            return None;
        }
    };
    match String::from_utf8(bytes) {
        Ok(text) => parse(&name, &text, sources, findings),
        Err(error) => {
            // What is shown has the same bytes up to the first that is wrong.
            let start = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes());
            let place = Place::bytes(&*name, start..start + 1);
            sources.insert(name, text);
            let message = "the service registry is not UTF-8".to_owned();
            refuse(message, place, "save it as UTF-8, without other encodings in comments");
            None
        }
    }
}

/// Reads a registry from its text.
fn parse(
    path: &str,
    text: &str,
    sources: &mut Sources,
    findings: &mut Vec<Finding>,
) -> Option<Registry> {
    sources.insert(path, text);
    let root = match yaml::read(text) {
        Ok(root) => root,
        Err(broken) => {
            let message = format!("the service registry cannot be read: {}", broken.problem);
            let place = Place::bytes(path, broken.range);
            findings.push(Finding::new(rules::REGISTRY, message, place));
            return None;
        }
    };
    if let yaml::Value::Null = root.value {
        let message = "the service registry is empty";
        let finding = Finding::new(rules::REGISTRY, message, Place::bytes(path, 0..1));
        findings.push(finding.help("begin it with `version: \"1.0\"` and `services: {}`"));
        return None;
    }
    Check { file: path, text, findings }.value(&root, &Form::Fields(&table::REGISTRY), "");
    Some(Registry::of(path, root))
}

/// The address of the JSON Schema of registry.yaml.
pub const SCHEMA_ID: &str = "https://schemas.33god.dev/bloodbank/registry.schema.json";

/// The JSON Schema of registry.yaml. It accepts what the reader accepts, apart from what the rules on
/// keys and services say.
pub fn json_schema() -> Value {
    let mut definitions = Map::new();
    let Value::Object(registry) = table::REGISTRY.schema(&mut definitions) else {
        return Value::Null;
    };
    let mut schema = Map::from_iter([
        ("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema")),
        ("$id".to_owned(), json!(SCHEMA_ID)),
        ("title".to_owned(), json!("services/registry.yaml")),
    ]);
    schema.extend(registry);
    schema.insert("$defs".to_owned(), Value::Object(definitions));
    Value::Object(schema)
}
