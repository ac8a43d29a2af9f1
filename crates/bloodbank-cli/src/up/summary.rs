//! What is said when the service has started: what runs where, and what to try.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;

use bloodbank::{Bundle, Kind};
use bloodbank_access::Access;

use super::address::is_local;
use crate::contracts::Known;
use crate::figures::count_of;

/// The longest payload that is shown as a part of a command.
const LONGEST_EXAMPLE: usize = 160;

/// What runs where.
pub(super) struct Summary<'s> {
    pub(super) address: SocketAddr,
    pub(super) certificate: Option<&'s Path>,
    pub(super) bus: String,
    pub(super) store: String,
    pub(super) known: &'s Known,
    pub(super) access: &'s Access,
    /// What runs beside the gateway.
    pub(super) parts: Vec<String>,
    /// How many messages a second the demo publishes.
    pub(super) demo: Option<f64>,
}

impl Summary<'_> {
    pub(super) fn print(&self) -> anyhow::Result<()> {
        let out = &mut io::stdout().lock();
        for (name, text) in self.rows()? {
            writeln!(out, "{name:<10}  {text}")?;
        }
        writeln!(out)?;
        for (number, line) in self.commands()?.iter().enumerate() {
            let name = if number == 0 { "try" } else { "" };
            writeln!(out, "{name:<10}  {line}")?;
        }
        writeln!(out, "\nrunning; Ctrl-C ends")?;
        Ok(out.flush()?)
    }

    fn rows(&self) -> anyhow::Result<Vec<(&'static str, String)>> {
        let bundle = self.known.contracts.bundle();
        let mut rows = vec![
            ("http", format!("{}; documentation at /docs", self.url())),
            ("bus", self.bus.clone()),
            ("store", self.store.clone()),
            ("contracts", contracts(self.known, bundle)),
            ("services", services(self.known, bundle)),
            ("access", self.access()?),
        ];
        if !self.parts.is_empty() {
            rows.push(("beside", self.parts.join(", ")));
        }
        if let Some(rate) = self.demo {
            let text = "from sources `demo-…`, kept like all others";
            rows.push(("demo", format!("{rate} messages a second, {text}")));
        }
        Ok(rows)
    }

    fn url(&self) -> String {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// What is protected by what.
    fn access(&self) -> anyhow::Result<String> {
        let who = match self.access.is_open()? {
            true => "everybody on this machine may do everything".to_owned(),
            false => {
                let file = self.access.file().map(|file| file.path().display().to_string());
                let file = file.unwrap_or_default();
                format!("{} of {file}", count_of(self.access.count()? as u64, "token"))
            }
        };
        Ok(match self.certificate {
            Some(certificate) => format!("{who}; TLS by {}", certificate.display()),
            None if is_local(self.address.ip()) => format!("{who}; no other machine gets here"),
            None => format!("{who}; without TLS, so that the network can read them"),
        })
    }

    /// Three commands to try next.
    fn commands(&self) -> anyhow::Result<Vec<String>> {
        let token = match self.access.is_open()? {
            true => "",
            false => " -H \"Authorization: Bearer $TOKEN\"",
        };
        let url = self.url();
        let publish = match example(self.known.contracts.bundle()) {
            Some((key, example)) => format!("curl{token} {url}/events/{key} --json '{example}'"),
            None => format!("curl{token} {url}/contracts"),
        };
        Ok(vec![
            publish,
            format!("curl{token} '{url}/events?limit=3'"),
            format!("curl{token} -N {url}/stream"),
        ])
    }
}

/// A short example of an event that a shell can be given in single quotes.
fn example(bundle: &Bundle) -> Option<(String, String)> {
    let events = bundle.contracts.iter().filter(|contract| contract.kind == Kind::Event);
    let examples = events.filter_map(|contract| {
        let example = bundle.examples(contract).first()?.to_string();
        Some((contract.routes().next()?, example))
    });
    let fits = examples.filter(|(_, example)| {
        example.len() <= LONGEST_EXAMPLE && !example.contains(['\'', '\u{1b}'])
    });
    fits.min_by_key(|(_, example)| example.len())
}

/// `21 events and 6 commands in 10 domains, from schemas`.
fn contracts(known: &Known, bundle: &Bundle) -> String {
    let count = |kind| bundle.contracts.iter().filter(|contract| contract.kind == kind).count();
    let domains: BTreeSet<_> =
        bundle.contracts.iter().filter_map(|contract| contract.key().split('.').next()).collect();
    format!(
        "{} and {} in {}, from {}",
        count_of(count(Kind::Event) as u64, "event"),
        count_of(count(Kind::Command) as u64, "command"),
        count_of(domains.len() as u64, "domain"),
        known.folder().unwrap_or(Path::new("the program")).display(),
    )
}

/// `13, from services/registry.yaml`.
fn services(known: &Known, bundle: &Bundle) -> String {
    match known.registry() {
        Some(file) => format!("{}, from {}", bundle.services.len(), file.display()),
        None => "none: there is no registry.yaml, so that anybody may publish anything".to_owned(),
    }
}
