//! Schema → types: what kind of value a place describes, and the names of the types it needs.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Value, json};

use super::layers::{self, Layers};
use super::{Body, TypeShape, reference, scalar};
use crate::catalog::Contract;
use crate::file::{Draft, SchemaFile};
use crate::finding::{Finding, Place};
use crate::resolve::{References, Target};
use crate::{naming, pointer, rules};

/// Where a type lives and what it is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

/// A value's type where it is not null, and whether it may be null.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Typed {
    pub(super) schema: Value,
    pub(super) nullable: bool,
}

impl Typed {
    pub(super) fn plain(schema: Value) -> Self {
        Typed { schema, nullable: false }
    }

    /// Any JSON value, null included.
    pub(super) fn any() -> Self {
        Typed::plain(json!(true))
    }

    /// The schema as it stands inside a list or a map, where there is no field to carry null.
    pub(super) fn inline(self) -> Value {
        // Any value may be null already.
        match self.nullable && self.schema != json!(true) {
            true => json!({ "oneOf": [self.schema, { "type": "null" }] }),
            false => self.schema,
        }
    }
}

/// What a type is made for.
pub(super) struct Asked {
    /// The places that all describe the value; at least one.
    pub(super) places: Vec<Target>,
    /// What its type is called, if it needs a name.
    pub(super) name: Name,
}

