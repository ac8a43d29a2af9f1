//! Objects: a struct with public fields, a constructor of what is required, a setter for the rest.

use holyfields::shape::{Field, Struct, TypeShape};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use serde_json::{Value, json};

use super::scope::{Scope, ident};
use super::{contract, docs, values};

pub(super) fn emit(
    scope: &mut Scope<'_>,
    shape: &TypeShape,
    body: &Struct,
    items: &mut Vec<TokenStream>,
) {
    let fields: Vec<FieldCode> =
        body.fields.iter().map(|field| FieldCode::new(scope, shape, field)).collect();
    let extra = body.extra.as_ref().map(|schema| Extra::new(scope, shape, body, schema));
    items.push(definition(scope, shape, body, &fields, extra.as_ref()));
    if hides(body) {
        items.push(debug(shape, &fields, extra.as_ref()));
    }
    if !fields.is_empty() || extra.is_some() {
        items.push(constructors(scope, shape, &fields, extra.as_ref()));
    }
    items.extend(default(scope, shape, &fields));
    if let Some(found) = scope.context.contract(shape) {
        contract::emit(scope, shape, found, body, items);
    }
}

/// Whether `Debug` must not show all of it.
fn hides(body: &Struct) -> bool {
    body.sensitive_extra && body.extra.is_some() || body.fields.iter().any(|field| field.sensitive)
}

/// A field and everything that is written about it.
struct FieldCode {
    ident: syn::Ident,
    /// Its type, with the `Option`s of absence and null.
    ty: TokenStream,
    /// What `new` and `with_` take, and how that becomes the bare type.
    taken: Taken,
    /// What `new` writes where there is nothing to choose.
    only: Option<TokenStream>,
    /// What `Default` gives `new` for it.
    default: Option<TokenStream>,
    /// Whether the derived `Default` of its type says the same.
    derives_default: bool,
    required: bool,
    sensitive: bool,
    attributes: TokenStream,
}

/// How a constructor takes a value.
struct Taken {
    ty: TokenStream,
    convert: TokenStream,
}

