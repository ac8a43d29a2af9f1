//! Which of our crates may depend on which. Arrows point down only; ARCHITECTURE.md draws them.

use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;

/// A crate, and every crate of ours that it may name in `dependencies` or `build-dependencies`.
///
/// Dev-dependencies are free. An edge that is not here fails `cargo xtask ci`.
const LAYERS: [(&str, &[&str]); 17] = [
    ("holyfields", &[]),
    ("holyfields-codegen", &["holyfields"]),
    ("holyfields-build", &["holyfields", "holyfields-codegen"]),
    ("holyfields-check", &["bloodbank-core", "holyfields"]),
    (
        "holyfields-cli",
        &["holyfields", "holyfields-build", "holyfields-check", "holyfields-codegen"],
    ),
    ("bloodbank-core", &["holyfields"]),
    ("bloodbank-access", &["bloodbank-core"]),
    ("bloodbank-bus", &["bloodbank-core"]),
    ("bloodbank-amqp", &["bloodbank-bus", "bloodbank-core"]),
    ("bloodbank-gateway", &["bloodbank-access", "bloodbank-bus", "bloodbank-core", "candystore"]),
    ("bloodbank-outbox", &["bloodbank-bus", "bloodbank-core"]),
    ("candystore", &["bloodbank-bus", "bloodbank-core"]),
    ("bloodbank-testkit", &["bloodbank-bus", "bloodbank-core"]),
    (
        "bloodbank",
        &[
            "bloodbank-amqp",
            "bloodbank-bus",
            "bloodbank-core",
            "bloodbank-outbox",
            "candystore",
            "holyfields-build",
        ],
    ),
    (
        "bloodbank-cli",
        &[
            "bloodbank",
            "bloodbank-access",
            "bloodbank-gateway",
            "holyfields",
            "holyfields-cli",
            "holyfields-codegen",
        ],
    ),
    ("orders", &["bloodbank", "holyfields-build"]),
    (
        "xtask",
        &[
            "bloodbank-core",
            "holyfields",
            "holyfields-check",
            "holyfields-cli",
            "holyfields-codegen",
        ],
    ),
];

/// Fails with every edge that is not on the list, and every crate that is missing from it.
pub(crate) fn check() -> anyhow::Result<()> {
    let output = Command::new("cargo")
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .context("cargo metadata does not start")?;
    ensure!(output.status.success(), "cargo metadata failed");
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let problems = problems(&metadata);
    ensure!(
        problems.is_empty(),
        "{}\nfix: depend on something lower, or move the wall in xtask/src/layers.rs and say why \
         in ARCHITECTURE.md",
        problems.join("\n"),
    );
    Ok(())
}

fn problems(metadata: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    for package in list(metadata, "packages") {
        let name = package["name"].as_str().unwrap_or_default();
        let Some((_, allowed)) = LAYERS.iter().find(|(known, _)| *known == name) else {
            problems.push(format!("`{name}` is not on the list of layers"));
            continue;
        };
        for dependency in list(package, "dependencies") {
            let other = dependency["name"].as_str().unwrap_or_default();
            let is_ours = LAYERS.iter().any(|(known, _)| *known == other);
            if is_ours && dependency["kind"] != "dev" && !allowed.contains(&other) {
                problems.push(format!("`{name}` may not depend on `{other}`"));
            }
        }
    }
    problems
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_edge_that_is_not_on_the_list_is_a_problem_and_a_dev_edge_is_not() {
        let metadata = json!({ "packages": [{ "name": "holyfields", "dependencies": [
            { "name": "bloodbank-core", "kind": null },
            { "name": "holyfields-check", "kind": "build" },
            { "name": "holyfields-codegen", "kind": "dev" },
            { "name": "serde", "kind": null },
        ]}]});
        assert_eq!(
            problems(&metadata),
            [
                "`holyfields` may not depend on `bloodbank-core`",
                "`holyfields` may not depend on `holyfields-check`",
            ]
        );
    }
}
