//! The JSON Schema of registry.yaml accepts exactly what its reader accepts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use holyfields::finding::has_errors;
use holyfields::render::{Colour, render};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

static SCHEMA: LazyLock<Value> = LazyLock::new(holyfields::registry::json_schema);
static VALIDATOR: LazyLock<jsonschema::Validator> =
    LazyLock::new(|| jsonschema::draft202012::new(&SCHEMA).unwrap());

/// The errors of the reader; none where it accepts the text. No contract is there, so that keys are
/// asked for their form only.
fn errors(registry: &[u8]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.yaml");
    fs::write(&path, registry).unwrap();
    let schemas = folder.path().join("schemas");
    fs::create_dir(&schemas).unwrap();
    let (catalog, findings) = holyfields::read(&schemas, Some(&path));
    let errors = findings.iter().filter(|finding| has_errors(std::slice::from_ref(finding)));
    errors.map(|finding| render(finding, &catalog.sources, Colour::Off)).collect()
}

/// Asks both.
fn agree(registry: &Value) -> bool {
    // JSON is YAML.
    let errors = errors(registry.to_string().as_bytes());
    let by_schema = VALIDATOR.is_valid(registry);
    assert_eq!(by_schema, errors.is_empty(), "{registry:#}\n{}", errors.join("\n"));
    by_schema
}

/// A registry in which every field says something.
fn full() -> Value {
    json!({
        "version": "1.0",
        "exchange": {"name": "shop.events", "type": "topic", "durable": true},
        "services": {
            "one": {
                "name": "one", "description": "Takes orders", "type": "event-producer",
                "status": "active", "owner": "shop", "tags": ["orders"],
                "queue_name": "one.queue", "queue_names": ["one.other"],
                "routing_keys": ["shop.order.*", "shop.#"], "consumes": ["shop.order.created.v2"],
                "ordered": true, "retries": ["500ms", "10s"], "max_length": 1000,
                "produces": ["shop.order.paid"],
                "commands": {"sends": ["shop.order.ship"], "handles": ["shop.order.ship"]},
                "endpoints": {"health": "http://localhost:8000/health"},
                "runtime": {"type": "pm2", "any": [1, null, {"b": true}]},
                "queues": {
                    "a.queue": ["shop.stock.low"],
                    "b.queue": {
                        "routing_keys": ["shop.stock.out"], "ordered": false, "retries": [],
                        "max_length": 5,
                    },
                },
            },
        },
        "event_subscriptions": {"shop.order.paid": ["one"]},
        "topology": {"makers": ["one"]},
    })
}

#[test]
fn both_accept_a_registry_in_which_every_field_says_something() {
    assert!(agree(&full()));
    let compiled = jsonschema::meta::validate(&SCHEMA);
    assert!(compiled.is_ok());
}

#[test]
fn both_accept_and_refuse_the_same_values() {
    let strange = "a".repeat(256);
    let cases = [
        ("/version", json!("1.0"), true),
        ("/version", json!(1.0), false),
        ("/version", json!("2.0"), false),
        ("/exchange", json!({}), true),
        ("/exchange", json!({"name": "other"}), true),
        ("/exchange", json!(null), false),
        ("/exchange/name", json!("amq.topic"), false),
        ("/exchange/type", json!("x-random"), true),
        ("/exchange/type", json!("x-"), false),
        ("/exchange/type", json!("Topic"), false),
        ("/exchange/durable", json!("true"), false),
        ("/services", json!([]), false),
        ("/services", json!({"": {}}), false),
        ("/services", json!({"two": {}}), true),
        ("/services", json!({"two": null}), false),
        ("/services/one/status", json!("retired"), false),
        ("/services/one/tags", json!(["a", "a"]), true),
        ("/services/one/tags", json!([""]), false),
        ("/services/one/queue_name", json!("my queue"), false),
        ("/services/one/queue_name", json!("my:queue/1-a_b.c"), true),
        ("/services/one/queue_name", json!("ä"), false),
        ("/services/one/queue_name", json!("a\n"), false),
        ("/services/one/queue_name", json!("a".repeat(200)), true),
        ("/services/one/queue_name", json!("a".repeat(201)), false),
        ("/services/one/routing_keys", json!([]), true),
        ("/services/one/routing_keys", json!(["Shop.Order-1.v2", "*.*", "#"]), true),
        ("/services/one/routing_keys", json!(["shop.pa*"]), false),
        ("/services/one/routing_keys", json!(["shop..paid"]), false),
        ("/services/one/routing_keys", json!([""]), false),
        ("/services/one/routing_keys", json!([3]), false),
        ("/services/one/routing_keys", json!([strange]), false),
        ("/services/one/retries", json!(["1s", "1m", "2h"]), true),
        ("/services/one/retries", json!(["0s"]), false),
        ("/services/one/retries", json!(["1.5s"]), false),
        ("/services/one/retries", json!(["1000h"]), false),
        ("/services/one/retries", json!(["999h", "9999m", "999999s", "999999ms"]), true),
        ("/services/one/retries", json!(vec!["1s"; 16]), true),
        ("/services/one/retries", json!(vec!["1s"; 17]), false),
        ("/services/one/max_length", json!(1), true),
        ("/services/one/max_length", json!(10.0), true),
        ("/services/one/max_length", json!(1.5), false),
        ("/services/one/max_length", json!(0), false),
        ("/services/one/max_length", json!(-1), false),
        ("/services/one/max_length", json!(1_000_000_001), false),
        ("/services/one/endpoints", json!({"ws": "ws://localhost:8080/a?b#c"}), true),
        ("/services/one/endpoints", json!({"ws": "localhost"}), false),
        ("/services/one/endpoints", json!({"ws": "http://a b"}), false),
        ("/services/one/endpoints", json!({"ws": "://a"}), false),
        ("/services/one/runtime", json!({}), true),
        ("/services/one/runtime", json!("pm2"), false),
        ("/services/one/queues/a.queue", json!({}), false),
        ("/services/one/queues/a.queue", json!("shop.order.paid"), false),
        ("/services/one/queues/b.queue/retrys", json!([]), false),
        ("/services/one/commands/handels", json!([]), false),
        ("/exchange/nmae", json!("a"), false),
        ("/layers", json!({}), false),
        ("/services/one/replicas", json!(3), false),
        ("/event_subscriptions", json!({"a..b": []}), false),
        ("/topology", json!({"": []}), false),
    ];
    for (at, value, is_fine) in cases {
        let mut registry = full();
        let (parent, name) = at.rsplit_once('/').unwrap();
        registry.pointer_mut(parent).unwrap()[name] = value;
        assert_eq!(agree(&registry), is_fine, "{registry:#}");
    }
}

