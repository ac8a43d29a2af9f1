//! Which queues a service has, and what each of them is bound with.

use std::collections::BTreeMap;

use crate::bundle::{BundledQueue, BundledService, QueueLimits};
use crate::catalog::Contract;
use crate::finding::{Finding, Place};
use crate::key::{Kind, TopicPattern};
use crate::permissions;
use crate::registry::{Key, Properties, Registry, Service};
use crate::rules;

/// The queues that a service gets its events through, by name; none if it listens to nothing.
pub(crate) fn of(name: &str, service: &Service, contracts: &[Contract]) -> Vec<BundledQueue> {
    if !service.queues.is_empty() {
        let queues = service.queues.iter();
        return queues
            .map(|(name, said)| {
                let properties = said.properties.or(&service.properties);
                queue(name, bindings(&said.routing_keys, contracts), properties)
            })
            .collect();
    }
    let bindings = bindings(service.common_keys(), contracts);
    if bindings.is_empty() {
        return Vec::new();
    }
    let mut names: Vec<&str> = service.queue_names().map(|name| name.text.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        names.push(name);
    }
    let properties = || service.properties.clone();
    names.into_iter().map(|name| queue(name, bindings.clone(), properties())).collect()
}

fn queue(name: &str, bindings: Vec<String>, properties: Properties) -> BundledQueue {
    let Properties { ordered, retries, max_length } = properties;
    BundledQueue {
        name: name.to_owned(),
        bindings,
        ordered: ordered.unwrap_or_default(),
        limits: QueueLimits { retries, max_length },
    }
}

/// The patterns, each followed by the routes that it means and does not match.
fn bindings<'k>(keys: impl IntoIterator<Item = &'k Key>, contracts: &[Contract]) -> Vec<String> {
    let mut bindings: Vec<String> = Vec::new();
    // What is no pattern has its finding from the permissions.
    for pattern in keys.into_iter().filter_map(pattern) {
        if !is_command(&pattern, contracts) {
            let later = meant_by(&pattern, contracts).filter(|route| !pattern.matches(route));
            let added: Vec<String> =
                [pattern.as_str().to_owned()].into_iter().chain(later).collect();
            for binding in added {
                if !bindings.contains(&binding) {
                    bindings.push(binding);
                }
            }
        }
    }
    bindings
}

fn pattern(key: &Key) -> Option<TopicPattern> {
    key.text.parse().ok()
}

/// Whether it is the key of a command, which travels through another exchange.
fn is_command(pattern: &TopicPattern, contracts: &[Contract]) -> bool {
    let mut commands = contracts.iter().filter(|c| c.identity.kind == Kind::Command);
    !pattern.is_wild() && commands.any(|c| permissions::routes(pattern, c).next().is_some())
}

/// The routes of events that a pattern means.
fn meant_by<'a>(
    pattern: &'a TopicPattern,
    contracts: &'a [Contract],
) -> impl Iterator<Item = String> + 'a {
    let events = contracts.iter().filter(|c| c.identity.kind == Kind::Event);
    events.flat_map(move |contract| permissions::routes(pattern, contract))
}

/// HF067 to HF069: what the registry says about queues, and what that leads to.
pub(crate) fn check(
    registry: &Registry,
    contracts: &[Contract],
    services: &[BundledService],
    findings: &mut Vec<Finding>,
) {
    let mut owners: BTreeMap<&str, Checked> = BTreeMap::new();
    for bundled in services {
        let Some(service) = registry.services.get(&bundled.name) else { continue };
        let checked = Checked { registry, contracts, service, bundled };
        if service.queues.is_empty() {
            findings.extend(checked.undivided());
        } else {
            findings.extend(checked.empty());
            findings.extend(checked.unknown_names());
            findings.extend(checked.unbound_keys());
        }
        for queue in &bundled.queues {
            match owners.get(queue.name.as_str()) {
                Some(other) => findings.push(checked.shared(other, &queue.name)),
                None => _ = owners.insert(&queue.name, checked),
            }
        }
    }
}

