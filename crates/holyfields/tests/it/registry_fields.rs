//! What the fields of registry.yaml do.

use std::collections::BTreeSet;
use std::fs;

use holyfields::Bundle;
use holyfields::finding::has_errors;
use serde_json::Value;

use crate::folder::{Folder, rendered};
use crate::registry::found;

/// A registry in which every field says something.
const FULL: &str = r#"version: "1.0"
exchange:
  name: shop.events
  type: topic
  durable: true
services:
  one:
    name: one
    description: Takes orders
    type: event-producer
    status: active
    owner: shop
    tags: [orders]
    queue_name: one.queue
    queue_names: [one.other]
    routing_keys: [shop.order.paid]
    consumes: [shop.order.created.v2]
    ordered: true
    retries: [1s, 10s]
    max_length: 1000
    produces: [shop.order.created.v2]
    commands:
      sends: [shop.order.ship]
      handles: [shop.order.ship]
    endpoints:
      health: http://localhost:8000/health
    runtime:
      type: pm2
  two:
    queues:
      two.queue:
        routing_keys: [shop.stock.low]
        ordered: false
        retries: []
        max_length: 5
retention:
  - keys: "shop.#"
    keep: 30d
event_subscriptions:
  shop.order.paid: [one]
topology:
  makers: [one, two]
"#;

/// Each field by its place in the JSON Schema, with a line of [`FULL`] and what is put in its place.
const CHANGES: [(&str, &str, &str); 32] = [
    ("/exchange", "exchange:\n  name: shop.events\n  type: topic\n  durable: true\n", ""),
    ("Exchange/name", "name: shop.events", "name: other.events"),
    ("Exchange/type", "type: topic", "type: fanout"),
    ("Exchange/durable", "durable: true", "durable: false"),
    ("/services", "  two:\n", "  three:\n"),
    ("/retention", "retention:\n  - keys: \"shop.#\"\n    keep: 30d\n", ""),
    ("Retention/keys", "\"shop.#\"", "\"shop.order.#\""),
    ("Retention/keep", "30d", "8w"),
    ("/event_subscriptions", "shop.order.paid: [one]\ntop", "shop.order.created: [one]\ntop"),
    ("/topology", "makers: [one, two]", "makers: [two, one]"),
    ("Service/description", "Takes orders", "Takes all orders"),
    ("Service/type", "event-producer", "event-consumer"),
    ("Service/status", "active", "planned"),
    ("Service/owner", "owner: shop", "owner: somebody"),
    ("Service/tags", "tags: [orders]", "tags: [orders, money]"),
    ("Service/queue_name", "one.queue", "one.first"),
    ("Service/queue_names", "one.other", "one.second"),
    ("Service/queues", "two.queue:", "two.second:"),
    ("Service/routing_keys", "routing_keys: [shop.order.paid]", "routing_keys: [shop.stock.out]"),
    ("Service/consumes", "consumes: [shop.order.created.v2]", "consumes: [shop.stock.out]"),
    ("Service/ordered", "ordered: true", "ordered: false"),
    ("Service/retries", "[1s, 10s]", "[2s, 10s]"),
    ("Service/max_length", "1000", "2000"),
    ("Service/produces", "produces: [shop.order.created.v2]", "produces: [shop.order.paid]"),
    (
        "Service/commands",
        "    commands:\n      sends: [shop.order.ship]\n      handles: [shop.order.ship]\n",
        "",
    ),
    ("Service/endpoints", "8000/health", "9000/health"),
    ("Service/runtime", "type: pm2", "type: systemd"),
    ("Commands/sends", "sends: [shop.order.ship]", "sends: []"),
    ("Commands/handles", "handles: [shop.order.ship]", "handles: []"),
    ("Queue/routing_keys", "[shop.stock.low]", "[shop.stock.out]"),
    ("Queue/ordered", "        ordered: false", "        ordered: true"),
    ("Queue/retries", "retries: []", "retries: [5m]"),
];

/// What is checked and not kept, with a change that is refused or warned of.
const CHECKED: [(&str, &str, &str); 2] =
    [("/version", "\"1.0\"", "\"2.0\""), ("Service/name", "name: one\n", "name: won\n")];

/// The image of a registry, and how many findings it has.
fn image(registry: &str) -> (Bundle, usize) {
    let folder = Folder::new(&crate::registry::CONTRACTS);
    let path = folder.path("registry.yaml");
    fs::write(&path, registry).unwrap();
    let (catalog, findings) = holyfields::read(folder.root(), Some(&path));
    assert!(!has_errors(&findings), "{}", rendered(&catalog, &findings));
    (catalog.bundle(), findings.len())
}