impl FieldCode {
    fn new(scope: &mut Scope<'_>, shape: &TypeShape, field: &Field) -> Self {
        let ident = ident(&field.ident);
        let mut bare = scope.rust_type(&field.schema, &shape.module);
        let boxed = scope.context.embeds(&field.schema, &shape.id).then(|| scope.name("Box"));
        let taken = Taken::of(scope, field, &ident, &bare, boxed.as_ref());
        if let Some(boxed) = boxed {
            bare = quote!(#boxed<#bare>);
        }
        let option = scope.name("Option");
        let options = usize::from(!field.required) + usize::from(field.nullable);
        let ty = (0..options).fold(bare, |ty, _| quote!(#option<#ty>));
        let only = only_value(scope, shape, field);
        FieldCode {
            taken,
            default: default_value(scope, shape, field),
            derives_default: !field.required
                || (only.is_some() && values::choices(scope, shape, field).is_some()),
            only,
            attributes: attributes(scope, field),
            ty,
            required: field.required,
            sensitive: field.sensitive,
            ident,
        }
    }
}

impl Taken {
    /// `bare` is the type without a box; `boxed` is there if the field has one.
    fn of(
        scope: &mut Scope<'_>,
        field: &Field,
        ident: &syn::Ident,
        bare: &TokenStream,
        boxed: Option<&syn::Path>,
    ) -> Self {
        let plain_text = is_text(field);
        let ty = match (field.nullable, plain_text) {
            (true, _) => {
                let option = scope.name("Option");
                quote!(#option<#bare>)
            }
            (false, true) => {
                let into = scope.name("Into");
                quote!(impl #into<#bare>)
            }
            (false, false) => bare.clone(),
        };
        let convert = match boxed {
            Some(boxed) if field.nullable => quote!(#ident.map(#boxed::new)),
            Some(boxed) => quote!(#boxed::new(#ident)),
            None if plain_text && !field.nullable => quote!(#ident.into()),
            None => quote!(#ident),
        };
        Taken { ty, convert }
    }
}

/// What `new` does not ask for, as there is one value only.
fn only_value(scope: &Scope<'_>, shape: &TypeShape, field: &Field) -> Option<TokenStream> {
    let only = field.only.as_ref().filter(|_| field.required && !field.nullable)?;
    let value = values::of_field(scope, shape, field, only)?;
    Some(if is_text(field) { quote!(#value.into()) } else { value })
}

/// What a required field is by default, where the schema says so, as `new` takes it.
fn default_value(scope: &Scope<'_>, shape: &TypeShape, field: &Field) -> Option<TokenStream> {
    let default = field.default.as_ref()?;
    if field.nullable && default.is_null() {
        return Some(quote!(None));
    }
    let value = values::of_field(scope, shape, field, default)?;
    Some(match (field.nullable, is_text(field)) {
        (false, _) => value,
        (true, false) => quote!(Some(#value)),
        (true, true) => quote!(Some(#value.into())),
    })
}

fn is_text(field: &Field) -> bool {
    field.schema == json!({ "type": "string" })
}

/// The flattened map of properties that the schema does not declare.
struct Extra {
    sensitive: bool,
    ty: TokenStream,
    attribute: TokenStream,
}

impl Extra {
    fn new(scope: &mut Scope<'_>, shape: &TypeShape, body: &Struct, schema: &Value) -> Self {
        let values = scope.rust_type(schema, &shape.module);
        // The tag passes through the map on the way in, and need not be of the others' type.
        let ty = if body.key.is_some() || *schema == json!(true) {
            let (map, text, value) = (scope.name("Map"), scope.name("String"), scope.name("Value"));
            quote!(#map<#text, #value>)
        } else {
            let (map, text) = (scope.name("BTreeMap"), scope.name("String"));
            quote!(#map<#text, #values>)
        };
        let runtime = scope.context.crate_path();
        let attribute = match &body.key {
            Some((property, _)) => {
                let function = format!("{runtime}::codec::extra_without_{property}");
                quote!(#[serde(flatten, deserialize_with = #function)])
            }
            None => quote!(#[serde(flatten)]),
        };
        Extra { sensitive: body.sensitive_extra, ty, attribute }
    }
}

fn definition(
    scope: &mut Scope<'_>,
    shape: &TypeShape,
    body: &Struct,
    fields: &[FieldCode],
    extra: Option<&Extra>,
) -> TokenStream {
    let (serialize, deserialize) = (scope.name("Serialize"), scope.name("Deserialize"));
    let serde = format!("{}::serde", scope.context.crate_path());
    let key = body.key.as_ref().map(|(property, key)| quote!(, tag = #property, rename = #key));
    let documentation = contract::documentation(scope, shape);
    let debug = (!hides(body)).then(|| quote!(Debug,));
    let default = fields.iter().all(|field| field.derives_default).then(|| quote!(Default,));
    let deprecated = shape.deprecated.then(|| quote!(#[deprecated]));
    let name = ident(&shape.name);
    let members = fields.iter().map(|field| {
        let (attributes, ident, ty) = (&field.attributes, &field.ident, &field.ty);
        quote!(#attributes pub #ident: #ty)
    });
    let extra = extra.map(|Extra { ty, attribute, .. }| {
        quote! {
            /// Properties that the schema does not declare.
            #attribute
            pub extra: #ty,
        }
    });
    quote! {
        #documentation
        #deprecated
        #[derive(Clone, #debug #default PartialEq, #serialize, #deserialize)]
        #[serde(crate = #serde #key)]
        pub struct #name {
            #(#members,)*
            #extra
        }
    }
}

fn attributes(scope: &mut Scope<'_>, field: &Field) -> TokenStream {
    let default = field.default.as_ref().filter(|_| !field.sensitive);
    let documentation = docs::of_field(&field.description, &field.limits, default);
    let mut serde: Vec<TokenStream> = Vec::new();
    if field.ident.trim_start_matches("r#") != field.wire {
        let wire = &field.wire;
        serde.push(quote!(rename = #wire));
    }
    if !field.required {
        serde.push(quote!(default));
        let option = scope.name("Option");
        let is_none = quote!(#option::is_none).to_string().replace(' ', "");
        serde.push(quote!(skip_serializing_if = #is_none));
        // Null is a value of its own where the schema allows it.
        if field.nullable || field.schema == json!(true) {
            let function = format!("{}::codec::nullable", scope.context.crate_path());
            serde.push(quote!(deserialize_with = #function));
        }
    }
    let serde = (!serde.is_empty()).then(|| quote!(#[serde(#(#serde),*)]));
    let deprecated = field.deprecated.then(|| quote!(#[deprecated]));
    quote!(#documentation #serde #deprecated)
}

fn constructors(
    scope: &mut Scope<'_>,
    shape: &TypeShape,
    fields: &[FieldCode],
    extra: Option<&Extra>,
) -> TokenStream {
    let name = ident(&shape.name);
    let given = |field: &&FieldCode| field.required && field.only.is_none();
    let parameters = fields.iter().filter(given).map(|field| {
        let (ident, ty) = (&field.ident, &field.taken.ty);
        quote!(#ident: #ty)
    });
    let values = fields.iter().map(|field| {
        let (ident, convert) = (&field.ident, &field.taken.convert);
        match field.required {
            _ if field.only.is_some() => {
                let only = &field.only;
                quote!(#ident: #only)
            }
            true if *ident == convert.to_string() => quote!(#ident),
            true => quote!(#ident: #convert),
            false => quote!(#ident: None),
        }
    });
    let extra = extra.map(|_| {
        let default = scope.name("Default");
        quote!(extra: #default::default(),)
    });
    let setters = fields.iter().filter(|field| !field.required).map(|field| {
        let (field_ident, taken) = (&field.ident, &field.taken);
        let plain = field_ident.to_string();
        let plain = plain.trim_start_matches("r#");
        let setter = format_ident!("with_{plain}");
        let summary = format!(" Sets `{plain}`.");
        let (ty, convert) = (&taken.ty, &taken.convert);
        quote! {
            #[doc = #summary]
            pub fn #setter(mut self, #field_ident: #ty) -> Self {
                self.#field_ident = Some(#convert);
                self
            }
        }
    });
    let all_given = fields.iter().all(|field| given(&field)) && extra.is_none();
    let summary = match (fields.iter().any(|field| given(&field)), all_given) {
        (true, true) => " With every field.",
        (true, false) => " With what is required; the rest is absent.",
        (false, _) => " With nothing set.",
    };
    quote! {
        impl #name {
            #[doc = #summary]
            pub fn new(#(#parameters),*) -> Self {
                Self { #(#values,)* #extra }
            }
            #(#setters)*
        }
    }
}

/// `Default` where the schema says what the required fields are by default.
fn default(scope: &mut Scope<'_>, shape: &TypeShape, fields: &[FieldCode]) -> Option<TokenStream> {
    let given = fields.iter().filter(|field| field.required && field.only.is_none());
    let values: Vec<_> = given.map(|field| field.default.clone()).collect::<Option<_>>()?;
    if fields.iter().all(|field| field.derives_default) {
        return None;
    }
    let (name, default) = (ident(&shape.name), scope.name("Default"));
    Some(quote! {
        impl #default for #name {
            fn default() -> Self {
                Self::new(#(#values),*)
            }
        }
    })
}

/// `Debug` that does not show what is marked sensitive.
fn debug(shape: &TypeShape, fields: &[FieldCode], extra: Option<&Extra>) -> TokenStream {
    let (name, text) = (ident(&shape.name), &shape.name);
    let shown = fields.iter().map(|field| {
        let (ident, label) = (&field.ident, field.ident.to_string());
        let label = label.trim_start_matches("r#");
        match field.sensitive {
            true => quote!(.field(#label, &format_args!("(hidden)"))),
            false => quote!(.field(#label, &self.#ident)),
        }
    });
    let extra = extra.map(|extra| match extra.sensitive {
        true => quote!(.field("extra", &format_args!("(hidden)"))),
        false => quote!(.field("extra", &self.extra)),
    });
    quote! {
        impl std::fmt::Debug for #name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(#text) #(#shown)* #extra .finish()
            }
        }
    }
}
