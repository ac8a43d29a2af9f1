//! Schema → types: what kind of value a place describes, and the named types that it needs.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Value, json};

use super::kinds::{Kind, Kinds, KindsOf};
use super::layers::{self, Layers, lone_reference};
use super::names::{Name, Names};
use super::{Body, Shape, TypeShape, reference, scalar};
use crate::bundle::REPLY;
use crate::catalog::Contract;
use crate::file::SchemaFile;
use crate::finding::{Finding, Place};
use crate::resolve::{References, Target};
use crate::{key, rules};

/// A value's type where it is not null, and whether it may be null.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Typed {
    pub(super) schema: Value,
    pub(super) nullable: bool,
}

impl Typed {
    pub(super) fn new(schema: Value, nullable: bool) -> Self {
        // Any value may be null already.
        Typed { nullable: nullable && schema != json!(true), schema }
    }

    /// The schema as it stands inside a list or a map, where there is no field to carry null.
    pub(super) fn inline(self) -> Value {
        match self.nullable {
            true => json!({ "oneOf": [self.schema, { "type": "null" }] }),
            false => self.schema,
        }
    }
}

/// What a type is made for.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// The places that all describe the value. None where the type is a part of theirs.
    pub(super) places: Vec<Target>,
    /// What its type is called, if it needs a name.
    pub(super) name: Name,
    /// Whether the value may also be null.
    pub(super) nullable: bool,
}

impl Asked {
    /// A type that exists only inside another one.
    pub(super) fn part(name: Name) -> Self {
        Asked { places: Vec::new(), name, nullable: false }
    }
}

