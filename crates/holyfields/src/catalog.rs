//! The catalog: every contract of a schema folder, and what services do with them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::bundle::{
    Bundle, BundledContract, BundledExchange, BundledLayer, BundledRetention, BundledService,
};
use crate::file::{self, SchemaFile};
use crate::finding::{self, Finding, Place};
use crate::identity::{self, Identity};
use crate::key::Kind;
use crate::permissions;
use crate::registry::{self, Registry};
use crate::resolve::{self, References};
use crate::settings::{self, Settings};
use crate::shape::{self, Shape};
use crate::source::Sources;
use crate::{bundling, naming, registry_claims, rules, structure};

/// One event or command, one version of it, and the file that defines it.
#[derive(Clone, Debug)]
pub struct Contract {
    /// Index into [`Catalog::files`].
    pub file: usize,
    /// Kind, keys and version.
    pub identity: Identity,
    /// The module of its type: `theboard`.
    pub module: String,
    /// The name of its type in that module: `MeetingCreated`.
    pub type_name: String,
}

impl Contract {
    /// Its keys on the wire, with version.
    pub fn routes(&self) -> impl Iterator<Item = String> {
        self.identity.keys.iter().map(|key| key.route(self.identity.version))
    }
}

/// Everything that was read. It exists also where there were errors; then it holds the rest.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// All schema files, by path.
    pub files: Vec<SchemaFile>,
    /// By kind, key and version.
    pub contracts: Vec<Contract>,
    /// By name; empty without a registry.
    pub services: Vec<BundledService>,
    /// What the registry says about the exchange of events.
    pub exchange: Option<BundledExchange>,
    /// How long a store keeps events, as the registry says.
    pub retention: Vec<BundledRetention>,
    /// The layers of the registry, in its order.
    pub topology: Vec<BundledLayer>,
    /// Key or pattern → services, as the registry says for readers.
    pub event_subscriptions: BTreeMap<String, Vec<String>>,
    /// What every `$ref` means.
    pub references: References,
    /// The types that generated code needs.
    pub shape: Shape,
    /// What the folder asks of the linter.
    pub settings: Settings,
    /// The texts that findings point into.
    pub sources: Sources,
}

/// Reads a schema folder and, maybe, a registry, and runs the structural rules.
///
/// Findings come sorted, each with the level of its rule: what the folder's settings make of them,
/// [`Settings::apply`] tells. If one of them is an error, no code should be generated.
pub fn read(schemas: &Path, registry: Option<&Path>) -> (Catalog, Vec<Finding>) {
    let mut findings = Vec::new();
    let mut sources = Sources::default();
    let files = file::read_all(schemas, &mut sources, &mut findings);
    let settings = settings::read(schemas, &mut sources, &mut findings);
    build(files, registry, settings, sources, findings)
}

/// The same from texts, by their paths: for tools that have schemas and no folder.
pub fn read_texts<'a>(
    texts: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> (Catalog, Vec<Finding>) {
    let mut findings = Vec::new();
    let mut sources = Sources::default();
    let files = file::read_texts(texts, &mut sources, &mut findings);
    build(files, None, Settings::default(), sources, findings)
}

fn build(
    files: Vec<SchemaFile>,
    registry: Option<&Path>,
    settings: Settings,
    mut sources: Sources,
    mut findings: Vec<Finding>,
) -> (Catalog, Vec<Finding>) {
    let references = resolve::resolve(&files, &mut findings);
    let contracts = contracts(&files, &references, &mut findings);
    structure::check(&files, &references, &mut findings);
    let shape = shape::of(&files, &references, &contracts, &mut findings);
    let registry = registry.and_then(|path| registry::read(path, &mut sources, &mut findings));
    let services = registry.as_ref().map(|registry| {
        let services = permissions::expand(registry, &contracts, &mut findings);
        registry_claims::check(registry, &services, &mut findings);
        services
    });
    finding::sort(&mut findings, &sources);
    let catalog = Catalog {
        files,
        contracts,
        services: services.unwrap_or_default(),
        exchange: registry.as_ref().and_then(|registry| registry.exchange.clone()),
        retention: registry.as_ref().map(|registry| registry.retention.clone()).unwrap_or_default(),
        topology: registry.as_ref().map(Registry::bundled_layers).unwrap_or_default(),
        event_subscriptions: registry
            .as_ref()
            .map(Registry::bundled_subscriptions)
            .unwrap_or_default(),
        references,
        shape,
        settings,
        sources,
    };
    (catalog, findings)
}

impl Catalog {
    /// The file of a contract.
    pub fn file(&self, contract: &Contract) -> &SchemaFile {
        &self.files[contract.file]
    }

