//! Registry × contracts → what each service may do, wildcards expanded.
//!
//! A bare key stands for every version of it; `<key>.v2` for that version alone.

use std::collections::{BTreeMap, BTreeSet};

use crate::bundle::{BundledService, QueueLimits};
use crate::catalog::{self, Contract};
use crate::finding::{Finding, Place};
use crate::key::{KeyError, Kind, TopicPattern};
use crate::naming;
use crate::queues;
use crate::registry::{Key, Properties, Registry};
use crate::rules;
use crate::suggest;

/// The marker that stands for every service; no service may be called so.
pub const UNRESTRICTED: &str = "Any";

pub(crate) fn expand(
    registry: &Registry,
    contracts: &[Contract],
    findings: &mut Vec<Finding>,
) -> Vec<BundledService> {
    let mut names: BTreeMap<String, &str> = BTreeMap::new();
    let mut services = Vec::new();
    for (name, service) in &registry.services {
        let rust_type = naming::service_type(name);
        let other = names.insert(rust_type.clone(), name);
        if other.is_some() || rust_type == UNRESTRICTED {
            let (message, help) = match other {
                Some(other) => (
                    format!("the services `{other}` and `{name}` both become `{rust_type}`"),
                    "rename one",
                ),
                None => (
                    format!(
                        "the service `{name}` becomes `{rust_type}`, which means every service"
                    ),
                    "rename it",
                ),
            };
            let place = registry.place(&["services", name]);
            findings.push(Finding::new(rules::NAME_CLASH, message, place).help(help));
            continue;
        }
        let mut expander = Expander { path: &registry.file, contracts, findings };
        let Properties { retries, max_length, .. } = service.properties.clone();
        services.push(BundledService {
            name: name.clone(),
            rust_type,
            description: service.description.clone(),
            service_type: service.service_type.clone(),
            status: service.status.clone(),
            owner: service.owner.clone(),
            tags: service.tags.clone(),
            endpoints: service.endpoints.clone(),
            runtime: service.runtime.clone(),
            produces: expander.routes(Kind::Event, &service.produces),
            consumes: expander.routes(Kind::Event, service.listens_to()),
            sends: expander.routes(Kind::Command, &service.sends),
            handles: expander.routes(Kind::Command, &service.handles),
            queues: queues::of(name, service, contracts),
            limits: QueueLimits { retries, max_length },
        });
    }
    queues::check(registry, contracts, &services, findings);
    services
}

struct Expander<'a> {
    path: &'a str,
    contracts: &'a [Contract],
    findings: &'a mut Vec<Finding>,
}

impl Expander<'_> {
    fn routes<'k>(
        &mut self,
        kind: Kind,
        keys: impl IntoIterator<Item = &'k Key>,
    ) -> BTreeSet<String> {
        keys.into_iter().flat_map(|key| self.expand(kind, key)).collect()
    }

    fn expand(&mut self, kind: Kind, key: &Key) -> Vec<String> {
        let pattern: TopicPattern = match key.text.parse() {
            Ok(pattern) => pattern,
            Err(error) => {
                self.findings.push(self.unusable(key, &error));
                return Vec::new();
            }
        };
        let (matched, others): (Vec<&Contract>, Vec<&Contract>) = self
            .contracts
            .iter()
            .filter(|contract| routes(&pattern, contract).next().is_some())
            .partition(|contract| contract.identity.kind == kind);
        if matched.is_empty() {
            self.explain(kind, key, &pattern, !others.is_empty());
        } else if pattern.is_wild() {
            self.note_versions(key, &pattern, &matched);
        }
        matched.iter().flat_map(|contract| routes(&pattern, contract)).collect()
    }

    fn unusable(&self, key: &Key, error: &KeyError) -> Finding {
        let text = key.text.as_str();
        let is_wild = |c: char| ['*', '#', '>', '%', '+'].contains(&c);
        let place = key.place(self.path);
        if !text.contains(is_wild) {
            return Finding::new(rules::REGISTRY, error.to_string(), place)
                .help("write a key, or a pattern with `*` and `#`");
        }
        let message = format!("`{text}` is no pattern: a wildcard stands alone between dots");
        Finding::new(rules::MISTAKEN_WILDCARD, message, place).help(
            "`*` is exactly one word, `#` any number of words, also none; there are no others",
        )
    }

    /// RabbitMQ knows nothing of versions: a queue bound by hand gets less than this service does.
    fn note_versions(&mut self, key: &Key, pattern: &TopicPattern, matched: &[&Contract]) {
        let routes = matched.iter().flat_map(|contract| contract.routes());
        let missed: Vec<String> = routes.filter(|route| !pattern.matches(route)).collect();
        let Some(first) = missed.first() else { return };
        let more = match missed.len() {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        let message = format!("`{pattern}` alone does not match `{first}`{more}");
        let finding = Finding::new(rules::FIRST_VERSION_ONLY, message, key.place(self.path)).help(
            "the bindings made from this file include later versions; bind queues of your own \
                 with `#` at the end",
        );
        self.findings.push(finding);
    }

    fn explain(&mut self, kind: Kind, key: &Key, pattern: &TopicPattern, other_kind: bool) {
        let place = key.place(self.path);
        if other_kind && !pattern.is_wild() {
            let (is, list) = match kind {
                Kind::Event => ("a command", "commands:"),
                Kind::Command => ("an event", "produces:` or `routing_keys:"),
            };
            let message = format!("`{pattern}` is {is}, listed here as the {kind} it is not");
            let help = format!("list it under `{list}`");
            self.findings.push(Finding::new(rules::REGISTRY_KIND, message, place).help(help));
            return;
        }
        if pattern.as_str() == "#" {
            return;
        }
        if pattern.is_wild() {
            self.findings.push(self.unmatched(kind, pattern, place));
            return;
        }
        let message = format!("`{pattern}` is no contract's key");
        let routes = catalog::all_routes(self.contracts);
        let near = suggest::nearest(pattern.as_str(), routes.iter().map(String::as_str));
        let help = match near.first() {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("write a schema for this {kind}, or remove the line"),
        };
        self.findings.push(Finding::new(rules::REGISTRY_KEY, message, place).help(help));
    }

    fn unmatched(&self, kind: Kind, pattern: &TopicPattern, place: Place) -> Finding {
        let message = format!("`{pattern}` matches no contract's key");
        let longer = pattern.as_str().replace('*', "#");
        let count = longer.parse().map_or(0, |longer: TopicPattern| {
            let of_kind = self.contracts.iter().filter(|c| c.identity.kind == kind);
            of_kind.filter(|contract| routes(&longer, contract).next().is_some()).count()
        });
        let help = match count {
            0 => format!("write a schema of a {kind} for it, or remove the line"),
            1 => format!("`*` is exactly one word; `{longer}` would match 1 contract"),
            _ => format!("`*` is exactly one word; `{longer}` would match {count} contracts"),
        };
        Finding::new(rules::UNMATCHED_PATTERN, message, place).help(help)
    }
}

/// The routes of a contract that a pattern means: by the bare key, or with the version.
pub(crate) fn routes<'c>(
    pattern: &'c TopicPattern,
    contract: &'c Contract,
) -> impl Iterator<Item = String> + 'c {
    contract.identity.keys.iter().filter_map(move |key| {
        let route = key.route(contract.identity.version);
        (pattern.matches(key.as_str()) || pattern.matches(&route)).then_some(route)
    })
}
