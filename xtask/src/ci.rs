//! `cargo xtask ci`: what must hold before a commit, all of it, then the verdict.

use std::process::Command;

use crate::layers;

/// A check and how to run it.
type Check = (&'static str, fn() -> anyhow::Result<bool>);

const CHECKS: [Check; 5] = [
    ("fmt", || cargo(&["fmt", "--all", "--check"], &[])),
    ("clippy", || cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"], &[])),
    ("doc", || {
        cargo(&["doc", "--workspace", "--no-deps", "--quiet"], &[("RUSTDOCFLAGS", "-D warnings")])
    }),
    ("layers", || layers::check().map(|()| true)),
    ("codegen", || Ok(crate::codegen(true)? == 0)),
];

/// Runs every check, also after one has failed. Exits 1 if one has.
pub(crate) fn run() -> anyhow::Result<u8> {
    let mut failed = Vec::new();
    for (name, check) in CHECKS {
        eprintln!("== {name}");
        match check() {
            Ok(true) => {}
            Ok(false) => failed.push(name),
            Err(error) => {
                eprintln!("error: {error:#}");
                failed.push(name);
            }
        }
    }
    if failed.is_empty() {
        eprintln!("all {} checks passed", CHECKS.len());
        return Ok(0);
    }
    eprintln!("failed: {}", failed.join(", "));
    Ok(1)
}

fn cargo(args: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<bool> {
    let mut command = Command::new("cargo");
    let status = command.args(args).envs(environment.iter().copied()).status()?;
    Ok(status.success())
}
