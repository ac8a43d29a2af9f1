//! `show`: one contract, from several sides, or one service of registry.yaml.

mod service;

use std::io::{self, Write};

use anyhow::Context;
use bloodbank::{Bundle, BundledContract, BundledService, Kind, escape_control};
use clap::{Args, ValueEnum};
use holyfields::pointer;
use holyfields_codegen::Options;
use serde_json::{Value, json};

use crate::contracts::{self, Known, Origin, Source};
use crate::table::Table;

#[derive(Args)]
pub(crate) struct Show {
    /// A routing key, as in `shop.order.paid`, or the name of a service.
    key: String,
    /// Another version than the first; also written `shop.order.paid.v2`.
    #[arg(long = "version", value_name = "N")]
    number: Option<u32>,
    /// What to show.
    #[arg(long, default_value = "table")]
    format: Format,
    /// The same as `--format json`.
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Fields, services, description: for people.
    Table,
    /// The same as JSON.
    Json,
    /// The schema with everything that it refers to.
    Schema,
    /// The first example.
    Example,
    /// The Rust types.
    Rust,
}

impl Show {
    pub(crate) fn run(&self, source: &Source) -> anyhow::Result<u8> {
        let Known { contracts, origin, .. } = source.read()?;
        if let Some(service) = self.service(contracts.bundle()) {
            return self.show_service(contracts.bundle(), service);
        }
        let contract = contracts::find(&contracts, &self.key, self.number)?;
        let bundle = contracts.bundle();
        let mut out = io::stdout().lock();
        match if self.json { Format::Json } else { self.format } {
            Format::Table => table(bundle, contract, &origin, &mut out)?,
            Format::Json => writeln!(out, "{:#}", as_json(bundle, contract))?,
            Format::Schema => writeln!(out, "{:#}", bundle.document(contract))?,
            Format::Example => {
                let example = bundle.examples(contract).first();
                let example = example.with_context(|| format!("`{}` has no example", self.key))?;
                writeln!(out, "{example:#}")?;
            }
            Format::Rust => writeln!(out, "{}", Self::rust(source, contract)?)?,
        }
        Ok(0)
    }

    /// The service that is meant, where the name is not a contract's.
    fn service<'b>(&self, bundle: &'b Bundle) -> Option<&'b BundledService> {
        let is_contract = bundle.contract(&self.key).is_some() || self.number.is_some();
        bundle.service(&self.key).filter(|_| !is_contract)
    }

    fn show_service(&self, bundle: &Bundle, service: &BundledService) -> anyhow::Result<u8> {
        let mut out = io::stdout().lock();
        match if self.json { Format::Json } else { self.format } {
            Format::Table => service::table(bundle, service, &mut out)?,
            Format::Json => writeln!(out, "{:#}", service::as_json(bundle, service))?,
            _ => anyhow::bail!("`{}` is a service: show it as a table or as JSON", service.name),
        }
        Ok(0)
    }

    /// The struct of a contract and the types of its domain that it is made of.
    fn rust(source: &Source, contract: &BundledContract) -> anyhow::Result<String> {
        let catalog = source.catalog()?.context(
            "Rust code is made from a schema folder: pass `--schemas DIR`, or run this where \
             `schemas` is",
        )?;
        let key = contract.key();
        let is_it = |found: &&holyfields::Contract| found.routes().eq(contract.routes());
        let contract = catalog.contracts.iter().find(is_it);
        let contract = contract.with_context(|| format!("`{key}` has no Rust type"))?;
        let types = holyfields_codegen::rust_types(&catalog, contract, &Options::default())?;
        Ok(types.trim_end().to_owned())
    }
}

fn table(
    bundle: &Bundle,
    contract: &BundledContract,
    origin: &Origin,
    out: &mut impl Write,
) -> io::Result<()> {
    let line = |out: &mut dyn Write, name: &str, text: &str| {
        if text.is_empty() { Ok(()) } else { writeln!(out, "{name:<12} {}", escape_control(text)) }
    };
    let keys: Vec<String> = contract.routes().collect();
    line(out, contract.kind.as_str(), &keys.join(", "))?;
    line(out, "version", &contract.version.to_string())?;
    line(out, "title", &contract.title)?;
    line(out, "description", &contract.description)?;
    // Where other contracts are compiled into, only who compiles them knows.
    let path = if *origin == Origin::BuiltIn { "bloodbank::events::" } else { "" };
    line(out, "type", &format!("{path}{}", contract.rust_type))?;
    line(out, "schema", &contract.schema_id)?;
    let (from, to) = services(bundle, contract);
    let (from_label, to_label) = match contract.kind {
        Kind::Event => ("produced by", "consumed by"),
        Kind::Command => ("sent by", "handled by"),
    };
    line(out, from_label, &from.join(", "))?;
    line(out, to_label, &to.join(", "))?;
    let reply = Reply::of(bundle, contract);
    if let Some(reply) = &reply {
        line(out, "answered", &format!("with {}", reply.kind))?;
    }
    writeln!(out)?;
    print("field", fields(bundle, contract), out)?;
    match reply {
        Some(reply) if !reply.fields.is_empty() => {
            writeln!(out)?;
            print("field of the answer", reply.fields, out)
        }
        _ => Ok(()),
    }
}

fn print(heading: &str, fields: Vec<Field>, out: &mut impl Write) -> io::Result<()> {
    let mut table = Table::new([heading, "required", "type", "description"]);
    for field in fields {
        let required = if field.required { "yes" } else { "no" };
        table.row([&field.name, required, &field.kind, &field.description]);
    }
    table.print(out)
}