pub(super) struct Builder<'a> {
    pub(super) files: &'a [SchemaFile],
    pub(super) references: &'a References,
    contracts: &'a [Contract],
    /// The contract of a file.
    by_file: HashMap<usize, &'a Contract>,
    /// The places that some `$ref` leads to.
    targets: HashSet<&'a Target>,
    /// The named types of places: of those that are referred to, and of those in the making.
    known: HashMap<Vec<Target>, Typed>,
    /// Places whose type is in the making, and how many types had a name when that began.
    open: HashMap<Vec<Target>, usize>,
    depth: usize,
    /// Which place took a name.
    names: BTreeMap<Name, Target>,
    types: Vec<TypeShape>,
    next_id: usize,
    pub(super) findings: Vec<Finding>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        files: &'a [SchemaFile],
        references: &'a References,
        contracts: &'a [Contract],
    ) -> Self {
        Builder {
            files,
            references,
            contracts,
            by_file: contracts.iter().map(|contract| (contract.file, contract)).collect(),
            targets: references.iter().map(|(_, target)| target).collect(),
            known: HashMap::new(),
            open: HashMap::new(),
            depth: 0,
            names: BTreeMap::new(),
            types: Vec::new(),
            next_id: 0,
            findings: Vec::new(),
        }
    }

    pub(super) fn build(mut self, findings: &mut Vec<Finding>) -> Vec<TypeShape> {
        for contract in self.contracts {
            let at = Target { file: contract.file, pointer: String::new() };
            if !self.known.contains_key(std::slice::from_ref(&at)) {
                self.contract(&at);
            }
        }
        findings.append(&mut self.findings);
        self.types
    }

    /// The type of a contract's payload.
    fn contract(&mut self, at: &Target) -> Value {
        let layers = self.layers(std::slice::from_ref(at));
        if layers.types().is_none_or(|types| types.iter().any(|kind| *kind != "object")) {
            let file = &self.files[at.file];
            let message = format!("`{}` accepts payloads that are no objects", file.path);
            let place = match layers.has("type") {
                true => Place::value(&file.path, "/type"),
                false => Place::file(&file.path),
            };
            self.findings.push(
                Finding::new(rules::NOT_AN_OBJECT, message, place)
                    .help("write `\"type\": \"object\"` at the root"),
            );
        }
        let name = self.definition_name(at);
        let id = self.claim(at, &name);
        self.known.insert(vec![at.clone()], Typed::plain(reference(&id)));
        let key_property = self.by_file.get(&at.file).and_then(|c| c.identity.key_property);
        let body = self.structure(&layers, &name, key_property);
        self.define(id.clone(), name, &layers, Body::Struct(body));
        reference(&id)
    }

    /// The type of the value that all these places describe.
    pub(super) fn value(&mut self, places: &[Target], name: &Name) -> Typed {
        let (places, name) = self.dereference(places, name);
        if let Some(typed) = self.known.get(&places) {
            return typed.clone();
        }
        if let [at] = places.as_slice()
            && at.pointer.is_empty()
            && self.by_file.contains_key(&at.file)
        {
            return Typed::plain(self.contract(at));
        }
        let layers = self.layers(&places);
        // A list of itself, say: without a name on the way round, no type can be written down.
        let before = self.open.get(&places).copied();
        if self.depth > MAX_DEPTH || before == Some(self.next_id) {
            self.recursion_not_carried(&layers);
            return Typed::any();
        }
        self.depth += 1;
        self.open.insert(places.clone(), self.next_id);
        let asked = Asked { places, name };
        let typed = self.typed(&layers, &asked);
        self.depth -= 1;
        match before {
            Some(before) => self.open.insert(asked.places.clone(), before),
            None => self.open.remove(&asked.places),
        };
        if !self.is_shared(&asked.places) {
            self.known.remove(&asked.places);
        }
        typed
    }

    fn typed(&mut self, layers: &Layers<'a>, asked: &Asked) -> Typed {
        let types = layers.types();
        if let Some(values) = layers.values() {
            return self.enumeration(layers, &values, asked);
        }
        if let Some(typed) = self.union(layers, asked) {
            return typed;
        }
        let Some(mut types) = types else {
            if layers.has("properties") {
                self.not_carried(layers, "properties", "no `type` says that this is an object");
            }
            return Typed::any();
        };
        let nullable = types.remove("null");
        let types: Vec<&str> = types.into_iter().collect();
        let schema = match types.as_slice() {
            ["string"] => scalar::string(layers),
            ["boolean"] => json!({ "type": "boolean" }),
            ["integer"] => scalar::integer(layers),
            ["number"] | ["integer", "number"] => json!({ "type": "number", "format": "double" }),
            ["array"] => self.list(layers, &asked.name),
            ["object"] => self.object(layers, asked, nullable),
            _ => return Typed::any(),
        };
        Typed { schema, nullable }
    }

    fn list(&mut self, layers: &Layers<'a>, name: &Name) -> Value {
        let is_tuple = |value: &Value| value.is_array();
        if layers.has("prefixItems") || layers.all("items").any(|(_, items)| is_tuple(items)) {
            let keyword = if layers.has("prefixItems") { "prefixItems" } else { "items" };
            self.not_carried(layers, keyword, "its items become `serde_json::Value`");
            return json!({ "type": "array", "items": true });
        }
        let places = layers.places("items");
        let item = match places.is_empty() {
            true => json!(true),
            false => self.value(&places, &name.inner("item")).inline(),
        };
        json!({ "type": "array", "items": item })
    }

    /// Makes a named type and gives the reference to it.
    pub(super) fn named(
        &mut self,
        asked: &Asked,
        nullable: bool,
        layers: &Layers<'a>,
        body: impl FnOnce(&mut Self, &Name) -> Body,
    ) -> Value {
        let id = self.claim(&asked.places[0], &asked.name);
        // Before the body is made: it may refer to itself.
        self.known.insert(asked.places.clone(), Typed { schema: reference(&id), nullable });
        let body = body(self, &asked.name);
        self.define(id.clone(), asked.name.clone(), layers, body);
        reference(&id)
    }

    pub(super) fn layers(&self, places: &[Target]) -> Layers<'a> {
        Layers::of(places, self.files, self.references)
    }

    /// Says that a keyword shapes the payload in a way that the type does not show.
    pub(super) fn not_carried(&mut self, layers: &Layers<'a>, keyword: &str, effect: &str) {
        let Some((layer, _)) = layers.all(keyword).next() else {
            return;
        };
        let file = &self.files[layer.at.file].path;
        let message = format!("the type does not show `{keyword}`: {effect}; the validator checks");
        let place = Place::key(file, pointer::join(&layer.at.pointer, keyword));
        self.findings.push(Finding::new(rules::NOT_CARRIED, message, place));
    }

    fn recursion_not_carried(&mut self, layers: &Layers<'a>) {
        if let Some(layer) = layers.iter().next_back() {
            let message = "the type does not show how this repeats: inside itself it becomes \
                           `serde_json::Value`; the validator checks";
            let place = self.place(&layer.at);
            self.findings.push(Finding::new(rules::NOT_CARRIED, message, place));
        }
    }

    /// Follows references as long as nothing beside them changes the type.
    fn dereference(&self, places: &[Target], name: &Name) -> (Vec<Target>, Name) {
        let [at] = places else {
            return (places.to_vec(), name.clone());
        };
        let (mut at, mut name) = (at.clone(), name.clone());
        for _ in 0..MAX_HOPS {
            let Some(next) = self.next_hop(&at) else {
                break;
            };
            if self.is_definition(&next) {
                name = self.definition_name(&next);
            }
            at = next;
        }
        (vec![at], name)
    }

    fn next_hop(&self, at: &Target) -> Option<Target> {
        let file = &self.files[at.file];
        let object = file.schema.pointer(&at.pointer)?.as_object()?;
        let lone = file.draft == Draft::V7 && object.contains_key("$ref");
        let shaping = |word: &str| SHAPING.contains(&word) && word != "allOf";
        let alone = lone || !object.keys().any(|word| shaping(word));
        let all_of = object.get("allOf").and_then(Value::as_array);
        match (self.references.target(at), all_of) {
            (Some(target), all_of) if alone && (lone || all_of.is_none()) => Some(target.clone()),
            (None, Some(one)) if alone && one.len() == 1 => Some(layers::below(at, "allOf", 0)),
            _ => None,
        }
    }

    /// Whether a place is made to be referred to, as a file's root or a definition is, or is.
    fn is_definition(&self, at: &Target) -> bool {
        let parent = at.pointer.rsplit_once('/').map(|(parent, _)| parent);
        self.targets.contains(at)
            || parent
                .is_none_or(|parent| parent.ends_with("/$defs") || parent.ends_with("/definitions"))
    }

    /// Whether all that refer to these places share one type.
    fn is_shared(&self, places: &[Target]) -> bool {
        matches!(places, [at] if self.is_definition(at))
    }

    fn definition_name(&self, at: &Target) -> Name {
        let file = &self.files[at.file];
        let words = at.pointer.split('/').filter(|word| !KEYWORD_STEPS.contains(word));
        let words: Vec<_> = words.map(pointer::unescape).collect();
        let words = words.join("_");
        let inner = if words.is_empty() { String::new() } else { naming::type_name(&words) };
        match self.by_file.get(&at.file) {
            Some(contract) => Name {
                module: contract.module.clone(),
                name: format!("{}{inner}", contract.type_name),
            },
            None if inner.is_empty() => {
                Name { module: naming::library_module(file), name: naming::library_type(file) }
            }
            None => Name { module: naming::library_module(file), name: inner },
        }
    }

    pub(super) fn claim(&mut self, at: &Target, name: &Name) -> String {
        match self.names.get(name) {
            Some(other) if other != at => {
                let (other, at) = (self.place(other), self.place(at));
                let message = format!(
                    "two schemas become `{}::{}` in generated code",
                    name.module, name.name
                );
                self.findings.push(
                    Finding::new(rules::NAME_CLASH, message, at)
                        .also(other.labelled("the other one"))
                        .help("rename one of the two"),
                );
            }
            _ => {
                self.names.insert(name.clone(), at.clone());
            }
        }
        self.next_id += 1;
        format!("T{}", self.next_id)
    }

    pub(super) fn define(&mut self, id: String, name: Name, layers: &Layers<'a>, body: Body) {
        let title = layers.iter().next_back().and_then(|layer| layer.object.get("title"));
        let title = title.and_then(Value::as_str).map(sentence);
        let description = layers.text("description").map(str::to_owned);
        self.types.push(TypeShape {
            id,
            module: name.module,
            name: name.name,
            docs: title.into_iter().chain(description).collect(),
            deprecated: layers.is_marked("deprecated"),
            body,
        });
    }

    pub(super) fn place(&self, at: &Target) -> Place {
        let path = &self.files[at.file].path;
        if at.pointer.is_empty() { Place::file(path) } else { Place::key(path, &at.pointer) }
    }
}

/// Types inside types inside types: deeper than anybody can read.
const MAX_DEPTH: usize = 64;

/// A chain of references longer than this is a circle.
const MAX_HOPS: usize = 64;

/// Keywords that change which type a value has.
const SHAPING: [&str; 14] = [
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "enum",
    "format",
    "items",
    "minimum",
    "oneOf",
    "patternProperties",
    "prefixItems",
    "properties",
    "required",
    "type",
];

/// Steps of a pointer that are no names.
const KEYWORD_STEPS: [&str; 5] = ["", "$defs", "definitions", "properties", "items"];

/// A title as the first line of a doc comment.
fn sentence(title: &str) -> String {
    if title.ends_with(['.', '!', '?']) { title.to_owned() } else { format!("{title}.") }
}
