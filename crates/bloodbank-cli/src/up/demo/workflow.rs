//! Which messages follow from which: the contracts of a domain, in the order that their names tell.

use std::collections::BTreeMap;

use bloodbank::{BundledContract, Contracts, Kind};
use serde_json::Value;

/// Words that begin a piece of work, in order.
const FIRST: [&str; 12] = [
    "requested",
    "submitted",
    "registered",
    "received",
    "placed",
    "created",
    "opened",
    "proposed",
    "scheduled",
    "queued",
    "initiated",
    "started",
];

/// Words that end one.
const LAST: [&str; 14] = [
    "executed",
    "finished",
    "completed",
    "converged",
    "delivered",
    "collected",
    "paid",
    "merged",
    "resolved",
    "ended",
    "closed",
    "archived",
    "stopped",
    "deleted",
];

/// Words of what goes wrong, and seldom happens.
const WRONG: [&str; 8] =
    ["failed", "error", "errored", "cancelled", "rejected", "aborted", "expired", "lost"];

/// All workflows, one for each domain.
pub(super) struct Workflows {
    pub(super) domains: Vec<Workflow>,
    /// Contracts of which there is nothing to say, as they have no example that they accept.
    pub(super) silent: Vec<String>,
}

/// What happens in a domain, in order.
pub(super) struct Workflow {
    pub(super) steps: Vec<Step>,
}

/// One thing that happens, and the versions in which it is told.
pub(super) struct Step {
    pub(super) kind: Kind,
    /// Whether it is what goes wrong.
    pub(super) is_wrong: bool,
    pub(super) versions: Vec<Version>,
}

/// A version of a contract.
pub(super) struct Version {
    pub(super) route: String,
    /// What the registry lets say it.
    pub(super) services: Vec<String>,
    pub(super) examples: Vec<Value>,
    pub(super) counterexamples: Vec<Value>,
}

impl Workflows {
    pub(super) fn of(contracts: &Contracts) -> Self {
        let mut domains: BTreeMap<&str, BTreeMap<(u32, &str), Step>> = BTreeMap::new();
        let mut silent = Vec::new();
        for contract in &contracts.bundle().contracts {
            for key in &contract.keys {
                let version = Version::of(contracts, contract, key.route(contract.version));
                if version.examples.is_empty() {
                    silent.push(version.route);
                    continue;
                }
                let action = key.words().last().unwrap_or_default();
                let (kind, is_wrong) = (contract.kind, WRONG.contains(&action));
                let place = (place(kind, action), key.as_str());
                let step = Step { kind, is_wrong, versions: Vec::new() };
                let steps = domains.entry(key.domain()).or_default();
                steps.entry(place).or_insert(step).versions.push(version);
            }
        }
        let domains = domains.into_values();
        let domains = domains.map(|steps| Workflow { steps: steps.into_values().collect() });
        Workflows { domains: domains.collect(), silent }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.domains.is_empty()
    }
}

impl Version {
    fn of(contracts: &Contracts, contract: &BundledContract, route: String) -> Self {
        let bundle = contracts.bundle();
        let services = bundle.services.iter().filter(|service| match contract.kind {
            Kind::Event => service.produces.contains(&route),
            Kind::Command => service.sends.contains(&route),
        });
        let services = services.map(|service| service.name.clone()).collect();
        let is_valid = |example: &Value| contracts.check(&route, example).is_ok();
        let examples = bundle.examples(contract).iter().map(|example| {
            let named = naming(example, &route);
            if is_valid(&named) { named } else { example.clone() }
        });
        let examples = examples.filter(is_valid).collect();
        let counterexamples = bundle.counterexamples(contract).map(|it| it.data.clone()).collect();
        Version { route, services, examples, counterexamples }
    }
}

/// The example as one of this routing key, where it names another: a contract may have several keys.
fn naming(example: &Value, route: &str) -> Value {
    let mut example = example.clone();
    if let Some(named @ Value::String(_)) = example.get_mut("event_type") {
        *named = route.into();
    }
    example
}

/// Where in a workflow something happens: orders first, what goes wrong last.
fn place(kind: Kind, action: &str) -> u32 {
    let among = |words: &[&str]| words.iter().position(|word| *word == action).map(|at| at as u32);
    match (kind, among(&FIRST), among(&LAST), among(&WRONG)) {
        (Kind::Command, ..) => 0,
        (_, Some(at), ..) => 100 + at,
        (_, _, Some(at), _) => 300 + at,
        (_, _, _, Some(at)) => 400 + at,
        _ => 200,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workflow_goes_from_orders_to_what_went_wrong() {
        let mut events = ["completed", "failed", "created", "extracted", "started"];
        events.sort_by_key(|action| place(Kind::Event, action));
        assert_eq!(events, ["created", "started", "extracted", "completed", "failed"]);
        assert!(place(Kind::Command, "merge") < place(Kind::Event, "requested"));
    }

    #[test]
    fn each_contract_with_an_example_is_in_a_workflow() {
        let contracts = bloodbank::events::contracts();
        let workflows = Workflows::of(&contracts);
        assert_eq!(workflows.silent, Vec::<String>::new());
        let steps = workflows.domains.iter().flat_map(|workflow| &workflow.steps);
        let told = steps.flat_map(|step| &step.versions).count();
        let routes = contracts.bundle().contracts.iter().flat_map(|contract| contract.routes());
        assert_eq!(told, routes.count());
    }
}
