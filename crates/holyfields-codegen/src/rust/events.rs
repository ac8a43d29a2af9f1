//! `events.rs`: the root of the generated code.

use holyfields::key::Kind;
use holyfields::{Contract, naming};
use proc_macro2::TokenStream;
use quote::quote;

use super::context::Context;
use super::print::Source;
use super::scope::ident;

/// Modules of ours beside the domains, each with its summary.
const OURS: [(&str, &str); 3] = [
    ("examples", "The examples of the schemas, as a check."),
    ("keys", "Routing keys."),
    ("services", "The services of registry.yaml, and what each may do."),
];

pub(super) fn source(context: &Context<'_>, domains: &[&str]) -> Source {
    let mut items: Vec<TokenStream> = OURS.iter().map(|(name, doc)| module(name, doc)).collect();
    items.extend(domains.iter().map(|domain| {
        let plain = domain.trim_start_matches("r#");
        let summary = match *domain {
            "common" => "Types that several domains share.".to_owned(),
            _ => format!("Contracts of the domain `{plain}`."),
        };
        module(domain, &summary)
    }));
    items.extend(contracts());
    items.extend(any_event(context));
    let path = context.crate_path();
    let uses = vec![
        // From the root: a domain may be called `std`.
        "use ::std::sync::OnceLock;".into(),
        String::new(),
        format!("use {path}::codec::{{DecodeError, Payload, decode_any}};"),
        format!("use {path}::serde_json::Value;"),
        match catalog_has_events(context) {
            true => format!("use {path}::{{Contract, Contracts}};"),
            false => format!("use {path}::Contracts;"),
        },
    ];
    Source { uses, items }
}

fn catalog_has_events(context: &Context<'_>) -> bool {
    context.catalog.contracts.iter().any(|contract| contract.identity.kind == Kind::Event)
}

fn module(name: &str, summary: &str) -> TokenStream {
    let file = format!("{}.rs", name.trim_start_matches("r#"));
    let (name, summary) = (ident(name), format!(" {summary}"));
    quote! {
        #[doc = #summary]
        #[allow(clippy::all, dead_code, deprecated, missing_docs, rustdoc::all)]
        pub mod #name {
            include!(#file);
        }
    }
}

fn contracts() -> Vec<TokenStream> {
    vec![
        quote! {
            /// The contracts as JSON: every schema, and the services of registry.yaml.
            pub const BUNDLE: &str = include_str!("../bundle.json");
        },
        quote! {
            /// The contracts, ready to validate. Cheap: all callers share them.
            pub fn contracts() -> Contracts {
                static CONTRACTS: OnceLock<Contracts> = OnceLock::new();
                CONTRACTS.get_or_init(|| Contracts::embedded(BUNDLE)).clone()
            }
        },
    ]
}

/// Every event in one type.
fn any_event(context: &Context<'_>) -> Vec<TokenStream> {
    let events = context.catalog.contracts.iter().filter(|c| c.identity.kind == Kind::Event);
    let cases: Vec<Case> = events.map(Case::of).collect();
    let deprecated = context.has_deprecated_contracts().then(|| quote!(, deprecated));
    let variants = cases.iter().map(|case| {
        let Case { variant, ty, summary, .. } = case;
        quote!(#[doc = #summary] #variant(Box<#ty>))
    });
    let keys = cases.iter().map(|case| {
        let variant = &case.variant;
        quote!(Self::#variant(event) => event.key())
    });
    let readers = cases.iter().map(|case| {
        let (variant, constants) = (&case.variant, &case.constants);
        quote!(#(keys::#constants)|* => Self::#variant(Box::new(Payload::from_valid(key, payload)?)))
    });
    let definition = quote! {
        /// Any event of this catalog.
        #[allow(dead_code #deprecated)]
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum AnyEvent {
            #(#variants,)*
            /// An event with a key that this catalog does not know.
            Unknown {
                /// Its routing key.
                key: String,
                /// Its payload, unchecked.
                data: Value,
            },
        }
    };
    let methods = quote! {
        #[allow(dead_code)]
        impl AnyEvent {
            /// The event in a payload that came with a routing key.
            ///
            /// # Errors
            ///
            /// The payload is no JSON, or breaks the contract of its key.
            #[inline]
            pub fn decode(key: &str, payload: &[u8]) -> Result<Self, DecodeError> {
                decode_any(&contracts(), key, payload)
            }
            /// The routing key, with its version.
            pub fn key(&self) -> &str {
                match self {
                    #(#keys,)*
                    Self::Unknown { key, .. } => key,
                }
            }
        }
    };
    let payload = quote! {
        impl Payload for AnyEvent {
            #[inline]
            fn from_valid(key: &str, payload: &Value) -> Result<Self, DecodeError> {
                let event = match key {
                    #(#readers,)*
                    _ => Self::Unknown { key: key.into(), data: payload.clone() },
                };
                Ok(event)
            }
        }
    };
    vec![definition, methods, payload]
}

struct Case {
    variant: syn::Ident,
    ty: TokenStream,
    summary: String,
    constants: Vec<syn::Ident>,
}

impl Case {
    fn of(contract: &Contract) -> Self {
        let variant = naming::any_event_variant(&contract.module, &contract.type_name);
        let (module, ty) = (ident(&contract.module), ident(&contract.type_name));
        let routes: Vec<String> = contract.routes().collect();
        let quoted: Vec<String> = routes.iter().map(|route| format!("`{route}`")).collect();
        Case {
            variant: ident(&variant),
            ty: quote!(#module::#ty),
            summary: format!(" {}", quoted.join(", ")),
            constants: routes.iter().map(|route| ident(&naming::key_constant(route))).collect(),
        }
    }
}