/// What a command is answered with.
struct Reply {
    kind: String,
    fields: Vec<Field>,
}

impl Reply {
    fn of(bundle: &Bundle, contract: &BundledContract) -> Option<Self> {
        let document = bundle.reply_document(contract)?;
        Some(Reply { kind: kind(&document, &document), fields: fields_of(&document) })
    }
}

fn as_json(bundle: &Bundle, contract: &BundledContract) -> Value {
    let (from, to) = services(bundle, contract);
    let fields =
        |fields: Vec<Field>| -> Vec<Value> { fields.into_iter().map(Field::into_json).collect() };
    let (from_name, to_name) = match contract.kind {
        Kind::Event => ("produced_by", "consumed_by"),
        Kind::Command => ("sent_by", "handled_by"),
    };
    let mut shown = json!({
        "contract": contract,
        from_name: from,
        to_name: to,
        "fields": fields(self::fields(bundle, contract)),
        "examples": bundle.examples(contract),
    });
    if let Some(reply) = Reply::of(bundle, contract) {
        shown["reply"] = json!({ "type": reply.kind, "fields": fields(reply.fields) });
    }
    shown
}

/// The services from which a contract comes, and to which it goes.
fn services<'b>(bundle: &'b Bundle, contract: &BundledContract) -> (Vec<&'b str>, Vec<&'b str>) {
    let names = |list: fn(&BundledService) -> &std::collections::BTreeSet<String>| {
        let listed =
            |service: &&BundledService| contract.routes().any(|r| list(service).contains(&r));
        bundle.services.iter().filter(listed).map(|service| service.name.as_str()).collect()
    };
    match contract.kind {
        Kind::Event => (names(|service| &service.produces), names(|service| &service.consumes)),
        Kind::Command => (names(|service| &service.sends), names(|service| &service.handles)),
    }
}

/// A property, as people want to see it.
struct Field {
    name: String,
    required: bool,
    kind: String,
    description: String,
}

impl Field {
    fn into_json(self) -> Value {
        json!({
            "name": self.name,
            "required": self.required,
            "type": self.kind,
            "description": self.description,
        })
    }
}

/// The properties that a payload has at its top, those of bases included.
fn fields(bundle: &Bundle, contract: &BundledContract) -> Vec<Field> {
    fields_of(&bundle.document(contract))
}

fn fields_of(document: &Value) -> Vec<Field> {
    let mut layers = Vec::new();
    collect(document, document, &mut layers, 0);
    let required: Vec<&Value> =
        layers.iter().filter_map(|layer| layer["required"].as_array()).flatten().collect();
    let mut fields: Vec<Field> = Vec::new();
    for (name, schema) in
        layers.iter().filter_map(|layer| layer["properties"].as_object()).flatten()
    {
        let resolved = follow(document, schema);
        let text = |schema: &Value| schema["description"].as_str().map(str::to_owned);
        let sensitive = [schema, resolved].iter().any(|s| s["x-bloodbank-sensitive"] == true);
        let mark = if sensitive { ", sensitive" } else { "" };
        let field = Field {
            name: name.clone(),
            required: required.iter().any(|required| *required == name),
            kind: format!("{}{mark}", kind(document, schema)),
            description: text(schema).or_else(|| text(resolved)).unwrap_or_default(),
        };
        match fields.iter_mut().find(|known| known.name == *name) {
            Some(known) => *known = field,
            None => fields.push(field),
        }
    }
    fields
}

/// A chain of references longer than this is a circle.
const MAX_HOPS: usize = 16;

fn collect<'d>(document: &'d Value, schema: &'d Value, layers: &mut Vec<&'d Value>, depth: usize) {
    if depth > MAX_HOPS {
        return;
    }
    if let Some(target) = target(document, schema) {
        collect(document, target, layers, depth + 1);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        collect(document, part, layers, depth + 1);
    }
    layers.push(schema);
}

fn target<'d>(document: &'d Value, schema: &Value) -> Option<&'d Value> {
    let fragment = schema.get("$ref")?.as_str()?.strip_prefix('#')?;
    document.pointer(&pointer::from_fragment(fragment))
}

fn follow<'d>(document: &'d Value, schema: &'d Value) -> &'d Value {
    let mut found = schema;
    for _ in 0..MAX_HOPS {
        match target(document, found) {
            Some(next) => found = next,
            None => break,
        }
    }
    found
}

/// `string (uuid)`, `array of string`, `"a" | "b"`: the kind of value in a few words.
fn kind(document: &Value, schema: &Value) -> String {
    let schema = follow(document, schema);
    if let Some(value) = schema.get("const") {
        return value.to_string();
    }
    if let Some(values) = schema["enum"].as_array() {
        return values.iter().map(Value::to_string).collect::<Vec<_>>().join(" | ");
    }
    for word in ["oneOf", "anyOf"] {
        if let Some(branches) = schema[word].as_array() {
            let kinds: Vec<String> = branches.iter().map(|b| kind(document, b)).collect();
            return kinds.join(" | ");
        }
    }
    let name = match &schema["type"] {
        Value::String(name) => name.clone(),
        Value::Array(names) => {
            names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" | ")
        }
        _ => "any".to_owned(),
    };
    match (name.as_str(), schema["format"].as_str()) {
        ("array", _) if schema.get("items").is_some() => {
            format!("array of {}", kind(document, &schema["items"]))
        }
        ("object", _) if schema["additionalProperties"].is_object() => {
            format!("map of {}", kind(document, &schema["additionalProperties"]))
        }
        (_, Some(format)) => format!("{name} ({format})"),
        _ => name,
    }
}