/// A service, as written and as it goes into the bundle.
#[derive(Clone, Copy)]
struct Checked<'a> {
    registry: &'a Registry,
    contracts: &'a [Contract],
    service: &'a Service,
    bundled: &'a BundledService,
}

impl Checked<'_> {
    fn place(&self, field: &str) -> Place {
        self.registry.place(&["services", &self.bundled.name, field])
    }

    /// Where the name of a queue comes from.
    fn queue_place(&self, queue: &str) -> Place {
        let service = self.bundled.name.as_str();
        if self.service.queues.contains_key(queue) {
            return self.registry.place(&["services", service, "queues", queue]);
        }
        match self.service.queue_names().find(|name| name.text == queue) {
            Some(name) => name.place(&self.registry.file),
            None => self.registry.place(&["services", service]),
        }
    }

    fn undivided(&self) -> Option<Finding> {
        let queues = &self.bundled.queues;
        if queues.len() < 2 {
            return None;
        }
        let keys: Vec<&Key> = self.service.common_keys().collect();
        let example =
            queues.iter().zip(keys.iter().cycle()).map(|(queue, key)| match pattern(key) {
                Some(key) if !key.is_wild() => format!("{}: [{key}]", queue.name),
                _ => format!("{}: [\"{}\"]", queue.name, key.text),
            });
        let example: Vec<String> = example.collect();
        let message = format!(
            "`{}` does not say which of its keys go to which of its {} queues: each gets all",
            self.bundled.name,
            queues.len()
        );
        let help = format!(
            "name the keys of each queue, for example `queues: {{ {} }}`",
            example.join(", ")
        );
        let place = self.place("queue_names");
        Some(Finding::new(rules::UNDIVIDED_KEYS, message, place).help(help))
    }

    fn empty(&self) -> impl Iterator<Item = Finding> {
        let queues = self.service.queues.iter().filter(|(_, queue)| queue.routing_keys.is_empty());
        queues.map(|(name, _)| {
            let message = format!("no key goes to the queue `{name}`");
            Finding::new(rules::UNDIVIDED_KEYS, message, self.queue_place(name))
                .help("list the keys that it gets, or remove it")
        })
    }

    fn unknown_names(&self) -> impl Iterator<Item = Finding> {
        let names = self.service.queue_names();
        names.filter(|name| !self.service.queues.contains_key(&name.text)).map(|name| {
            let text = &name.text;
            let message = format!("the queue `{text}` is not under `queues`, so it is not made");
            let place = name.place(&self.registry.file);
            Finding::new(rules::CONTRADICTED_QUEUES, message, place)
                .help("put it under `queues:` with its keys, or remove it")
        })
    }

    fn unbound_keys(&self) -> impl Iterator<Item = Finding> {
        let bindings = self.bundled.queues.iter().flat_map(|queue| &queue.bindings);
        let bindings: Vec<TopicPattern> = bindings.filter_map(|text| text.parse().ok()).collect();
        self.service.common_keys().filter_map(move |key| {
            let pattern = pattern(key)?;
            let is_bound = |route: &str| bindings.iter().any(|binding| binding.matches(route));
            let missed = meant_by(&pattern, self.contracts).find(|route| !is_bound(route))?;
            let message = format!("`{missed}` goes to none of the queues under `queues`");
            let finding =
                Finding::new(rules::CONTRADICTED_QUEUES, message, key.place(&self.registry.file));
            Some(finding.help("list it under one of the queues, or remove it here"))
        })
    }

    fn shared(&self, other: &Checked<'_>, queue: &str) -> Finding {
        let (name, first) = (&self.bundled.name, &other.bundled.name);
        let message = format!("the queue `{queue}` belongs to `{first}` and to `{name}`");
        Finding::new(rules::SHARED_QUEUE, message, self.queue_place(queue))
            .also(other.queue_place(queue).labelled("first here"))
            .help("give each its own: a message in a queue goes to only one of those who read it")
    }
}
