//! Who may do what on a service: tokens, and the rights that each has.
//!
//! A token is a random secret that its holder presents with each request. A [`TokenFile`] keeps the hash
//! of each with its name and its [`Rights`]; [`Access`] says whose token was presented, as a [`Caller`]
//! that is asked at each door. Nothing here knows HTTP.
//!
//! - **Without a file** everybody is [`Caller::local`], who may do everything. That is for services that
//!   only this machine reaches; [`Access::is_open`] says whether it is so.
//! - **With a file** everybody needs a token, also when the last one was revoked, and also when the file
//!   goes away while the service runs. Changes of the file are seen at the next request.
//!
//! ```
//! use bloodbank_access::{Access, Rights, TokenFile};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let file = TokenFile::at(folder.path().join("tokens.json"));
//! let access = Access::by(file.clone());
//! assert!(access.caller(None)?.may_operate());
//!
//! let secret = file.create("dashboard", Rights::none().with_read())?;
//! let caller = access.caller(Some(secret.as_str()))?;
//! assert!(caller.may_read() && !caller.may_operate());
//! assert!(access.caller(None).is_err());
//! # Ok(())
//! # }
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod access;
mod caller;
mod error;
mod file;
mod rights;
mod secret;

pub use access::Access;
pub use caller::Caller;
pub use error::AccessError;
pub use file::{Token, TokenFile};
pub use rights::{Keys, Rights};
pub use secret::Secret;
