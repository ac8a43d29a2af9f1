//! Questions about what is stored.

mod count;
mod cursor;
mod filter;
mod page;
mod pages;
#[cfg(test)]
mod plans;
mod scan;
mod scope;
mod statement;

pub use cursor::{Cursor, CursorError, Order};
pub use filter::{Field, FieldError, Filter};
pub use page::Page;
pub use pages::EventPages;
pub(crate) use scan::{Most, scan};
pub(crate) use scope::{Scope, first_since};
