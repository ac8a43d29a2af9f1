//! `services.rs`: the services of registry.yaml as types, and what each may do.

use std::collections::{BTreeSet, HashMap};

use holyfields::Contract;
use holyfields::bundle::BundledService;
use proc_macro2::TokenStream;
use quote::quote;

use super::context::Context;
use super::print::Source;
use super::scope::ident;

/// The traits and types of the runtime that this file names.
const NAMES: [&str; 8] =
    ["Command", "Consumes", "Contracts", "Event", "Handles", "Produces", "Sends", "Service"];

pub(super) fn source(context: &Context<'_>) -> Source {
    let catalog = context.catalog;
    let by_route: HashMap<String, &Contract> =
        catalog.contracts.iter().flat_map(|c| c.routes().map(move |route| (route, c))).collect();
    let names = Names { context };
    let mut items = any(&names);
    for service in &catalog.services {
        items.extend(emit(&names, service, &by_route));
    }
    let imported: Vec<&str> = NAMES.into_iter().filter(|name| !names.is_taken(name)).collect();
    let imported = imported.join(", ");
    Source { uses: vec![format!("use {}::{{{imported}}};", context.crate_path())], items }
}

/// How this file writes [`NAMES`]: short where no service has the name.
struct Names<'c> {
    context: &'c Context<'c>,
}

impl Names<'_> {
    fn is_taken(&self, name: &str) -> bool {
        self.context.catalog.services.iter().any(|service| service.rust_type == name)
    }

    fn path(&self, name: &str) -> syn::Path {
        let full = format!("{}::{name}", self.context.crate_path());
        let text = if self.is_taken(name) { &full } else { name };
        // Made of the table above and the path that was given for the runtime.
        syn::parse_str(text).unwrap_or_else(|_| ident(name).into())
    }
}

/// What makes a type a service.
fn marker(names: &Names<'_>, ty: &str, text: &str, unrestricted: bool) -> TokenStream {
    let (service, contracts) = (names.path("Service"), names.path("Contracts"));
    let ty = ident(ty);
    let unrestricted = unrestricted.then(|| {
        quote!(
            const UNRESTRICTED: bool = true;
        )
    });
    quote! {
        impl #service for #ty {
            const NAME: &'static str = #text;
            #unrestricted
            fn contracts() -> #contracts {
                super::contracts()
            }
        }
    }
}

/// The way around the registry.
fn any(names: &Names<'_>) -> Vec<TokenStream> {
    let service = quote! {
        /// Any service: the explicit way around registry.yaml.
        #[derive(Clone, Copy, Debug)]
        pub struct Any;
    };
    let (event, command) = (names.path("Event"), names.path("Command"));
    let (produces, consumes) = (names.path("Produces"), names.path("Consumes"));
    let (sends, handles) = (names.path("Sends"), names.path("Handles"));
    vec![
        service,
        marker(names, "Any", "any", true),
        quote! {
            impl<E: #event> #produces<E> for Any {}
            impl<E: #event> #consumes<E> for Any {}
            impl<C: #command> #sends<C> for Any {}
            impl<C: #command> #handles<C> for Any {}
        },
    ]
}

fn emit(
    names: &Names<'_>,
    service: &BundledService,
    by_route: &HashMap<String, &Contract>,
) -> Vec<TokenStream> {
    let (name, text) = (ident(&service.rust_type), &service.name);
    let summary = format!(" The service `{text}`.");
    let mut items = vec![
        quote! {
            #[doc = #summary]
            #[derive(Clone, Copy, Debug)]
            pub struct #name;
        },
        marker(names, &service.rust_type, text, false),
    ];
    let allowed = [
        ("Produces", &service.produces),
        ("Consumes", &service.consumes),
        ("Sends", &service.sends),
        ("Handles", &service.handles),
    ];
    let mut impls = Vec::new();
    for (marker, routes) in allowed {
        let marker = names.path(marker);
        // A contract with several keys is one type.
        let mut seen = BTreeSet::new();
        for contract in routes.iter().filter_map(|route| by_route.get(route)) {
            let (module, ty) = (ident(&contract.module), ident(&contract.type_name));
            if seen.insert((&contract.module, &contract.type_name)) {
                impls.push(quote!(impl #marker<super::#module::#ty> for #name {}));
            }
        }
    }
    if !impls.is_empty() {
        items.push(quote!(#(#impls)*));
    }
    items
}
