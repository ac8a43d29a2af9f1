//! Registry × contracts → what each service may do, wildcards expanded.
//!
//! A bare key stands for every version of it; `<key>.v2` for that version alone.

use std::collections::{BTreeMap, BTreeSet};

use crate::bundle::BundledService;
use crate::catalog::{self, Contract};
use crate::finding::{Finding, Place};
use crate::key::{Kind, TopicPattern};
use crate::naming;
use crate::registry::{Key, Registry};
use crate::rules;
use crate::suggest;

/// The marker that stands for every service; no service may be called so.
pub const UNRESTRICTED: &str = "Any";

pub(crate) fn expand(
    path: &str,
    text: &str,
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
            let place = service_place(path, text, name);
            findings.push(Finding::new(rules::NAME_CLASH, message, place).help(help));
            continue;
        }
        let mut expander = Expander { path, contracts, findings };
        services.push(BundledService {
            name: name.clone(),
            rust_type,
            produces: expander.routes(Kind::Event, &service.produces),
            consumes: expander
                .routes(Kind::Event, service.routing_keys.iter().chain(&service.consumes)),
            sends: expander.routes(Kind::Command, &service.commands.sends),
            handles: expander.routes(Kind::Command, &service.commands.handles),
        });
    }
    services
}

/// The line that begins a service.
fn service_place(path: &str, text: &str, name: &str) -> Place {
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let start = line.len() - line.trim_start().len();
        let quote = usize::from(line[start..].starts_with(['"', '\'']));
        let found = line[start + quote..].strip_prefix(name).is_some_and(|rest| {
            let rest = rest.trim_start_matches(['"', '\'', ' ']);
            start > 0 && rest.starts_with(':')
        });
        if found {
            let start = offset + start + quote;
            return Place::bytes(path, start..start + name.len());
        }
        offset += line.len();
    }
    Place::file(path)
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
                let finding =
                    Finding::new(rules::REGISTRY, error.to_string(), key.place(self.path));
                self.findings.push(finding.help("write a key, or a pattern with `*` and `#`"));
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
        }
        matched.iter().flat_map(|contract| routes(&pattern, contract)).collect()
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
        let verb = if pattern.is_wild() { "matches no" } else { "is no" };
        let message = format!("`{pattern}` {verb} contract's key");
        let routes = catalog::all_routes(self.contracts);
        let near = suggest::nearest(pattern.as_str(), routes.iter().map(String::as_str));
        let help = match near.first() {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("write a schema for this {kind}, or remove the line"),
        };
        self.findings.push(Finding::new(rules::REGISTRY_KEY, message, place).help(help));
    }
}

/// The routes of a contract that a pattern means: by the bare key, or with the version.
fn routes<'c>(
    pattern: &'c TopicPattern,
    contract: &'c Contract,
) -> impl Iterator<Item = String> + 'c {
    contract.identity.keys.iter().filter_map(move |key| {
        let route = key.route(contract.identity.version);
        (pattern.matches(key.as_str()) || pattern.matches(&route)).then_some(route)
    })
}
