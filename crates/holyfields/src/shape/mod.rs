//! The shape: all that a type can say about a schema.
//!
//! References are followed, `allOf` is flattened, lengths, bounds and patterns are gone (their words
//! stay as [`Field::limits`], for documentation). A shape may only widen: whatever the validator
//! accepts, the type decodes.
//!
//! Every struct, enum and union has a name of its own here. The schemas that remain inside fields
//! are small: a primitive, a list, a map, or `{"$ref": "#/$defs/<id>"}` to another type of the shape.

mod build;
pub(crate) mod layers;
mod limits;
mod object;
mod scalar;
mod union;

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
    Enum(Vec<String>),
    /// One of several types.
    Union(Union),
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
    /// The property that tells the variants apart; none where their JSON types do.
    pub tag: Option<String>,
    /// In the order of the schema.
    pub variants: Vec<Variant>,
}

/// One type of a union.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// Its name in code.
    pub ident: String,
    /// The value of the tag; empty where there is none.
    pub wire: String,
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
    let mut types = build::Builder::new(files, references, contracts).build(findings);
    types.sort_by(|a, b| (&a.module, &a.name).cmp(&(&b.module, &b.name)));
    Shape { types }
}

/// The reference to a type of the shape.
pub(crate) fn reference(id: &str) -> Value {
    serde_json::json!({ "$ref": format!("#/$defs/{id}") })
}

/// The id in a reference that [`Shape`] made.
pub fn referenced_id(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix("#/$defs/")
}
