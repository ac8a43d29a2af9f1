//! What can be said of a contract together with all it refers to.

use std::collections::HashSet;

use bloodbank_core::schema::Validator;
use holyfields::bundle::{Bundle, REPLY};
use holyfields::file::SchemaFile;
use holyfields::finding::{Finding, Place};
use holyfields::{Catalog, pointer, rules};
use serde_json::Value;

use crate::examples::Examples;
use crate::origin::Origins;
use crate::unsatisfiable::Explainer;
use crate::{annotations, engine, parallel};

/// Checks every contract. `known` are the errors found before.
pub(crate) fn check(catalog: &Catalog, known: &[&Finding]) -> Vec<Finding> {
    let bundle = catalog.bundle();
    let closed = closed_inheritance(known);
    let in_bundle = |file: &SchemaFile| {
        let closed = closed.iter().filter(|(path, _)| *path == file.path);
        let root = definition(file.definition());
        Vec::from_iter(closed.map(|(_, at)| format!("{root}{at}")))
    };
    let checker = Checker {
        catalog,
        bundle: &bundle,
        origins: Origins::of(&catalog.files),
        faulty: known.iter().map(|finding| finding.places[0].file.as_str()).collect(),
        closed_in_bundle: catalog.files.iter().flat_map(in_bundle).collect(),
        closed,
    };
    let verdicts = parallel::map(bundle.contracts.len(), |index| checker.verdict(index));
    let empty: Vec<usize> =
        (0..verdicts.len()).filter(|&index| verdicts[index].accepts_nothing).collect();
    let mut findings: Vec<Finding> =
        verdicts.into_iter().flat_map(|verdict| verdict.findings).collect();
    // One after the other, as contracts often share a broken base.
    let explained = parallel::map(1, |_| checker.explain(&empty));
    findings.extend(explained.into_iter().flatten());
    findings
}

/// A place in a file: path and pointer.
pub(crate) type Spot<'a> = (&'a str, &'a str);

/// Where closed inheritance (HF040) was found: the places of `additionalProperties`.
fn closed_inheritance<'a>(known: &[&'a Finding]) -> HashSet<Spot<'a>> {
    let closed = known.iter().filter(|finding| finding.rule == rules::CLOSED_INHERITANCE);
    let places = closed.map(|finding| &finding.places[0]);
    places.map(|place| (place.file.as_str(), place.pointer.as_str())).collect()
}

struct Verdict {
    /// For another reason than closed inheritance.
    accepts_nothing: bool,
    findings: Vec<Finding>,
}

struct Checker<'a> {
    catalog: &'a Catalog,
    /// Its contracts are those of the catalog, in the same order.
    bundle: &'a Bundle,
    origins: Origins<'a>,
    /// Files that have an error.
    faulty: HashSet<&'a str>,
    closed: HashSet<Spot<'a>>,
    /// The same places as pointers into the bundle.
    closed_in_bundle: Vec<String>,
}

impl<'a> Checker<'a> {
    fn verdict(&self, index: usize) -> Verdict {
        let examples = Examples {
            file: self.file(index),
            key: self.bundle.contracts[index].key(),
            origins: &self.origins,
            closed: &self.closed,
        };
        let mut findings = Vec::new();
        examples.check_shape(&mut findings);
        let document = self.bundle.document(&self.bundle.contracts[index]);
        let validator = Validator::new(&document);
        // A payload that is accepted proves more, and sooner, than the engine can.
        let is_satisfied = validator.as_ref().is_ok_and(|validator| examples.any_valid(validator));
        let accepts_nothing =
            !is_satisfied && engine::accepts_nothing(&self.opened(document.clone()));
        match validator {
            Ok(validator) if !accepts_nothing => {
                examples.check(&validator, &mut findings);
                let contract = &self.bundle.contracts[index];
                findings.extend(annotations::check(self.file(index), self.bundle, contract));
            }
            Ok(_) => {}
            Err(error) => findings.extend(self.unusable(index, &document, &error.to_string())),
        }
        findings.extend(self.reply(index));
        Verdict { accepts_nothing, findings }
    }

    /// What is wrong with what a command is answered with.
    fn reply(&self, index: usize) -> Option<Finding> {
        let contract = &self.bundle.contracts[index];
        let document = self.bundle.reply_document(contract)?;
        if let Err(error) = Validator::new(&document) {
            return self.unusable(index, &document, &error.to_string());
        }
        if !engine::accepts_nothing(&self.opened(document)) {
            return None;
        }
        let message = format!("nothing can be an answer to `{}`", contract.key());
        let place = Place::key(&self.file(index).path, pointer::join("", REPLY));
        let help = "change it, or write `{ \"type\": \"null\" }` if there is nothing to answer";
        Some(Finding::new(rules::UNSATISFIABLE, message, place).help(help))
    }

    /// The document as it would be without closed inheritance, which has its own finding.
    fn opened(&self, mut document: Value) -> Value {
        for at in &self.closed_in_bundle {
            if let Some(closed) = document.pointer_mut(at) {
                *closed = Value::Bool(true);
            }
        }
        document
    }

    /// The validator refuses the schema. There is a finding that says why, or else this is it.
    fn unusable(&self, index: usize, document: &Value, why: &str) -> Option<Finding> {
        let reached = document.get("$defs").and_then(Value::as_object);
        let mut reached = reached.into_iter().flat_map(|definitions| definitions.keys());
        let is_explained = reached.any(|name| {
            let origin = self.origins.find(&definition(name));
            origin.is_some_and(|origin| self.faulty.contains(origin.file.path.as_str()))
        });
        let key = self.bundle.contracts[index].key();
        let message = format!("no validator can be built for `{key}`: {why}");
        let place = Place::file(&self.file(index).path);
        (!is_explained).then(|| Finding::new(rules::INVALID_SCHEMA, message, place))
    }

    fn explain(&self, contracts: &[usize]) -> Vec<Finding> {
        let mut explainer = Explainer::new(&self.origins);
        let contracts = contracts.iter().map(|&index| {
            let contract = &self.bundle.contracts[index];
            let document = self.opened(self.bundle.document(contract));
            explainer.explain(contract.key(), self.file(index), &document)
        });
        contracts.collect()
    }

    fn file(&self, index: usize) -> &'a SchemaFile {
        self.catalog.file(&self.catalog.contracts[index])
    }
}

/// The pointer to a definition of a bundle.
fn definition(name: &str) -> String {
    pointer::join("/$defs", name)
}
