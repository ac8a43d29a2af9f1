//! Event contracts: JSON Schema files and a service registry, read into one catalog.

pub mod bundle;
pub mod key;
pub mod pointer;
