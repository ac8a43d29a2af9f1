//! Questions about what is stored.

mod count;
mod cursor;
mod filter;
mod page;
#[cfg(test)]
mod plans;
mod scan;
mod scope;
mod statement;

pub use cursor::{Cursor, CursorError, Order};
pub use filter::{Field, FieldError, Filter};
pub use page::Page;
