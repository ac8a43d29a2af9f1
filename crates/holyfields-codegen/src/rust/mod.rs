//! Rust: one file a domain, and `events.rs` that holds them together.

mod context;
mod contract;
mod docs;
mod enums;
mod events;
mod examples;
mod keys;
mod print;
mod scope;
mod services;
mod structs;
mod unions;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use holyfields::shape::{Body, TypeShape};
use holyfields::{Catalog, Contract};
use proc_macro2::TokenStream;

use crate::{CodegenError, GeneratedFile, Options};
use context::Context;
use print::Source;
use scope::Scope;

/// All Rust files of a catalog, below `rust/`.
pub(crate) fn files(
    catalog: &Catalog,
    options: &Options,
) -> Result<Vec<GeneratedFile>, CodegenError> {
    let context = Context::new(catalog, options)?;
    let mut domains: BTreeMap<&str, Vec<&TypeShape>> = BTreeMap::new();
    for shape in &catalog.shape.types {
        domains.entry(&shape.module).or_default().push(shape);
    }
    let modules: Vec<&str> = domains.keys().copied().collect();
    let mut sources = vec![
        ("events", events::source(&context, &modules)),
        ("examples", examples::source(&context)),
        ("keys", keys::source(&context)),
        ("services", services::source(&context)),
    ];
    let mut files = print_domains(&context, &domains)?;
    for (name, source) in sources.drain(..) {
        files.push(print::file(name, source, &context)?);
    }
    Ok(files)
}

/// Printing is most of the work, and domains do not need each other.
fn print_domains(
    context: &Context<'_>,
    domains: &BTreeMap<&str, Vec<&TypeShape>>,
) -> Result<Vec<GeneratedFile>, CodegenError> {
    let workers = thread::available_parallelism().map_or(1, usize::from).min(domains.len().max(1));
    let print = |worker: usize| -> Result<Vec<GeneratedFile>, CodegenError> {
        let mine = domains.iter().skip(worker).step_by(workers);
        mine.map(|(name, types)| print::file(name, domain(context, types), context)).collect()
    };
    thread::scope(|scope| {
        let print = &print;
        let others: Vec<_> = (1..workers).map(|n| scope.spawn(move || print(n))).collect();
        let mut files = print(0)?;
        for other in others {
            // A thread that panics does so for a fault of ours; the panic goes on here.
            files.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(files)
    })
}

/// The types of one domain.
fn domain(context: &Context<'_>, types: &[&TypeShape]) -> Source {
    let names = types.iter().map(|shape| shape.name.as_str());
    let mut scope = Scope::new(context, names);
    let mut items = Vec::new();
    for shape in types {
        emit(&mut scope, shape, &mut items);
    }
    Source { uses: scope.uses(), items }
}

fn emit(scope: &mut Scope<'_>, shape: &TypeShape, items: &mut Vec<TokenStream>) {
    match &shape.body {
        Body::Struct(body) => structs::emit(scope, shape, body, items),
        Body::Enum(choices) => enums::emit(scope, shape, choices, items),
        Body::Union(union) => unions::emit(scope, shape, union, items),
    }
}

/// The definitions of a contract's struct, and of the types of its domain that it is made of, as they
/// stand in the file of the domain. Without their impls.
pub(crate) fn types_of(
    catalog: &Catalog,
    contract: &Contract,
    options: &Options,
) -> Result<String, CodegenError> {
    let context = Context::new(catalog, options)?;
    let of_domain = || catalog.shape.types.iter().filter(|shape| shape.module == contract.module);
    let mut scope = Scope::new(&context, of_domain().map(|shape| shape.name.as_str()));
    let mut wanted = context.made_of(contract);
    wanted.retain(|shape| shape.module == contract.module);
    let names: BTreeSet<&str> = wanted.iter().map(|shape| shape.name.as_str()).collect();
    let mut items = Vec::new();
    for shape in wanted {
        emit(&mut scope, shape, &mut items);
    }
    print::definitions(&contract.module, items, &names)
}