pub(super) struct Builder<'a> {
    pub(super) files: &'a [SchemaFile],
    pub(super) references: &'a References,
    contracts: &'a [Contract],
    pub(super) kinds: KindsOf<'a>,
    pub(super) names: Names<'a>,
    /// The types of contracts and definitions, also of those in the making.
    known: HashMap<Vec<Target>, Typed>,
    /// The types of other places, by the contract or definition after which they are called.
    inside: HashMap<Target, HashMap<Vec<Target>, Typed>>,
    /// The contract or definition in the making.
    home: Target,
    /// Places whose type is in the making, and how many types had a name when that began.
    open: HashMap<Vec<Target>, usize>,
    depth: usize,
    types: Vec<TypeShape>,
    next_id: usize,
    /// Places of keywords of which it was said that no type shows them.
    noted: HashSet<Target>,
    pub(super) findings: Vec<Finding>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        files: &'a [SchemaFile],
        references: &'a References,
        contracts: &'a [Contract],
    ) -> Self {
        let mut findings = Vec::new();
        Builder {
            files,
            references,
            contracts,
            kinds: KindsOf::new(files, references),
            names: Names::new(files, references, contracts, &mut findings),
            known: HashMap::new(),
            inside: HashMap::new(),
            home: Target { file: 0, pointer: String::new() },
            open: HashMap::new(),
            depth: 0,
            types: Vec::new(),
            next_id: 0,
            noted: HashSet::new(),
            findings,
        }
    }

    pub(super) fn build(mut self, findings: &mut Vec<Finding>) -> Shape {
        for contract in self.contracts {
            let at = Target { file: contract.file, pointer: String::new() };
            if !self.known.contains_key(std::slice::from_ref(&at)) {
                self.contract(&at, contract);
            }
        }
        let replies = self.replies();
        findings.append(&mut self.findings);
        Shape { types: self.types, replies }
    }

    /// What commands are answered with. Named after them, unless it has a name of its own.
    fn replies(&mut self) -> BTreeMap<usize, Value> {
        let commands = self.contracts.iter();
        let commands = commands.filter(|contract| contract.identity.kind == key::Kind::Command);
        let answered = commands.filter(|c| self.files[c.file].schema.get(REPLY).is_some());
        let answered: Vec<&Contract> = answered.collect();
        answered.into_iter().map(|contract| (contract.file, self.reply(contract))).collect()
    }

    fn reply(&mut self, contract: &Contract) -> Value {
        let root = Target { file: contract.file, pointer: String::new() };
        let places = [layers::child(&root, REPLY)];
        if self.kinds.all(&places) == Kinds::NULL {
            return json!({ "type": "null" });
        }
        let name = self.names.contract(contract).inner("reply");
        let home = std::mem::replace(&mut self.home, root);
        let typed = self.value(&places, &name);
        self.home = home;
        typed.inline()
    }

    /// The type of a contract's payload.
    fn contract(&mut self, at: &Target, contract: &Contract) -> Typed {
        let layers = self.layers(std::slice::from_ref(at));
        if self.kinds.at(at) | Kinds::OBJECT != Kinds::OBJECT {
            self.not_an_object(at, &layers);
        }
        let name = self.names.contract(contract);
        let id = self.next_id();
        let typed = Typed::new(reference(&id), false);
        self.known.insert(vec![at.clone()], typed.clone());
        let home = std::mem::replace(&mut self.home, at.clone());
        let body = self.structure(&layers, &name, contract.identity.key_property);
        self.home = home;
        self.define(id, name, &layers, Body::Struct(body));
        typed
    }

    fn not_an_object(&mut self, at: &Target, layers: &Layers<'a>) {
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

    /// The type of the value that all these places describe.
    pub(super) fn value(&mut self, places: &[Target], name: &Name) -> Typed {
        let (places, name) = self.dereference(places, name);
        if let Some(typed) = self.recall(&places) {
            return typed.clone();
        }
        if let [at] = places.as_slice()
            && let Some(contract) = self.names.contract_at(at)
        {
            return self.contract(at, contract);
        }
        let layers = self.layers(&places);
        // A list of itself, say: without a name on the way round, no type can be written down.
        let before = self.open.get(&places).copied();
        if self.depth > MAX_DEPTH || before == Some(self.next_id) {
            self.recursion_not_carried(&layers);
            return Typed::new(json!(true), false);
        }
        self.depth += 1;
        self.open.insert(places.clone(), self.next_id);
        let home = self.home.clone();
        if let [at] = places.as_slice()
            && self.names.is_definition(at)
        {
            self.home = at.clone();
        }
        let kinds = self.kinds.all(&places);
        let asked = Asked { places, name, nullable: kinds.meets(Kinds::NULL) };
        let schema = self.of_kinds(&kinds.list(), &layers, &asked);
        self.home = home;
        self.depth -= 1;
        match before {
            Some(before) => self.open.insert(asked.places.clone(), before),
            None => self.open.remove(&asked.places),
        };
        let typed = Typed::new(schema, asked.nullable);
        self.remember(asked.places, typed.clone());
        typed
    }

    /// The type of places that have one: everywhere that of a definition, else within the contract
    /// or definition in the making, after which it is called.
    fn recall(&self, places: &[Target]) -> Option<&Typed> {
        let inside = || self.inside.get(&self.home)?.get(places);
        self.known.get(places).or_else(inside)
    }

    fn remember(&mut self, places: Vec<Target>, typed: Typed) {
        let known = match places.as_slice() {
            [at] if self.names.is_definition(at) => &mut self.known,
            _ => self.inside.entry(self.home.clone()).or_default(),
        };
        known.insert(places, typed);
    }

    fn of_kinds(&mut self, kinds: &[Kind], layers: &Layers<'a>, asked: &Asked) -> Value {
        match kinds {
            [one] => self.of_kind(*one, layers, asked),
            [] | [_, _, _, _, _, ..] => {
                self.not_carried(layers, "properties", "no `type` says that this is an object");
                json!(true)
            }
            several => self.by_json_type(several, layers, asked),
        }
    }

    /// The type of a value that is known to have one JSON type.
    pub(super) fn of_kind(&mut self, kind: Kind, layers: &Layers<'a>, asked: &Asked) -> Value {
        if let Some(schema) = self.union(kind, layers, asked) {
            return schema;
        }
        match kind {
            Kind::String => self.string(layers, asked),
            Kind::Boolean => json!({ "type": "boolean" }),
            Kind::Integer => self.integer(layers),
            Kind::Number => scalar::number(),
            Kind::Array => self.list(layers, &asked.name),
            Kind::Object => self.object(layers, asked),
        }
    }

    /// Makes a named type and gives the reference to it.
    pub(super) fn named(
        &mut self,
        asked: &Asked,
        layers: &Layers<'a>,
        body: impl FnOnce(&mut Self, &Name) -> Body,
    ) -> Value {
        let name = self.names.take(&asked.name);
        let id = self.next_id();
        if !asked.places.is_empty() {
            // Before the body is made: it may refer to itself.
            self.remember(asked.places.clone(), Typed::new(reference(&id), asked.nullable));
        }
        let body = body(self, &name);
        self.define(id.clone(), name, layers, body);
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
        let at = layers::child(&layer.at, keyword);
        if self.noted.insert(at.clone()) {
            let message =
                format!("the type does not show `{keyword}`: {effect}; the validator checks");
            let place = Place::key(&self.files[at.file].path, at.pointer);
            self.findings.push(Finding::new(rules::NOT_CARRIED, message, place));
        }
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
    pub(super) fn dereference(&self, places: &[Target], name: &Name) -> (Vec<Target>, Name) {
        let [at] = places else {
            return (places.to_vec(), name.clone());
        };
        let (mut at, mut name) = (at.clone(), name.clone());
        for _ in 0..MAX_HOPS {
            let Some(next) = self.next_hop(&at) else {
                break;
            };
            if self.names.is_definition(&next) {
                name = self.names.of_definition(&next);
            }
            at = next;
        }
        (vec![at], name)
    }

    fn next_hop(&self, at: &Target) -> Option<Target> {
        let file = &self.files[at.file];
        let object = file.schema.pointer(&at.pointer)?.as_object()?;
        let lone = lone_reference(file, object);
        let shaping = |word: &str| SHAPING.contains(&word) && word != "allOf";
        let alone = lone || !object.keys().any(|word| shaping(word));
        let all_of = object.get("allOf").and_then(Value::as_array);
        match (self.references.target(at), all_of) {
            (Some(target), all_of) if alone && (lone || all_of.is_none()) => Some(target.clone()),
            (None, Some(one)) if alone && one.len() == 1 => Some(layers::below(at, "allOf", 0)),
            _ => None,
        }
    }

    pub(super) fn next_id(&mut self) -> String {
        self.next_id += 1;
        format!("T{}", self.next_id)
    }

    pub(super) fn define(&mut self, id: String, name: Name, layers: &Layers<'a>, body: Body) {
        let title = layers.iter().next_back().and_then(|layer| layer.get("title"));
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
pub(super) const SHAPING: [&str; 20] = [
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "enum",
    "exclusiveMinimum",
    "format",
    "items",
    "maxLength",
    "minLength",
    "minimum",
    "oneOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "properties",
    "required",
    "type",
    "unevaluatedProperties",
];

/// A title as the first line of a doc comment.
pub(super) fn sentence(title: &str) -> String {
    if title.ends_with(['.', '!', '?']) { title.to_owned() } else { format!("{title}.") }
}
