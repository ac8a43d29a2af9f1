//! `openapi`: the HTTP API with the contracts at hand, for who generates clients.

use std::io::{self, Write};

use crate::Source;

/// Prints the document that a service with these contracts serves at `/openapi.json`.
pub(crate) fn run(source: &Source) -> anyhow::Result<u8> {
    let document = bloodbank_gateway::document(&source.read()?.contracts)?;
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &document).map_err(io::Error::from)?;
    writeln!(out)?;
    Ok(0)
}
