//! Findings as SARIF 2.1.0, the format of code scanning services.
//!
//! See <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>.

use std::collections::BTreeMap;
use std::path::Path;

use holyfields::finding::{Finding, Place};
use holyfields::rules::{self, Level};
use holyfields::source::Sources;
use serde_json::{Value, json};

use super::real_path;

/// One log with one run. Columns count Unicode characters.
pub(super) fn log(findings: &[Finding], sources: &Sources, schemas: &Path) -> Value {
    let rules: Vec<_> = rules::all().collect();
    let index: BTreeMap<&str, usize> =
        rules.iter().enumerate().map(|(index, rule)| (rule.id, index)).collect();
    let descriptors = rules.iter().map(|rule| {
        json!({
            "id": rule.id,
            "shortDescription": { "text": rule.purpose },
            "fullDescription": { "text": rule.why },
            "help": { "text": rule.fix },
            "defaultConfiguration": { "level": level(rule.level) },
        })
    });
    let results = findings.iter().map(|finding| {
        let place = |place: &Place| location(place, sources, schemas);
        let help = finding.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
        json!({
            "ruleId": finding.rule.id,
            "ruleIndex": index.get(finding.rule.id),
            "level": level(finding.level),
            "message": { "text": format!("{}{help}", finding.message) },
            "locations": [place(&finding.places[0])],
            "relatedLocations": finding.places[1..].iter().map(place).collect::<Vec<_>>(),
        })
    });
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "bloodbank lint",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": descriptors.collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": results.collect::<Vec<_>>(),
        }],
    })
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "note",
    }
}

fn location(place: &Place, sources: &Sources, schemas: &Path) -> Value {
    let at = place.line_column(sources);
    let mut location = json!({ "physicalLocation": {
        "artifactLocation": { "uri": uri(&real_path(&place.file, schemas, sources)) },
        "region": { "startLine": at.line, "startColumn": at.column },
    }});
    if !place.label.is_empty() {
        location["message"] = json!({ "text": place.label });
    }
    location
}

/// A path as a relative URI.
fn uri(path: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-~".contains(&byte);
    path.bytes()
        .map(|byte| match is_plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}