/// Every place in a value.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    let escape = |name: &str| name.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| {
                places(value, &format!("{at}/{}", escape(name)), found);
            });
        }
        Value::Array(items) => items.iter().enumerate().for_each(|(index, value)| {
            places(value, &format!("{at}/{index}"), found);
        }),
        _ => {}
    }
}

/// What may be put anywhere.
fn any_value() -> impl Strategy<Value = Value> {
    let texts = [
        "",
        "one",
        "1.0",
        "1s",
        "10",
        "topic",
        "active",
        "event-producer",
        "shop.order.paid",
        "#",
        "shop.*",
        "a b",
        "amq.a",
        "http://a",
        "true",
        "yes",
        "~",
        "null",
        "- a",
        "a: b",
        "ä",
        "'",
        "a\tb",
        "a\nb",
        "[",
        "0x10",
        "1e3",
        ".inf",
    ];
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0..20i64).prop_map(Value::from),
        (-4.0..4.0f64).prop_map(Value::from),
        prop::sample::select(texts.to_vec()).prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        Just(json!(["one"])),
        Just(json!({"one": ["shop.order.paid"]})),
        Just(json!({"routing_keys": []})),
    ]
}

/// A change at a place: another value, a member gone, or one more.
#[derive(Clone, Debug)]
enum Change {
    Put(Index, Value),
    Remove(Index),
    Add(Index, String, Value),
}

fn any_change() -> impl Strategy<Value = Change> {
    let names = [
        "name",
        "type",
        "queues",
        "retries",
        "ordered",
        "routing_keys",
        "version",
        "sends",
        "x",
        "",
        "a.b",
        "1",
        "true",
    ];
    let names = prop::sample::select(names.to_vec()).prop_map(str::to_owned);
    prop_oneof![
        (any::<Index>(), any_value()).prop_map(|(at, value)| Change::Put(at, value)),
        any::<Index>().prop_map(Change::Remove),
        (any::<Index>(), names, any_value())
            .prop_map(|(at, name, value)| { Change::Add(at, name, value) }),
    ]
}

fn apply(registry: &mut Value, change: &Change) {
    let mut all = Vec::new();
    places(registry, "", &mut all);
    let (Change::Put(at, _) | Change::Remove(at) | Change::Add(at, ..)) = change;
    let at = at.get(&all);
    match change {
        Change::Put(_, value) => *registry.pointer_mut(at).unwrap() = value.clone(),
        Change::Add(_, name, value) => match registry.pointer_mut(at).unwrap() {
            Value::Object(members) => _ = members.insert(name.clone(), value.clone()),
            Value::Array(items) => items.push(value.clone()),
            _ => {}
        },
        Change::Remove(_) => {
            let Some((parent, name)) = at.rsplit_once('/') else { return };
            if let Some(Value::Object(members)) = registry.pointer_mut(parent) {
                members.remove(name);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn both_agree_on_any_change(changes in prop::collection::vec(any_change(), 1..4)) {
        let mut registry = full();
        for change in &changes {
            apply(&mut registry, change);
        }
        agree(&registry);
    }
}

#[test]
fn both_accept_our_own_registry_and_that_of_the_first_bloodbank() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let own = workspace.join("services/registry.yaml");
    let first = workspace.join("../shared/corpus/registry.yaml");
    for path in [own, first].iter().filter(|path| path.exists()) {
        let text = fs::read_to_string(path).unwrap();
        let value: Value = serde_saphyr::from_str(&text).unwrap();
        let said: Vec<String> =
            VALIDATOR.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(said.is_empty(), "{}: {said:#?}", path.display());
        assert_eq!(errors(text.as_bytes()), Vec::<String>::new(), "{}", path.display());
    }
}

#[test]
fn our_own_registry_names_its_schema_for_editors() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = fs::read_to_string(workspace.join("services/registry.yaml")).unwrap();
    let named = text.lines().next().unwrap().strip_prefix("# yaml-language-server: $schema=");
    let schema = fs::read_to_string(workspace.join("services").join(named.unwrap())).unwrap();
    let mut schema: Value = serde_json::from_str(&schema).unwrap();
    assert_eq!(schema["$id"], holyfields::registry::SCHEMA_ID);
    schema.as_object_mut().unwrap().remove("$comment");
    assert_eq!(schema, *SCHEMA);
}
