//! Where to go on.

use std::fmt;
use std::str::FromStr;

use bloodbank_core::Code;

use crate::{Filter, Position};

/// Which events come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// Those that were stored first.
    Oldest,
    /// Those that were stored last.
    Newest,
}

impl Order {
    /// As SQL says it.
    pub(crate) fn sql(self) -> &'static str {
        match self {
            Order::Oldest => "ASC",
            Order::Newest => "DESC",
        }
    }

    fn letter(self) -> char {
        match self {
            Order::Oldest => 'o',
            Order::Newest => 'n',
        }
    }

    fn name(self) -> &'static str {
        match self {
            Order::Oldest => "oldest",
            Order::Newest => "newest",
        }
    }
}

/// Where a page ended, as text that means something only to the store.
///
/// It names a position and counts nothing, so that what is written or pruned meanwhile makes no event
/// come twice or be passed over. It goes with one order and with one filter, whose range alone (times
/// and positions) may change from page to page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cursor {
    order: Order,
    /// Everything up to here, in that order, was looked at.
    position: Position,
    digest: u32,
}

/// A cursor that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CursorError {
    /// It was never given out, or by another version of this program.
    #[error("`{0}` is no cursor of this version")]
    Foreign(String),
    /// It goes with this order, which is the other one.
    #[error("the cursor is of a list with the {} events first", .0.name())]
    Order(Order),
    /// It goes with another filter.
    #[error("the cursor is of a list with another filter")]
    Filter,
}

impl CursorError {
    /// Its code.
    pub fn code(&self) -> Code {
        match self {
            CursorError::Foreign(_) => Code::CursorForeign,
            CursorError::Order(_) => Code::CursorOrder,
            CursorError::Filter => Code::CursorFilter,
        }
    }
}

/// What begins each cursor; grows with what a cursor means.
const VERSION: &str = "c1";

impl Cursor {
    pub(crate) fn new(filter: &Filter, order: Order, position: Position) -> Self {
        Cursor { order, position, digest: filter.digest() }
    }

    /// The position it names, if it goes with this order and this filter.
    pub(crate) fn position(&self, filter: &Filter, order: Order) -> Result<Position, CursorError> {
        if self.order != order {
            return Err(CursorError::Order(self.order));
        }
        if self.digest != filter.digest() {
            return Err(CursorError::Filter);
        }
        Ok(self.position)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = self.order.letter();
        write!(f, "{VERSION}-{order}-{:x}-{:08x}", self.position, self.digest)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        read(text).ok_or_else(|| CursorError::Foreign(text.escape_debug().take(80).collect()))
    }
}

fn read(text: &str) -> Option<Cursor> {
    let mut parts = text.split('-');
    if parts.next()? != VERSION {
        return None;
    }
    let order = match parts.next()? {
        "o" => Order::Oldest,
        "n" => Order::Newest,
        _ => return None,
    };
    let position = Position::from_str_radix(parts.next()?, 16).ok()?;
    let digest = u32::from_str_radix(parts.next()?, 16).ok()?;
    parts.next().is_none().then_some(Cursor { order, position, digest })
}
