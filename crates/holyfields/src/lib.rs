//! Event contracts: JSON Schema files and a service registry, read into one catalog.
//!
//! [`read`] reads a folder and gives a [`Catalog`] and everything that is wrong with it. A catalog
//! has two images: the [`bundle`], which loses nothing and from which validators are built, and the
//! [`shape`], which is all that a type can say and from which code is generated.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod bundle;
mod bundling;
pub mod catalog;
pub mod delay;
pub mod file;
pub mod finding;
pub mod fix;
pub mod identity;
pub mod keep;
pub mod key;
pub mod lint;
pub mod naming;
pub mod permissions;
pub mod pointer;
mod queues;
pub mod registry;
mod registry_claims;
pub mod render;
pub mod resolve;
pub mod rules;
pub mod settings;
pub mod shape;
pub mod source;
pub mod structure;
pub mod suggest;
pub mod walk;

pub use bundle::Bundle;
pub use catalog::{Catalog, Contract, read, read_texts};
pub use finding::Finding;
