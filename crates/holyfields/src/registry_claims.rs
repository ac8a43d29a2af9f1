//! HF100 to HF102: where the registry says something of its services that does not hold.

use std::collections::BTreeMap;

use crate::bundle::{BundledQueue, BundledService, QueueLimits};
use crate::finding::{Finding, Place};
use crate::key::TopicPattern;
use crate::registry::{Key, Registry};
use crate::{rules, suggest};

pub(crate) fn check(registry: &Registry, services: &[BundledService], findings: &mut Vec<Finding>) {
    for (name, service) in &registry.services {
        if let Some(other) = service.name.as_ref().filter(|other| other.text != *name) {
            let message = format!("the service `{name}` is called `{}` here", other.text);
            let place = other.place(&registry.file);
            let finding = Finding::new(rules::SAID_DIFFERENTLY, message, place)
                .also(registry.place(&["services", name]).labelled("and so here"));
            findings.push(finding.help("give it one name; the line may also be left out"));
        }
    }
    for (layer, names) in &registry.layers {
        for name in names {
            findings.extend(unknown(registry, name, &format!("the layer `{layer}`")));
        }
    }
    for (key, names) in &registry.event_subscriptions {
        for name in names {
            let unknown = unknown(registry, name, &format!("`{}`", key.text));
            findings.extend(unknown.or_else(|| deaf(registry, services, key, name)));
        }
    }
    check_queues(registry, services, findings);
}

/// HF100: a service that is named and not there.
fn unknown(registry: &Registry, name: &Key, by: &str) -> Option<Finding> {
    let text = name.text.as_str();
    if registry.services.contains_key(text) {
        return None;
    }
    let message = format!("{by} names `{text}`, which is not a service of this file");
    let near = suggest::nearest(text, registry.services.keys().map(String::as_str));
    let help = match near.first() {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("describe it under `services:`, `{text}: {{}}` at least, or remove it"),
    };
    let finding = Finding::new(rules::UNKNOWN_SERVICE, message, name.place(&registry.file));
    Some(finding.help(help))
}

/// HF101: a subscription that the service itself does not know of.
fn deaf(
    registry: &Registry,
    services: &[BundledService],
    key: &Key,
    name: &Key,
) -> Option<Finding> {
    let subscribed: TopicPattern = key.text.parse().ok()?;
    let service = registry.services.get(&name.text)?;
    let bundled = services.iter().find(|service| service.name == name.text);
    let is_same = |listened: &Key| {
        let pattern: Option<TopicPattern> = listened.text.parse().ok();
        listened.text == key.text
            || !subscribed.is_wild() && pattern.is_some_and(|it| it.matches(subscribed.as_str()))
    };
    let gets = |route: &String| subscribed.matches(route);
    let listens = service.listens_to().any(is_same)
        || bundled.is_some_and(|service| service.consumes.iter().any(gets));
    if listens {
        return None;
    }
    let (key, text) = (&key.text, &name.text);
    let message =
        format!("`{text}` is said to listen to `{key}`, and its own entry does not say so");
    let finding = Finding::new(rules::SAID_DIFFERENTLY, message, name.place(&registry.file))
        .also(registry.place(&["services", text]).labelled("its own entry, which counts"));
    Some(finding.help(format!("list `{key}` under its `routing_keys:`, or remove the line here")))
}

/// HF102: queues that two services want otherwise.
fn check_queues(registry: &Registry, services: &[BundledService], findings: &mut Vec<Finding>) {
    let mut queues: BTreeMap<&str, (&BundledQueue, &BundledService)> = BTreeMap::new();
    let mut commands: BTreeMap<&str, &BundledService> = BTreeMap::new();
    let place = |service: &BundledService| registry.place(&["services", &service.name]);
    for service in services {
        for queue in &service.queues {
            let (first, owner) = *queues.entry(&queue.name).or_insert((queue, service));
            if let Some(what) = difference(first, queue) {
                let subject = format!("the queue `{}`", queue.name);
                let places = (place(service), place(owner));
                findings.push(otherwise(&subject, what, (service, owner), places));
            }
        }
        for command in &service.handles {
            let owner = *commands.entry(command).or_insert(service);
            if let Some(what) = difference_of_limits(&owner.limits, &service.limits) {
                let subject = format!("the worker queue of `{command}`");
                let places = (place(service), place(owner));
                findings.push(otherwise(&subject, what, (service, owner), places));
            }
        }
    }
}

fn difference(one: &BundledQueue, other: &BundledQueue) -> Option<&'static str> {
    let is_ordered = (one.ordered != other.ordered).then_some("ordered");
    is_ordered.or_else(|| difference_of_limits(&one.limits, &other.limits))
}

fn difference_of_limits(one: &QueueLimits, other: &QueueLimits) -> Option<&'static str> {
    if one.max_length != other.max_length {
        return Some("max_length");
    }
    (one.retries != other.retries).then_some("retries")
}

fn otherwise(
    subject: &str,
    what: &str,
    (service, owner): (&BundledService, &BundledService),
    (here, first): (Place, Place),
) -> Finding {
    let (name, first_name) = (&service.name, &owner.name);
    let message = format!("{subject} has another `{what}` for `{name}` than for `{first_name}`");
    Finding::new(rules::QUEUE_OF_TWO_KINDS, message, here)
        .also(first.labelled("the other one"))
        .help(format!("say the same `{what}` for both, or give each a queue of its own"))
}
