//! `examples.rs`: every example, checked against its schema and its type.

use quote::quote;

use super::context::Context;
use super::print::Source;
use super::scope::ident;

pub(super) fn source(context: &Context<'_>) -> Source {
    let checks = context.catalog.contracts.iter().map(|contract| {
        let (module, ty) = (ident(&contract.module), ident(&contract.type_name));
        quote!(.contract::<super::#module::#ty>())
    });
    // `#[inline]` leaves the machine code to whoever calls it: most builds never do.
    let item = quote! {
        /// Checks the examples of every contract: each is valid, decodes, and survives the way
        /// through its type; each counter-example is refused.
        ///
        /// # Errors
        ///
        /// Everything that does not hold.
        #[inline]
        pub fn check() -> Result<Checked, Failures> {
            Check::new(super::contracts()) #(#checks)* .finish()
        }
    };
    let path = context.crate_path();
    let uses = format!("use {path}::examples::{{Check, Checked, Failures}};");
    Source { uses: vec![uses], items: vec![item] }
}
