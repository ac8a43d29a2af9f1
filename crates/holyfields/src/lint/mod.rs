//! The rules for readers and for what people mean: what code generation can do without.
//!
//! Build scripts do not run them; `lint` and `codegen` do.

mod bounds;
mod consts;
mod descriptions;
mod ids;
mod keywords;
mod replies;
mod required;
mod secrets;
mod siblings;
mod tense;
mod unions;
mod values;
mod widths;

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::catalog::{Catalog, Contract};
use crate::file::SchemaFile;
use crate::finding::{self, Finding};
use crate::resolve::Target;
use crate::rules::Level;
use crate::shape::layers::Layers;
use crate::walk;

/// Runs every rule that needs no validator and that code generation does not depend on.
///
/// `known` is what was found before. One cause makes one finding: what an error is about is not
/// found again here. Findings come sorted.
pub fn check(catalog: &Catalog, known: &[Finding]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let view = View { catalog };
    for rule in RULES {
        rule(&view, &mut findings);
    }
    let errors = known.iter().filter(|finding| finding.level == Level::Error);
    let places: HashSet<(&str, &str)> = errors
        .flat_map(|error| &error.places)
        .map(|place| (place.file.as_str(), place.pointer.as_str()))
        .collect();
    findings.retain(|finding| {
        let place = &finding.places[0];
        !places.contains(&(place.file.as_str(), place.pointer.as_str()))
    });
    finding::sort(&mut findings, &catalog.sources);
    findings
}

/// One rule, or a few that look at the same thing.
type Check = fn(&View<'_>, &mut Vec<Finding>);

const RULES: [Check; 13] = [
    bounds::check,
    consts::check,
    descriptions::check,
    ids::check,
    keywords::check,
    replies::check,
    required::check,
    secrets::check,
    siblings::check,
    tense::check,
    unions::check,
    values::check,
    widths::check,
];

/// The catalog as rules look at it.
struct View<'a> {
    catalog: &'a Catalog,
}

impl<'a> View<'a> {
    fn files(&self) -> impl Iterator<Item = (usize, &'a SchemaFile)> {
        self.catalog.files.iter().enumerate()
    }

    fn contracts(&self) -> impl Iterator<Item = (&'a Contract, &'a SchemaFile)> {
        let catalog = self.catalog;
        catalog.contracts.iter().map(|contract| (contract, catalog.file(contract)))
    }

    /// Calls `visit` with every place of every file that is a schema and an object.
    fn each(&self, mut visit: impl FnMut(&'a SchemaFile, Target, &'a Map<String, Value>)) {
        for (index, file) in self.files() {
            walk::each(&file.schema, "", file.draft, &mut |at, schema| {
                if let Some(object) = schema.as_object() {
                    visit(file, Target { file: index, pointer: at.to_owned() }, object);
                }
            });
        }
    }

    /// Everything that applies to the value at a place.
    fn layers(&self, at: &Target) -> Layers<'a> {
        Layers::of(std::slice::from_ref(at), &self.catalog.files, &self.catalog.references)
    }

    fn path(&self, at: &Target) -> &'a str {
        &self.catalog.files[at.file].path
    }
}

/// `a`, `b` and `c`; after the fifth, how many more.
fn list(names: &[&str]) -> String {
    const SHOWN: usize = 5;
    let quoted: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    match names.len() {
        0..=SHOWN => quoted.join(", "),
        many => format!("{} and {} more", quoted.join(", "), many - SHOWN),
    }
}
