//! The structural rules: what can be said of a schema without a validator.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::file::{Draft, SchemaFile};
use crate::finding::{Finding, Place};
use crate::fix::{Change, Edit, Safety};
use crate::resolve::{References, Target};
use crate::{pointer, rules, walk};

/// The formats that the validator checks.
pub const FORMATS: [&str; 17] = [
    "date",
    "date-time",
    "duration",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "iri",
    "iri-reference",
    "json-pointer",
    "regex",
    "relative-json-pointer",
    "time",
    "uri",
    "uri-reference",
    "uri-template",
    "uuid",
];

/// Words of 2019-09 that say what they mean only to a validator of that draft.
const UNSUPPORTED: [&str; 2] = ["$recursiveRef", "$recursiveAnchor"];

/// Runs the structural rules over all files.
pub(crate) fn check(files: &[SchemaFile], references: &References, findings: &mut Vec<Finding>) {
    for (index, file) in files.iter().enumerate() {
        walk::each(&file.schema, "", file.draft, &mut |at, schema| {
            let Some(object) = schema.as_object() else {
                return;
            };
            check_words(file, at, object, findings);
            let inheritance = Inheritance { files, references };
            findings.extend(inheritance.check(Target { file: index, pointer: at.into() }, object));
        });
    }
}

fn check_words(
    file: &SchemaFile,
    at: &str,
    object: &Map<String, Value>,
    findings: &mut Vec<Finding>,
) {
    if let Some(format) = object.get("format").and_then(Value::as_str)
        && !FORMATS.contains(&format)
    {
        let place = Place::value(&file.path, pointer::join(at, "format"));
        let message = format!("nothing checks the format `{format}`");
        let near = crate::suggest::nearest(format, FORMATS);
        let help = match near.first() {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("use one of {}, or a `pattern`", FORMATS.join(", ")),
        };
        findings.push(Finding::new(rules::UNKNOWN_FORMAT, message, place).help(help));
    }
    for word in UNSUPPORTED.into_iter().filter(|word| object.contains_key(*word)) {
        let message = format!("`{word}` is a word of draft 2019-09, which is not supported");
        let place = Place::key(&file.path, pointer::join(at, word));
        findings.push(
            Finding::new(rules::UNSUPPORTED_KEYWORD, message, place)
                .help("use `$ref` with a fixed target"),
        );
    }
}

/// Looks for closed inheritance: `allOf: [base]` beside `additionalProperties: false`.
///
/// `additionalProperties` sees only the `properties` beside it, so the base's are refused.
struct Inheritance<'a> {
    files: &'a [SchemaFile],
    references: &'a References,
}

