//! HF015: what stands beside a draft-07 `$ref`.

use super::{View, list};
use crate::file::Draft;
use crate::finding::{Finding, Place};
use crate::{pointer, rules};

/// Words that say nothing about the value, so that nobody misses them.
const SILENT: [&str; 9] = [
    "$comment",
    "$defs",
    "$ref",
    "$schema",
    "definitions",
    "deprecated",
    "description",
    "examples",
    "title",
];

pub(super) fn check(view: &View<'_>, findings: &mut Vec<Finding>) {
    view.each(|file, at, object| {
        if file.draft != Draft::V7 || !object.contains_key("$ref") {
            return;
        }
        let ignored: Vec<&str> = object
            .keys()
            .map(String::as_str)
            .filter(|word| !SILENT.contains(word) && !word.starts_with("x-"))
            .collect();
        let Some(first) = ignored.first() else { return };
        let message = format!(
            "draft-07 ignores what stands beside `$ref`: {} counts for nothing",
            list(&ignored)
        );
        let place = Place::key(&file.path, pointer::join(&at.pointer, first));
        let reference = Place::key(&file.path, pointer::join(&at.pointer, "$ref"));
        findings.push(
            Finding::new(rules::IGNORED_SIBLING, message, place)
                .also(reference.labelled("beside this"))
                .help("write `\"allOf\": [{ \"$ref\": … }]`, or move the file to 2020-12"),
        );
    });
}
