//! `services.rs`: the services of registry.yaml as types, and what each may do.

use std::collections::{BTreeSet, HashMap};

use holyfields::Contract;
use holyfields::bundle::BundledService;
use proc_macro2::TokenStream;
use quote::quote;

use super::context::Context;
use super::print::Source;
use super::scope::ident;

pub(super) fn source(context: &Context<'_>) -> Source {
    let catalog = context.catalog;
    let by_route: HashMap<String, &Contract> =
        catalog.contracts.iter().flat_map(|c| c.routes().map(move |route| (route, c))).collect();
    let mut items = any();
    for service in &catalog.services {
        items.extend(emit(service, &by_route));
    }
    let path = context.crate_path();
    let names = "Command, Consumes, Contracts, Event, Handles, Produces, Sends, Service";
    Source { uses: vec![format!("use {path}::{{{names}}};")], items }
}

/// The way around the registry.
fn any() -> Vec<TokenStream> {
    let service = quote! {
        /// Any service: the explicit way around registry.yaml.
        #[derive(Clone, Copy, Debug)]
        pub struct Any;
    };
    let marker = quote! {
        impl Service for Any {
            const NAME: &'static str = "any";
            const UNRESTRICTED: bool = true;
            fn contracts() -> &'static Contracts {
                super::contracts()
            }
        }
    };
    vec![
        service,
        marker,
        quote! {
            impl<E: Event> Produces<E> for Any {}
            impl<E: Event> Consumes<E> for Any {}
            impl<C: Command> Sends<C> for Any {}
            impl<C: Command> Handles<C> for Any {}
        },
    ]
}

fn emit(service: &BundledService, by_route: &HashMap<String, &Contract>) -> Vec<TokenStream> {
    let (name, text) = (ident(&service.rust_type), &service.name);
    let summary = format!(" The service `{text}`.");
    let mut items = vec![
        quote! {
            #[doc = #summary]
            #[derive(Clone, Copy, Debug)]
            pub struct #name;
        },
        quote! {
            impl Service for #name {
                const NAME: &'static str = #text;
                fn contracts() -> &'static Contracts {
                    super::contracts()
                }
            }
        },
    ];
    let allowed = [
        ("Produces", &service.produces),
        ("Consumes", &service.consumes),
        ("Sends", &service.sends),
        ("Handles", &service.handles),
    ];
    let mut impls = Vec::new();
    for (marker, routes) in allowed {
        let marker = ident(marker);
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
