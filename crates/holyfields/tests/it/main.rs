//! Schema folders in; a catalog, and findings as people read them, out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bundle;
mod contracts;
mod files;
mod folder;
mod inheritance;
mod keys;
mod locate;
mod names;
mod order;
mod queues;
mod random;
mod references;
mod registry;
mod registry_broken;
mod registry_fields;
mod replies;
mod schemas;
mod shape;
mod widening;
mod words;
