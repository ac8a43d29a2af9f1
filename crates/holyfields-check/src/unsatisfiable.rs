//! HF041: a contract that accepts nothing, shown with all sides of the contradiction.

use holyfields::file::SchemaFile;
use holyfields::finding::{Finding, Place};
use holyfields::{pointer, rules};
use serde_json::Value;

use crate::assertion::Assertion;
use crate::contradiction::Search;
use crate::origin::Origins;

/// So many of the last contradictions are tried before a new one is looked for.
const REMEMBERED: usize = 8;

/// Explains contracts that accept nothing, one after the other.
pub(crate) struct Explainer<'a> {
    origins: &'a Origins<'a>,
    /// The latest last; each with the pointer of the contract it was found in.
    ///
    /// Contracts share bases, and people copy contracts with their mistakes.
    found: Vec<(String, Vec<Assertion>)>,
}

impl<'a> Explainer<'a> {
    pub(crate) fn new(origins: &'a Origins<'a>) -> Self {
        Explainer { origins, found: Vec::new() }
    }

    /// `document` is the contract in `file` with all it refers to, and accepts nothing.
    pub(crate) fn explain(&mut self, key: &str, file: &SchemaFile, document: &Value) -> Finding {
        let core = self.core(&pointer::join("/$defs", file.definition()), document);
        let mut places: Vec<Place> =
            core.iter().filter_map(|assertion| self.place(assertion, document)).collect();
        // The contract's own file first: that is where people look.
        places.sort_by_key(|place| place.file != file.path);
        if places.is_empty() {
            places.push(Place::value(&file.path, ""));
        }
        let (reason, fix) = match places.len() {
            1 => ("nothing can satisfy this".to_owned(), "change or remove it"),
            n => (format!("these {n} cannot all hold"), "change or remove one of them"),
        };
        let message = format!("`{key}` accepts no payload at all: {reason}");
        let examples = file.schema.get("examples").and_then(Value::as_array).map_or(0, Vec::len);
        let help = match examples {
            0 => fix.to_owned(),
            1 => format!("{fix}; its example is refused for this reason"),
            n => format!("{fix}; its {n} examples are refused for this reason"),
        };
        let mut finding = Finding::new(rules::UNSATISFIABLE, message, places.remove(0)).help(help);
        finding.places.extend(places);
        finding
    }

    fn core(&mut self, root: &str, document: &Value) -> Vec<Assertion> {
        let search = Search::new(document);
        let known = self.found.iter().rev().take(REMEMBERED).find_map(|(other_root, core)| {
            let core: Vec<_> =
                core.iter().map(|assertion| assertion.moved(other_root, root)).collect();
            search.is_contradiction(&core).then_some(core)
        });
        known.unwrap_or_else(|| {
            let core = search.contradiction();
            self.found.push((root.to_owned(), core.clone()));
            core
        })
    }

    fn place(&self, assertion: &Assertion, document: &Value) -> Option<Place> {
        let origin = self.origins.find(&assertion.pointer)?;
        let place = Place::key(&origin.file.path, origin.pointer);
        Some(place.labelled(assertion.label(document)))
    }
}
