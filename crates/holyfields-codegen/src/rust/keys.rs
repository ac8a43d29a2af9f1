//! `keys.rs`: the routing keys as constants.

use holyfields::naming;
use quote::quote;

use super::context::Context;
use super::docs;
use super::print::Source;
use super::scope::ident;

pub(super) fn source(context: &Context<'_>) -> Source {
    let mut items = Vec::new();
    let mut names = Vec::new();
    for contract in &context.catalog.contracts {
        let file = context.catalog.file(contract);
        let title = file.text("title").unwrap_or("No title").trim_end_matches('.');
        for route in contract.routes() {
            let name = ident(&naming::key_constant(&route));
            let version = match contract.identity.version {
                1 => String::new(),
                later => format!(", version {later}"),
            };
            let summary = format!("{title}{version} ({}).", contract.identity.kind);
            let documentation = docs::paragraphs([summary.as_str()]);
            items.push(quote!(#documentation pub const #name: &str = #route;));
            names.push(name);
        }
    }
    items.push(quote! {
        /// Every key, events first.
        pub const ALL: &[&str] = &[#(#names),*];
    });
    Source { uses: Vec::new(), items }
}