    /// The catalog as one self-contained document.
    pub fn bundle(&self) -> Bundle {
        let roots = self.contracts.iter().map(|contract| contract.file);
        Bundle {
            contracts: self.contracts.iter().map(|contract| self.bundled(contract)).collect(),
            services: self.services.clone(),
            exchange: self.exchange.clone(),
            retention: self.retention.clone(),
            topology: self.topology.clone(),
            event_subscriptions: self.event_subscriptions.clone(),
            definitions: bundling::definitions(roots, &self.files, &self.references),
        }
    }

    fn bundled(&self, contract: &Contract) -> BundledContract {
        let file = self.file(contract);
        let Identity { kind, keys, version, .. } = &contract.identity;
        BundledContract {
            kind: *kind,
            keys: keys.clone(),
            version: *version,
            schema_id: file.text("$id").unwrap_or(&file.path).to_owned(),
            title: file.text("title").unwrap_or(keys[0].as_str()).to_owned(),
            description: file.text("description").unwrap_or_default().to_owned(),
            rust_type: format!("{}::{}", contract.module, contract.type_name),
            definition: file.definition().to_owned(),
        }
    }
}

fn contracts(
    files: &[SchemaFile],
    references: &References,
    findings: &mut Vec<Finding>,
) -> Vec<Contract> {
    let mut contracts: Vec<Contract> = Vec::new();
    let mut owners: BTreeMap<String, usize> = BTreeMap::new();
    for (index, file) in files.iter().enumerate() {
        let Some(identity) = identity::identify(index, file, references, findings) else {
            continue;
        };
        let module = naming::module(&identity.keys[0]);
        let type_name = naming::contract_type(file, &identity);
        let contract = Contract { file: index, identity, module, type_name };
        let mut is_new = true;
        for route in contract.routes() {
            if let Some(&other) = owners.get(&route) {
                findings.push(duplicate_key(&route, file, &files[other]));
                is_new = false;
            } else {
                owners.insert(route, index);
            }
        }
        if is_new {
            contracts.push(contract);
        }
    }
    contracts.sort_by(|a, b| sort_key(a).cmp(&sort_key(b)));
    find_name_clashes(files, &contracts, findings);
    contracts
}

/// Keys that differ and whose names in generated code do not: `a.b_c.d` and `a_b.c.d`.
fn find_name_clashes(files: &[SchemaFile], contracts: &[Contract], findings: &mut Vec<Finding>) {
    let mut owners: BTreeMap<String, usize> = BTreeMap::new();
    for (index, contract) in contracts.iter().enumerate() {
        let constants = contract.routes().map(|route| naming::key_constant(&route));
        let mut names: Vec<String> = constants.map(|name| format!("keys::{name}")).collect();
        if contract.identity.kind == Kind::Event {
            let variant = naming::any_event_variant(&contract.module, &contract.type_name);
            names.push(format!("AnyEvent::{variant}"));
        }
        if contract.identity.keys.len() > 1 {
            let keys = contract.identity.keys.iter();
            names.extend(
                keys.map(|key| {
                    format!("{}::{}", contract.type_name, naming::type_name(key.as_str()))
                }),
            );
        }
        for name in names {
            let Some(other) = owners.insert(name.clone(), index) else { continue };
            // Within one module the types themselves clash, which the shape reports.
            let types_differ = contract.module != contracts[other].module
                || contract.type_name != contracts[other].type_name;
            if other == index || types_differ {
                let message = format!("two keys become `{name}` in generated code");
                let here = key_place(&files[contract.file]);
                let mut finding = Finding::new(rules::NAME_CLASH, message, here);
                if other != index {
                    let other = key_place(&files[contracts[other].file]);
                    finding = finding.also(other.labelled("the other one"));
                }
                findings.push(finding.help("rename one of the two"));
                break;
            }
        }
    }
}

fn sort_key(contract: &Contract) -> impl Ord {
    let Identity { kind, keys, version, .. } = &contract.identity;
    (*kind, keys.clone(), *version)
}

fn duplicate_key(route: &str, file: &SchemaFile, other: &SchemaFile) -> Finding {
    let message =
        format!("`{route}` is defined by two files: `{}` and `{}`", other.path, file.path);
    Finding::new(rules::DUPLICATE_KEY, message, key_place(file))
        .also(key_place(other).labelled("first here"))
        .help("give one another key, or name its file `<entity>.<action>.v2.json`")
}

/// Where a contract's key is written: its const or enum, else its file.
fn key_place(file: &SchemaFile) -> Place {
    identity::named_key_place(file).unwrap_or_else(|| Place::file(&file.path))
}

/// The routes of all contracts, sorted.
pub(crate) fn all_routes(contracts: &[Contract]) -> BTreeSet<String> {
    contracts.iter().flat_map(Contract::routes).collect()
}
