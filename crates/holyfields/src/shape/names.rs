//! Names of types, variants and fields: what they are made of, and that no two are equal.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::bundle::REPLY;
use crate::catalog::Contract;
use crate::file::SchemaFile;
use crate::finding::{Finding, Place};
use crate::resolve::{References, Target};
use crate::{naming, pointer, rules};

/// Where a type lives and what it is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Name {
    pub(super) module: String,
    pub(super) name: String,
}

impl Name {
    /// The name of a type that exists only inside this one.
    pub(super) fn inner(&self, word: &str) -> Name {
        let name = format!("{}{}", self.name, naming::type_name(word));
        Name { module: self.module.clone(), name }
    }
}

/// The names of a catalog's types.
pub(super) struct Names<'a> {
    files: &'a [SchemaFile],
    /// The contract of a file.
    contracts: HashMap<usize, &'a Contract>,
    /// The places that some `$ref` leads to.
    targets: HashSet<&'a Target>,
    /// Names that several definitions of libraries would have.
    ambiguous: HashSet<Name>,
    taken: HashSet<Name>,
}

impl<'a> Names<'a> {
    /// Contracts have their names before all others.
    pub(super) fn new(
        files: &'a [SchemaFile],
        references: &'a References,
        contracts: &'a [Contract],
        findings: &mut Vec<Finding>,
    ) -> Self {
        let mut names = Names {
            files,
            contracts: contracts.iter().map(|contract| (contract.file, contract)).collect(),
            targets: references.iter().map(|(_, target)| target).collect(),
            ambiguous: HashSet::new(),
            taken: HashSet::new(),
        };
        let mut owners: BTreeMap<Name, usize> = BTreeMap::new();
        for contract in contracts {
            let name = names.contract(contract);
            names.taken.insert(name.clone());
            if let Some(other) = owners.insert(name.clone(), contract.file) {
                findings.push(names.clash(&name, contract.file, other));
            }
        }
        let mut seen: HashSet<Name> = names.taken.clone();
        let libraries = names.targets.iter().filter(|at| !names.contracts.contains_key(&at.file));
        let short: Vec<Name> = libraries.map(|at| names.in_library(at)).collect();
        names.ambiguous = short.into_iter().filter(|name| !seen.insert(name.clone())).collect();
        names
    }

    fn clash(&self, name: &Name, file: usize, other: usize) -> Finding {
        let Name { module, name } = name;
        let message = format!("two schemas become `{module}::{name}` in generated code");
        let other = Place::file(&self.files[other].path).labelled("the other one");
        Finding::new(rules::NAME_CLASH, message, Place::file(&self.files[file].path))
            .also(other)
            .help("rename one of the two")
    }

    /// The contract whose payload a place describes.
    pub(super) fn contract_at(&self, at: &Target) -> Option<&'a Contract> {
        self.contracts.get(&at.file).copied().filter(|_| at.pointer.is_empty())
    }

    pub(super) fn contract(&self, contract: &Contract) -> Name {
        Name { module: contract.module.clone(), name: contract.type_name.clone() }
    }

    /// Whether a place is made to be referred to, as a file's root or a definition is, or is.
    pub(super) fn is_definition(&self, at: &Target) -> bool {
        let parent = at.pointer.rsplit_once('/').map(|(parent, _)| parent);
        self.targets.contains(at)
            || parent
                .is_none_or(|parent| parent.ends_with("/$defs") || parent.ends_with("/definitions"))
    }

    pub(super) fn of_definition(&self, at: &Target) -> Name {
        if let Some(contract) = self.contracts.get(&at.file) {
            let name = self.contract(contract);
            return match words(at) {
                words if words.is_empty() => name,
                words => name.inner(&words),
            };
        }
        match self.in_library(at) {
            short if !self.ambiguous.contains(&short) => short,
            short if at.pointer.is_empty() => short,
            short => {
                let name = naming::library_type(&self.files[at.file]);
                Name { module: short.module, name }.inner(&words(at))
            }
        }
    }

    /// What a definition is called where that is enough to tell which it is.
    fn in_library(&self, at: &Target) -> Name {
        let file = &self.files[at.file];
        let name = match words(at) {
            words if words.is_empty() => naming::library_type(file),
            words => naming::type_name(&words),
        };
        Name { module: naming::library_module(file), name }
    }

    /// The word for a place in a list of alternatives: that of the definition.
    pub(super) fn word(&self, at: &Target) -> Option<String> {
        let last = at.pointer.rsplit('/').next().unwrap_or_default();
        match self.contract_at(at) {
            Some(contract) => Some(contract.type_name.clone()),
            None if at.pointer.is_empty() => Some(naming::library_type(&self.files[at.file])),
            None if self.is_definition(at) && !last.bytes().all(|b| b.is_ascii_digit()) => {
                Some(naming::type_name(&pointer::unescape(last)))
            }
            None => None,
        }
    }

    /// Takes this name, or the next that is free.
    pub(super) fn take(&mut self, name: &Name) -> Name {
        let module = &name.module;
        let is_taken =
            |name: &str| self.taken.contains(&Name { module: module.clone(), name: name.into() });
        let free = Name { name: unused(&name.name, is_taken), module: module.clone() };
        self.taken.insert(free.clone());
        free
    }
}

/// The names in a pointer, without the keywords between them.
fn words(at: &Target) -> String {
    let words = at.pointer.split('/').filter(|word| !KEYWORD_STEPS.contains(word));
    let words = words.map(|word| if word == REPLY { "reply" } else { word });
    let words: Vec<_> = words.map(pointer::unescape).collect();
    words.join("_")
}

/// This name, or with the first number behind it that makes it unused.
pub(super) fn unused(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    if !is_taken(name) {
        return name.to_owned();
    }
    let gap = if name.ends_with(|c: char| c.is_ascii_digit()) { "_" } else { "" };
    let numbered = |number: usize| format!("{name}{gap}{number}");
    (2..).map(numbered).find(|name| !is_taken(name)).unwrap_or_default()
}

/// Names of variants for these texts, no two equal.
pub(super) fn variants<'t>(texts: impl IntoIterator<Item = &'t str>) -> Vec<String> {
    let mut taken: HashSet<String> = HashSet::new();
    let names = texts.into_iter().map(|text| {
        let name = naming::type_name(&spelled_out(text));
        let name = unused(&name, |name| taken.contains(name));
        taken.insert(name.clone());
        name
    });
    names.collect()
}

/// `+1` and `-1` differ only in what no name can hold.
fn spelled_out(text: &str) -> String {
    let is_number = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    match (text.strip_prefix('+'), text.strip_prefix('-')) {
        (Some(rest), _) if is_number(rest) => format!("plus {rest}"),
        (_, Some(rest)) if is_number(rest) => format!("minus {rest}"),
        _ => text.to_owned(),
    }
}

/// Steps of a pointer that are no names.
const KEYWORD_STEPS: [&str; 5] = ["", "$defs", "definitions", "properties", "items"];
