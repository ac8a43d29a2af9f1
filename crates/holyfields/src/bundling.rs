//! Catalog → bundle: references rewritten, draft-07 lowered, nothing else changed.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value};

use crate::bundle::reference_to;
use crate::file::{Draft, SchemaFile};
use crate::resolve::{References, Target};
use crate::{pointer, walk};

/// The schemas of all files that these files reach, ready for the bundle.
pub(crate) fn definitions(
    roots: impl IntoIterator<Item = usize>,
    files: &[SchemaFile],
    references: &References,
) -> Map<String, Value> {
    let mut open: Vec<usize> = roots.into_iter().collect();
    let mut reached: BTreeSet<usize> = open.iter().copied().collect();
    let mut links: HashMap<usize, Vec<usize>> = HashMap::new();
    for (from, to) in references.iter() {
        links.entry(from.file).or_default().push(to.file);
    }
    while let Some(file) = open.pop() {
        let next = links.get(&file).into_iter().flatten().copied();
        open.extend(next.filter(|&next| reached.insert(next)));
    }
    reached
        .into_iter()
        .map(|index| {
            let lowering = Lowering { index, files, references };
            let file = &files[index];
            (file.definition().to_owned(), lowering.schema("", &file.schema))
        })
        .collect()
}

struct Lowering<'a> {
    index: usize,
    files: &'a [SchemaFile],
    references: &'a References,
}

impl Lowering<'_> {
    fn schema(&self, at: &str, schema: &Value) -> Value {
        let Value::Object(object) = schema else {
            return schema.clone();
        };
        let draft = self.files[self.index].draft;
        if draft == Draft::V7 && object.contains_key("$ref") {
            return Value::Object(self.lone_reference(at, object));
        }
        let changed =
            walk::map_children(schema, at, draft, &mut |at, child| self.schema(at, child));
        let Value::Object(mut object) = changed else {
            return changed;
        };
        for word in ["$schema", "$id", "$anchor", "$dynamicAnchor", "$dynamicRef"] {
            object.shift_remove(word);
        }
        if let Some(reference) = self.reference(at) {
            object.insert("$ref".into(), reference.into());
        }
        if draft == Draft::V7 { lower(object) } else { Value::Object(object) }
    }

    /// In draft-07 the siblings of a `$ref` count for nothing. Definitions stay, as others may
    /// refer to them.
    fn lone_reference(&self, at: &str, object: &Map<String, Value>) -> Map<String, Value> {
        let mut alone = Map::new();
        for (keyword, value) in object {
            match (keyword.as_str(), value) {
                ("$ref", value) => {
                    let reference = self.reference(at).map_or(value.clone(), Value::from);
                    alone.insert("$ref".into(), reference);
                }
                ("$defs" | "definitions", Value::Object(members)) => {
                    let below = pointer::join(at, keyword);
                    let members = members.iter().map(|(name, member)| {
                        (name.clone(), self.schema(&pointer::join(&below, name), member))
                    });
                    alone.insert(keyword.clone(), Value::Object(members.collect()));
                }
                _ => {}
            }
        }
        alone
    }

    fn reference(&self, at: &str) -> Option<String> {
        let from = Target { file: self.index, pointer: at.to_owned() };
        let target = self.references.target(&from)?;
        let file = &self.files[target.file];
        Some(reference_to(file.definition(), &lowered_pointer(&target.pointer, file.draft)))
    }
}

/// Words that 2020-12 gave a meaning and that draft-07 ignores.
const NEWER: [&str; 12] = [
    "$defs",
    "$anchor",
    "$dynamicAnchor",
    "$dynamicRef",
    "contentSchema",
    "dependentRequired",
    "dependentSchemas",
    "maxContains",
    "minContains",
    "prefixItems",
    "unevaluatedItems",
    "unevaluatedProperties",
];

/// Draft-07 keywords in the words of 2020-12.
fn lower(object: Map<String, Value>) -> Value {
    let has_tuple = object.get("items").is_some_and(Value::is_array);
    let mut lowered = Map::new();
    for (keyword, value) in object {
        match (keyword.as_str(), value) {
            // Kept where it holds schemas that references may lead to.
            ("$defs", value @ Value::Object(_)) => {
                lowered.insert("$defs".into(), value);
            }
            (newer, _) if NEWER.contains(&newer) => {}
            ("items", value @ Value::Array(_)) => {
                lowered.insert("prefixItems".into(), value);
            }
            ("additionalItems", value) => {
                if has_tuple {
                    lowered.insert("items".into(), value);
                }
            }
            ("dependencies", Value::Object(members)) => lower_dependencies(members, &mut lowered),
            (_, value) => {
                lowered.insert(keyword, value);
            }
        }
    }
    Value::Object(lowered)
}

fn lower_dependencies(members: Map<String, Value>, lowered: &mut Map<String, Value>) {
    let (names, schemas): (Vec<_>, Vec<_>) = members.into_iter().partition(|(_, v)| v.is_array());
    for (keyword, members) in [("dependentRequired", names), ("dependentSchemas", schemas)] {
        if !members.is_empty() {
            lowered.insert(keyword.into(), Value::Object(members.into_iter().collect()));
        }
    }
}

/// Where a place in a draft-07 file lies once it is lowered.
fn lowered_pointer(pointer: &str, draft: Draft) -> String {
    if draft == Draft::V2020 {
        return pointer.to_owned();
    }
    let mut words: Vec<&str> = pointer.split('/').collect();
    for index in 1..words.len() {
        // A word behind one of these is a name that somebody chose, no keyword.
        let is_name =
            ["properties", "patternProperties", "definitions", "$defs"].contains(&words[index - 1]);
        let next_is_index =
            words.get(index + 1).is_some_and(|word| word.bytes().all(|b| b.is_ascii_digit()));
        match words[index] {
            _ if is_name => {}
            "items" if next_is_index => words[index] = "prefixItems",
            "additionalItems" => words[index] = "items",
            "dependencies" => words[index] = "dependentSchemas",
            _ => {}
        }
    }
    words.join("/")
}