fn changed(from: &str, to: &str) -> String {
    assert_eq!(FULL.matches(from).count(), 1, "{from:?}");
    FULL.replace(from, to)
}

#[test]
fn every_field_that_is_accepted_changes_the_image_or_is_checked() {
    let schema = holyfields::registry::json_schema();
    let mut fields = BTreeSet::new();
    let definitions = schema["$defs"].as_object().unwrap().iter();
    let definitions = definitions.map(|(name, schema)| (name.as_str(), schema));
    for (name, definition) in definitions.chain([("", &schema)]) {
        assert_eq!(definition["additionalProperties"], Value::Bool(false), "{name}");
        for (field, described) in definition["properties"].as_object().unwrap() {
            assert!(described["description"].is_string(), "{name}/{field}");
            fields.insert(format!("{name}/{field}"));
        }
    }
    let mut changes: Vec<(&str, &str, &str)> = CHANGES.to_vec();
    changes.push(("Queue/max_length", "max_length: 5", "max_length: 6"));
    let (before, _) = image(FULL);
    for (field, from, to) in &changes {
        assert_ne!(image(&changed(from, to)).0, before, "nothing reads {field}");
    }
    for (field, from, to) in &CHECKED {
        assert_ne!(found(&changed(from, to)), found(FULL), "nothing checks {field}");
    }
    let tried: BTreeSet<String> =
        changes.iter().chain(&CHECKED).map(|(field, ..)| (*field).to_owned()).collect();
    assert_eq!(fields, tried);
}

#[test]
fn an_image_with_everything_is_the_same_after_the_way_through_json() {
    let (bundle, _) = image(FULL);
    let text = serde_json::to_string(&bundle).unwrap();
    assert_eq!(serde_json::from_str::<Bundle>(&text).unwrap(), bundle);
    let layers: Vec<&str> = bundle.layers_of("two").collect();
    assert_eq!(layers, ["makers"]);
}

#[test]
fn what_a_queue_does_not_say_its_service_says() {
    let (bundle, _) = image(
        r#"version: "1.0"
services:
  one:
    retries: [1s, 1m]
    max_length: 100
    ordered: true
    queues:
      all.own: { routing_keys: [shop.order.paid], retries: [2s], max_length: 5, ordered: false }
      none.own: [shop.stock.low]
"#,
    );
    let queues = &bundle.service("one").unwrap().queues;
    let said: Vec<String> = queues
        .iter()
        .map(|queue| {
            let retries = queue.limits.retries.iter().flatten().map(ToString::to_string);
            let retries: Vec<String> = retries.collect();
            let most = queue.limits.max_length.unwrap();
            format!("{} {} {} {most}", queue.name, queue.ordered, retries.join(" "))
        })
        .collect();
    assert_eq!(said, ["all.own false 2s 5", "none.own true 1s 1m 100"]);
}

#[test]
fn one_block_may_be_written_once_and_used_twice() {
    let (bundle, _) = image(
        r#"version: "1.0"
services:
  one: &defaults
    retries: [1s]
    owner: shop
    routing_keys: [shop.order.paid]
  two:
    <<: *defaults
    owner: stock
"#,
    );
    let two = bundle.service("two").unwrap();
    assert_eq!(two.owner.as_deref(), Some("stock"));
    assert_eq!(two.queues[0].limits.retries.as_ref().unwrap().len(), 1);
}

#[test]
fn the_registry_of_the_first_bloodbank_is_read() {
    let corpus = "../../../shared/corpus/registry.yaml";
    let Ok(text) = fs::read_to_string(corpus) else { return };
    let (catalog, findings) = holyfields::read(Folder::new(&[]).root(), Some(corpus.as_ref()));
    assert!(!has_errors(&findings), "{}", rendered(&catalog, &findings));
    assert_eq!(catalog.services.len(), 16);
    assert_eq!(catalog.topology.len(), 8);
    assert_eq!(catalog.exchange.unwrap().name.as_deref(), Some("bloodbank.events.v1"));
    let ids: BTreeSet<&str> = findings.iter().map(|finding| finding.rule.id).collect();
    // No contract of its keys is there, five queues share five keys, two outside systems are no
    // services, and old keys are still listed for one that listens to the new ones only.
    assert_eq!(ids, BTreeSet::from(["HF061", "HF064", "HF067", "HF100", "HF101"]));
    let of = |id: &str| findings.iter().filter(|finding| finding.rule.id == id).count();
    assert_eq!((of("HF067"), of("HF100"), of("HF101")), (1, 2, 5), "{text}");
}
