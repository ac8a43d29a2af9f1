//! `contracts.md`: the contracts as a page for people.

use std::fmt::Write;

use holyfields::bundle::{Bundle, BundledContract};
use holyfields::key::Kind;

use crate::MARK;

pub(crate) fn render(bundle: &Bundle) -> String {
    let mut page = format!("<!-- {MARK}. -->\n\n# Contracts\n");
    for (kind, title) in [(Kind::Event, "Events"), (Kind::Command, "Commands")] {
        let contracts: Vec<_> = bundle.contracts.iter().filter(|c| c.kind == kind).collect();
        if contracts.is_empty() {
            continue;
        }
        let (from, to) = match kind {
            Kind::Event => ("Produced by", "Consumed by"),
            Kind::Command => ("Sent by", "Handled by"),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(page, "\n## {title}\n");
        let _ = writeln!(page, "| Key | Rust type | Title | {from} | {to} |");
        let _ = writeln!(page, "|---|---|---|---|---|");
        for contract in contracts {
            page.push_str(&row(bundle, contract));
        }
    }
    page
}

fn row(bundle: &Bundle, contract: &BundledContract) -> String {
    let routes: Vec<String> = contract.routes().collect();
    let keys: Vec<String> = routes.iter().map(|route| format!("`{route}`")).collect();
    let services = |from: bool| {
        let named = bundle.services.iter().filter(|service| {
            let listed = match (contract.kind, from) {
                (Kind::Event, true) => &service.produces,
                (Kind::Event, false) => &service.consumes,
                (Kind::Command, true) => &service.sends,
                (Kind::Command, false) => &service.handles,
            };
            routes.iter().any(|route| listed.contains(route))
        });
        let names: Vec<&str> = named.map(|service| service.name.as_str()).collect();
        names.join(", ")
    };
    format!(
        "| {} | `{}` | {} | {} | {} |\n",
        keys.join(", "),
        contract.rust_type,
        contract.title.replace('|', "\\|").replace('\n', " "),
        services(true),
        services(false),
    )
}