impl Inheritance<'_> {
    fn check(&self, at: Target, object: &Map<String, Value>) -> Option<Finding> {
        let closed = object.get("additionalProperties") == Some(&Value::Bool(false));
        let lone_ref = self.files[at.file].draft == Draft::V7 && object.contains_key("$ref");
        if !closed || lone_ref || object.contains_key("patternProperties") {
            return None;
        }
        let mut base = Base::default();
        let mut seen = BTreeSet::from([at.clone()]);
        for below in self.parents(&at, object) {
            self.collect(below, &mut seen, &mut base);
        }
        base.required.extend(names(object.get("required")));
        let own = object.get("properties").and_then(Value::as_object);
        let refused = |name: &String| !own.is_some_and(|own| own.contains_key(name));
        let (required, declared): (Vec<_>, Vec<_>) = base
            .declared
            .iter()
            .filter(|(name, _)| refused(name))
            .partition(|(name, _)| base.required.contains(*name));
        let named = if required.is_empty() { &declared } else { &required };
        if named.is_empty() {
            return None;
        }
        let finding = self.finding(&at, named, !required.is_empty());
        let is_said = base.says_how_open || object.contains_key("unevaluatedProperties");
        Some(self.mended(finding, &at, is_said))
    }

    /// Offers the fix where it is right: in 2020-12, and where no base says itself how open it is.
    fn mended(&self, finding: Finding, at: &Target, base_says: bool) -> Finding {
        let file = &self.files[at.file];
        if file.draft == Draft::V7 {
            return finding.help(
                "draft-07 has no word for it: move the file to 2020-12 and write \
                 `\"unevaluatedProperties\": false`, or repeat the base's properties here",
            );
        }
        if base_says {
            return finding.help(
                "let the base say nothing of further properties, and write \
                 `\"unevaluatedProperties\": false` here",
            );
        }
        let change = Change::Rename("unevaluatedProperties".to_owned());
        let pointer = pointer::join(&at.pointer, "additionalProperties");
        let edit = Edit { file: file.path.clone(), pointer, change };
        finding
            .help(
                "write `\"unevaluatedProperties\": false` instead: it counts the base's properties",
            )
            .fix(Safety::Safe, vec![edit])
    }

    fn finding(&self, at: &Target, refused: &[(&String, &Target)], required: bool) -> Finding {
        let file = &self.files[at.file];
        let names: Vec<String> = refused.iter().map(|(name, _)| format!("`{name}`")).collect();
        let names = names.join(", ");
        let subject = match (at.pointer.as_str(), file.text("title")) {
            ("", Some(title)) => format!("`{title}`"),
            ("", None) => format!("`{}`", file.path),
            (pointer, _) => format!("`{}#{pointer}`", file.path),
        };
        let message = if required {
            let them = if refused.len() == 1 { "it" } else { "them" };
            format!(
                "{subject} accepts no payload: {names} must be present, and \
                 `additionalProperties: false` refuses {them}"
            )
        } else {
            format!("{subject} refuses {names}, which its own base declares")
        };
        let place = Place::key(&file.path, pointer::join(&at.pointer, "additionalProperties"))
            .labelled("sees only the properties declared beside it");
        let mut finding = Finding::new(rules::CLOSED_INHERITANCE, message, place);
        for (name, declared) in refused {
            let base = &self.files[declared.file];
            let place = Place::key(&base.path, &declared.pointer);
            finding = finding.also(place.labelled(format!("the base declares `{name}`")));
        }
        finding
    }

    /// The schemas that apply to the same value: `allOf`, and what `$ref` leads to.
    fn parents(&self, at: &Target, object: &Map<String, Value>) -> Vec<Target> {
        let all_of = object.get("allOf").and_then(Value::as_array).map_or(0, Vec::len);
        let below =
            |index| Target { file: at.file, pointer: format!("{}/allOf/{index}", at.pointer) };
        let mut parents: Vec<Target> = (0..all_of).map(below).collect();
        parents.extend(self.references.target(at).cloned());
        parents
    }

    fn collect(&self, at: Target, seen: &mut BTreeSet<Target>, base: &mut Base) {
        let schema = self.files[at.file].schema.pointer(&at.pointer);
        let Some(object) = schema.and_then(Value::as_object) else {
            return;
        };
        if !seen.insert(at.clone()) {
            return;
        }
        for parent in self.parents(&at, object) {
            self.collect(parent, seen, base);
        }
        if self.files[at.file].draft == Draft::V7 && object.contains_key("$ref") {
            return;
        }
        base.says_how_open |= OPENNESS.iter().any(|word| object.contains_key(*word));
        base.required.extend(names(object.get("required")));
        let properties = object.get("properties").and_then(Value::as_object);
        for name in properties.into_iter().flat_map(|properties| properties.keys()) {
            let below = pointer::join(&format!("{}/properties", at.pointer), name);
            base.declared.insert(name.clone(), Target { file: at.file, pointer: below });
        }
    }
}

/// What the bases of a schema declare and require.
#[derive(Default)]
struct Base {
    declared: BTreeMap<String, Target>,
    required: BTreeSet<String>,
    /// Whether one of them says whether it takes further properties.
    says_how_open: bool,
}

/// The keywords that say so.
const OPENNESS: [&str; 2] = ["additionalProperties", "unevaluatedProperties"];

fn names(list: Option<&Value>) -> impl Iterator<Item = String> + '_ {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| item.as_str().map(str::to_owned))
}
