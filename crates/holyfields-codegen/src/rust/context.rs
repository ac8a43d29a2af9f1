//! What every part of the generator looks things up in.

use std::collections::{BTreeSet, HashMap};

use holyfields::shape::{self, Body, TypeShape};
use holyfields::{Catalog, Contract};
use serde_json::Value;

use crate::engine::RustTypes;
use crate::{CodegenError, Options};

pub(super) struct Context<'a> {
    pub(super) catalog: &'a Catalog,
    /// By the id that `$ref`s use.
    types: HashMap<&'a str, &'a TypeShape>,
    /// By module and type name.
    contracts: HashMap<(&'a str, &'a str), &'a Contract>,
    rust_types: RustTypes,
    crate_path: String,
}

impl<'a> Context<'a> {
    pub(super) fn new(catalog: &'a Catalog, options: &Options) -> Result<Self, CodegenError> {
        let types = &catalog.shape.types;
        let replies = catalog.shape.replies.values();
        let schemas = types.iter().flat_map(|shape| schemas(&shape.body)).chain(replies);
        let ids = types.iter().map(|shape| shape.id.as_str());
        let contracts = catalog.contracts.iter();
        Ok(Context {
            catalog,
            rust_types: RustTypes::of(schemas, ids)?,
            types: types.iter().map(|shape| (shape.id.as_str(), shape)).collect(),
            contracts: contracts.map(|c| ((c.module.as_str(), c.type_name.as_str()), c)).collect(),
            crate_path: options.crate_path.clone(),
        })
    }

    /// The named type behind an id.
    pub(super) fn named(&self, id: &str) -> Option<&'a TypeShape> {
        self.types.get(id).copied()
    }

    /// The contract whose payload a type is.
    pub(super) fn contract(&self, shape: &TypeShape) -> Option<&'a Contract> {
        self.contracts.get(&(shape.module.as_str(), shape.name.as_str())).copied()
    }

    /// The type of a contract, and every type that a value of it or of its answer may hold, each once,
    /// from the outside to the inside.
    pub(super) fn made_of(&self, contract: &Contract) -> Vec<&'a TypeShape> {
        let is_it = |shape: &&&TypeShape| {
            shape.module == contract.module && shape.name == contract.type_name
        };
        let mut found: Vec<&'a TypeShape> =
            self.types.values().find(is_it).copied().into_iter().collect();
        let reply = self.catalog.shape.replies.get(&contract.file);
        let of_reply = reply.into_iter().flat_map(referenced_ids);
        found.extend(of_reply.filter_map(|id| self.named(id)));
        let mut next = 0;
        while let Some(shape) = found.get(next).copied() {
            next += 1;
            let ids = schemas(&shape.body).flat_map(referenced_ids);
            for inner in ids.filter_map(|id| self.named(id)) {
                if !found.iter().any(|known| known.id == inner.id) {
                    found.push(inner);
                }
            }
        }
        found
    }

    /// Whether naming the contracts' types may be worth a warning.
    pub(super) fn has_deprecated_contracts(&self) -> bool {
        self.types.values().any(|shape| shape.deprecated && self.contract(shape).is_some())
    }

    /// The Rust type of a field's schema, with full paths.
    pub(super) fn rust_type(&self, schema: &Value) -> &str {
        self.rust_types.get(schema)
    }

    /// The path to the runtime: `::bloodbank`.
    pub(super) fn crate_path(&self) -> &str {
        &self.crate_path
    }

    /// Whether a value of this schema holds a value of the type `id` directly, not behind a list
    /// or a map: then it must be boxed, or the type would be infinite.
    pub(super) fn embeds(&self, schema: &Value, id: &str) -> bool {
        self.reaches(schema, id, |_| true)
    }

    /// The same through unions alone: fields are boxed where structs lie on the way.
    pub(super) fn nests_unions(&self, schema: &Value, id: &str) -> bool {
        self.reaches(schema, id, |body| matches!(body, Body::Union(_)))
    }

    fn reaches(&self, schema: &Value, id: &str, through: fn(&Body) -> bool) -> bool {
        let mut seen = BTreeSet::new();
        let mut open: Vec<&str> = shape::embedded_ids(schema);
        while let Some(next) = open.pop() {
            if next == id {
                return true;
            }
            let found = self.types.get(next).filter(|found| through(&found.body));
            if let Some(found) = found.filter(|_| seen.insert(next)) {
                open.extend(schemas(&found.body).flat_map(shape::embedded_ids));
            }
        }
        false
    }
}

/// The ids of all references in a schema.
fn referenced_ids(schema: &Value) -> Vec<&str> {
    let inside: Box<dyn Iterator<Item = &Value>> = match schema {
        Value::Array(values) => Box::new(values.iter()),
        Value::Object(members) => Box::new(members.values()),
        _ => Box::new(std::iter::empty()),
    };
    shape::referenced_id(schema).into_iter().chain(inside.flat_map(referenced_ids)).collect()
}

/// The schemas inside a named type.
fn schemas(body: &Body) -> Box<dyn Iterator<Item = &Value> + '_> {
    match body {
        Body::Struct(body) => {
            Box::new(body.fields.iter().map(|field| &field.schema).chain(&body.extra))
        }
        Body::Enum(_) => Box::new(std::iter::empty()),
        Body::Union(union) => Box::new(union.variants.iter().map(|variant| &variant.schema)),
    }
}
