//! The shape: all that a type can say about a schema.
//!
//! References are followed, `allOf` is flattened, lengths, bounds and patterns are gone (their words
//! stay as [`Field::limits`], for documentation). A shape may only widen: whatever the validator
//! accepts, the type decodes.
//!
//! Every struct, enum and union has a name of its own here. The schemas that remain inside fields
//! are small: a primitive, a list, a tuple, a map, or `{"$ref": "#/$defs/<id>"}` to another type of
//! the shape.
//!
//! `build` goes from a place to its type: `layers` are the schema objects that apply there, `kinds` the
//! JSON types that they allow together. Each kind then has its file: `scalar`, `list`, `object`, and
//! where there are alternatives, `union` and `objects`.

mod branches;
mod build;
mod extra;
mod kinds;
pub(crate) mod layers;
mod limits;
mod list;
mod names;
mod object;
mod objects;
mod scalar;
mod sensitive;
mod union;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::catalog::Contract;
use crate::file::SchemaFile;
use crate::finding::Finding;
use crate::resolve::References;

/// All types of a catalog, sorted by module and name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shape {
    /// Those of contracts, and those that they use.
    pub types: Vec<TypeShape>,
    /// What commands are answered with, as schemas of the shape, by the index of the command's file.
    /// Only of those that say it.
    pub replies: BTreeMap<usize, Value>,
}

/// One named type.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeShape {
    /// `T` and a number: what `$ref`s inside the shape call it.
    pub id: String,
    /// `theboard`.
    pub module: String,
    /// `MeetingCreated`.
    pub name: String,
    /// The schema's title and description.
    pub docs: Vec<String>,
    /// Marked `deprecated`.
    pub deprecated: bool,
    /// What it is made of.
    pub body: Body,
}

/// What a named type is made of.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// An object.
    Struct(Struct),
    /// One of several strings.
    Enum(Vec<Choice>),
    /// One of several types.
    Union(Union),
}

/// One string of an enum.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// The name of its variant: `AsNew`.
    pub ident: String,
    /// How it stands in JSON: `as_new`.
    pub wire: String,
    /// Its title and description, where the schema gives it any.
    pub docs: Vec<String>,
}

/// An object with named fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Struct {
    /// Those of a base first, then in the order of the schema.
    pub fields: Vec<Field>,
    /// The schema of further properties' values; none where the object is closed.
    pub extra: Option<Value>,
    /// Whether further properties are never shown.
    pub sensitive_extra: bool,
    /// The property that names the contract's key, and the key: written, never filled in.
    pub key: Option<(String, String)>,
}

/// One property.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its name in JSON.
    pub wire: String,
    /// Its name in code, maybe raw: `r#type`.
    pub ident: String,
    /// Its description.
    pub description: String,
    /// What the validator asks of it beyond its type, in words: `1 to 200 characters`.
    pub limits: Vec<String>,
    /// The one value that it may have.
    pub only: Option<Value>,
    /// What its absence means, by the schema. Never written, and nothing is decoded from it.
    pub default: Option<Value>,
    /// Whether it must be present.
    pub required: bool,
    /// Whether it may be null.
    pub nullable: bool,
    /// Marked `x-bloodbank-sensitive`, here or below: never shown.
    pub sensitive: bool,
    /// Marked `deprecated`.
    pub deprecated: bool,
    /// Its type where it is neither absent nor null.
    pub schema: Value,
}

/// One of several types.
#[derive(Clone, Debug, PartialEq)]
pub struct Union {
    /// What tells the variants apart.
    pub told: Told,
    /// In the order of the schema.
    pub variants: Vec<Variant>,
}

/// What tells the variants of a union apart.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// The text of this property, which the variants themselves do not have.
    Tag(String),
    /// Their JSON types, which all differ.
    JsonType,
    /// Their shapes: tried in the order of these indices, the first counts that takes a value and
    /// keeps all of it.
    Shape(Vec<usize>),
}

/// One type of a union.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// Its name in code.
    pub ident: String,
    /// The property that says that a value is of this type, and its value there.
    pub only: Option<(String, Value)>,
    /// Whether it is never shown.
    pub sensitive: bool,
    /// Its type.
    pub schema: Value,
}

/// Derives the types of all contracts.
pub(crate) fn of(
    files: &[SchemaFile],
    references: &References,
    contracts: &[Contract],
    findings: &mut Vec<Finding>,
) -> Shape {
    let mut shape = build::Builder::new(files, references, contracts).build(findings);
    shape.types.sort_by(|a, b| (&a.module, &a.name).cmp(&(&b.module, &b.name)));
    shape
}

/// The reference to a type of the shape.
pub(crate) fn reference(id: &str) -> Value {
    serde_json::json!({ "$ref": format!("#/$defs/{id}") })
}

/// The types of the shape that a value of this schema holds in itself, not behind a list or a map.
pub fn embedded_ids(schema: &Value) -> Vec<&str> {
    let parts = schema.get("items").or_else(|| schema.get("oneOf")).and_then(Value::as_array);
    let parts = parts.into_iter().flatten().flat_map(embedded_ids);
    referenced_id(schema).into_iter().chain(parts).collect()
}

/// The id in a reference that [`Shape`] made.
pub fn referenced_id(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix("#/$defs/")
}
