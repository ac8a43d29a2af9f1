//! `validate`: a payload against the contract of a key.

use std::fs;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use anyhow::Context;
use bloodbank::{CheckError, Refusal, escape_control};
use clap::Args;
use serde_json::{Value, json};

use crate::FINDINGS;
use crate::contracts::{self, Source};

#[derive(Args)]
pub(crate) struct Validate {
    /// A routing key, as in `shop.order.paid`.
    key: String,
    /// The payload; `-` or nothing for standard input.
    file: Option<PathBuf>,
    /// Another version than the first; also written `shop.order.paid.v2`.
    #[arg(long = "version", value_name = "N")]
    number: Option<u32>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

impl Validate {
    /// Exits 0 for a valid payload, 100 for one that is not.
    pub(crate) fn run(&self, source: &Source) -> anyhow::Result<u8> {
        let contracts = source.read()?.contracts;
        let contract = contracts::find(&contracts, &self.key, self.number)?;
        let route = contract.routes().next().unwrap_or_default();
        let payload = self.payload()?;
        let refusal = match contracts.check(&route, &payload) {
            Ok(()) => None,
            Err(CheckError::Refused(refusal)) => Some(refusal),
            Err(error) => return Err(error.into()),
        };
        self.report(&route, refusal.as_ref())?;
        Ok(if refusal.is_none() { 0 } else { FINDINGS })
    }

    fn payload(&self) -> anyhow::Result<Value> {
        let (name, text) = match self.file.as_ref().filter(|file| file.as_os_str() != "-") {
            Some(file) => {
                let name = file.display().to_string();
                let text = fs::read(file).with_context(|| format!("`{name}` cannot be read"))?;
                (name, text)
            }
            None => {
                let mut text = Vec::new();
                io::stdin().read_to_end(&mut text).context("standard input cannot be read")?;
                ("standard input".to_owned(), text)
            }
        };
        contracts::parse(&name, &text)
    }

    fn report(&self, route: &str, refusal: Option<&Refusal>) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match refusal {
            _ if self.json => writeln!(out, "{:#}", as_json(route, refusal)),
            Some(refusal) => writeln!(out, "{refusal}"),
            None => writeln!(out, "valid: {}", escape_control(route)),
        }
    }
}

fn as_json(route: &str, refusal: Option<&Refusal>) -> Value {
    let violations = refusal.iter().flat_map(|refusal| &refusal.violations).map(|violation| {
        json!({
            "pointer": violation.pointer,
            "rule": violation.rule,
            "expected": violation.expected,
            "found": violation.found,
        })
    });
    json!({
        "key": route,
        "valid": refusal.is_none(),
        "violations": violations.collect::<Vec<_>>(),
        "more": refusal.map_or(0, |refusal| refusal.more),
        "complete": refusal.is_none_or(|refusal| refusal.is_complete),
    })
}
