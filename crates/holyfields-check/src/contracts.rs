//! HF041 and the examples: what can be said of a contract together with all it refers to.

use std::collections::HashSet;
use std::num::NonZero;
use std::panic;
use std::thread;

use holyfields::bundle::Bundle;
use holyfields::file::SchemaFile;
use holyfields::finding::{Finding, Place};
use holyfields::pointer;
use holyfields::{Catalog, rules};
use serde_json::Value;

use crate::contradiction::{self, Assertion};
use crate::engine;
use crate::examples::Examples;
use crate::origin::Origins;

/// In bytes: the engine recurses as deep as a schema and all its references go.
const STACK: usize = 16 << 20;

/// Checks every contract. `known` are the errors found before.
pub(crate) fn check(catalog: &Catalog, known: &[&Finding]) -> Vec<Finding> {
    let bundle = catalog.bundle();
    let checker = Checker {
        catalog,
        bundle: &bundle,
        origins: Origins::of(&catalog.files),
        faulty: known.iter().map(|finding| finding.places[0].file.as_str()).collect(),
        closed: closed_inheritance(known),
    };
    let mut findings = Vec::new();
    let mut contradictions = Vec::new();
    for (index, verdict) in checker.verdicts().into_iter().enumerate() {
        findings.extend(verdict.findings);
        if verdict.accepts_nothing {
            findings.extend(checker.accepts_nothing(index, &mut contradictions));
        }
    }
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
}

impl<'a> Checker<'a> {
    /// The verdicts on all contracts, in their order, worked out on all cores.
    fn verdicts(&self) -> Vec<Verdict> {
        let count = self.bundle.contracts.len();
        let workers = thread::available_parallelism().map_or(1, NonZero::get);
        let share = count.div_ceil(workers).max(1);
        thread::scope(|scope| {
            let work = |from: usize| {
                move || (from..count.min(from + share)).map(|index| self.verdict(index)).collect()
            };
            let threads: Vec<_> = (0..count)
                .step_by(share)
                .map(|from| {
                    let builder = thread::Builder::new().stack_size(STACK);
                    builder.spawn_scoped(scope, work(from)).map_err(|_| from)
                })
                .collect();
            let verdicts = threads.into_iter().map(|started| -> Vec<Verdict> {
                match started {
                    Ok(thread) => thread.join().unwrap_or_else(|why| panic::resume_unwind(why)),
                    // No thread to be had: then on this one.
                    Err(from) => work(from)(),
                }
            });
            verdicts.flatten().collect()
        })
    }

    fn verdict(&self, index: usize) -> Verdict {
        let contract = &self.bundle.contracts[index];
        let examples = Examples {
            file: self.file(index),
            key: contract.key(),
            origins: &self.origins,
            closed: &self.closed,
        };
        let mut findings = Vec::new();
        examples.check_shape(&mut findings);
        let document = self.bundle.document(contract);
        let accepts_nothing = engine::accepts_nothing(&document);
        match engine::validator(&document) {
            Ok(validator) if !accepts_nothing => {
                examples.check(&document, &validator, &mut findings);
            }
            Ok(_) => {}
            Err(error) => findings.extend(self.unusable(index, &document, &error.to_string())),
        }
        Verdict { accepts_nothing, findings }
    }

    /// The validator refuses the schema. There is a finding that says why, or else this is it.
    fn unusable(&self, index: usize, document: &Value, why: &str) -> Option<Finding> {
        let reached = document.get("$defs").and_then(Value::as_object);
        let mut reached = reached.into_iter().flat_map(|definitions| definitions.keys());
        let is_explained = reached.any(|definition| {
            let origin = self.origins.find(&format!("/$defs/{}", pointer::escape(definition)));
            origin.is_some_and(|origin| self.faulty.contains(origin.file.path.as_str()))
        });
        let message = format!("no validator can be built for `{}`: {why}", self.key(index));
        let place = Place::file(&self.file(index).path);
        (!is_explained).then(|| Finding::new(rules::INVALID_SCHEMA, message, place))
    }

    /// `others` are the contradictions found before: contracts often share a broken base.
    fn accepts_nothing(&self, index: usize, others: &mut Vec<Vec<Assertion>>) -> Option<Finding> {
        let document = self.bundle.document(&self.bundle.contracts[index]);
        let shared = others.iter().find(|other| contradiction::is_in(&document, other));
        let core = match shared {
            Some(shared) => shared.clone(),
            None => {
                let core = contradiction::find(&document);
                others.push(core.clone());
                core
            }
        };
        let mut places: Vec<Place> =
            core.iter().filter_map(|assertion| self.place(assertion, &document)).collect();
        let is_known = |place: &Place| self.closed.contains(&(&place.file, &place.pointer));
        if places.iter().any(is_known) {
            return None;
        }
        let file = self.file(index);
        // The contract's own file first: that is where people look.
        places.sort_by_key(|place| place.file != file.path);
        if places.is_empty() {
            places.push(Place::value(&file.path, ""));
        }
        let (reason, fix) = match places.len() {
            1 => ("nothing can satisfy this".to_owned(), "change or remove it"),
            n => (format!("these {n} cannot all hold"), "change or remove one of them"),
        };
        let message = format!("`{}` accepts no payload at all: {reason}", self.key(index));
        let examples = file.schema.get("examples").and_then(Value::as_array).map_or(0, Vec::len);
        let help = match examples {
            0 => fix.to_owned(),
            1 => format!("{fix}; its example is refused for this reason"),
            n => format!("{fix}; its {n} examples are refused for this reason"),
        };
        Some(Finding { rule: rules::UNSATISFIABLE, message, places, help: Some(help) })
    }

    fn place(&self, assertion: &Assertion, document: &Value) -> Option<Place> {
        let origin = self.origins.find(&assertion.pointer)?;
        let place = Place::key(&origin.file.path, origin.pointer);
        Some(place.labelled(assertion.label(document)))
    }

    fn file(&self, index: usize) -> &'a SchemaFile {
        self.catalog.file(&self.catalog.contracts[index])
    }

    fn key(&self, index: usize) -> &str {
        self.bundle.contracts[index].key()
    }
}
