//! The project's own commands. A thin dispatcher: the work is done by cargo and by holyfields-cli.
//!
//! It does not depend on the crate `bloodbank`, so it also runs when a schema is broken.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod bench;
mod ci;
mod layers;
mod mutants;
mod provision;
mod suite;

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Context;
use clap::{Parser, Subcommand};
use holyfields_cli::{
    CodegenArgs, ExplainArgs, LintArgs, LintOptions, Outcome, codegen, explain, lint, rules_page,
};

/// The project's own commands.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Write generated/ from schemas/ and services/registry.yaml, and docs/rules.md.
    Codegen {
        /// Write nothing; exit 4 if generated/ is not what the schemas give.
        #[arg(long)]
        check: bool,
    },
    /// Say what is wrong with schemas/ and services/registry.yaml.
    Lint(LintOptions),
    /// Say what a lint rule looks for, why, and what to do; without one, list them all.
    Explain(ExplainArgs),
    /// Get what tests need, then run them all; what follows goes to `cargo test`.
    ///
    /// `test faults` runs the long form of the fault tests instead, some minutes; a part of a name
    /// after it chooses scenarios, `--list` shows them. `test crash` does the same for the crash tests
    /// of the store, on an optimised build; `kill`, `race`, `handle`, `sqlite`, `postgres` or
    /// `postgres::kill` choose. `test crash outbox` runs those of the outbox.
    Test {
        /// Arguments for `cargo test`, or `faults`, or `crash`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Measure, with the alternative beside it.
    Bench {
        /// What to measure.
        what: bench::Bench,
        /// Which parts of it; all unless said. Only of the store.
        parts: Vec<String>,
    },
    /// Compare our verdicts with those of the official JSON Schema test suite.
    Suite {
        /// A checkout of github.com/json-schema-org/JSON-Schema-Test-Suite.
        dir: PathBuf,
    },
    /// Change the libraries in one place at a time, and see whether a test notices.
    ///
    /// All of it takes hours; `--shard`, `--package`, `--file` and `--in-diff` choose a part. What
    /// survives is killed by a test, or named with its reason in xtask/mutants.yaml.
    Mutants(mutants::Mutants),
    /// Format, lints, docs, layers, drift: what must hold before a commit.
    Ci,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> anyhow::Result<ExitCode> {
    env::set_current_dir(root()).context("the workspace folder is gone")?;
    let code = match task {
        Task::Codegen { check } => codegen(check),
        Task::Lint(options) => {
            let args = LintArgs { options, ..LintArgs::default() };
            lint::run(&args, "cargo xtask lint").map(Outcome::code)
        }
        Task::Explain(args) => explain::run(&args).map(Outcome::code),
        Task::Test { args } => {
            provision::run()?;
            match args.split_first() {
                Some((first, scenarios)) if first == "faults" => faults(scenarios),
                Some((first, parts)) if first == "crash" => crash(parts),
                _ => cargo(["test", "--workspace"].into_iter().map(String::from).chain(args)),
            }
        }
        Task::Bench { what, parts } => bench::run(what, &parts),
        Task::Suite { dir } => suite::run(&dir),
        Task::Mutants(args) => mutants::run(&args),
        Task::Ci => ci::run(),
    };
    code.map(ExitCode::from)
}

/// What brings generated files up to date.
const AGAIN: &str = "cargo xtask codegen";

/// generated/ and docs/rules.md written anew, or compared.
fn codegen(check: bool) -> anyhow::Result<u8> {
    let args = CodegenArgs {
        schemas: "schemas".into(),
        registry: Some("services/registry.yaml".into()),
        out: "generated".into(),
        check,
    };
    let code = codegen::run(&args, AGAIN)?;
    let docs = rules_page::run(Path::new("docs"), check, AGAIN)?;
    Ok(code.code().max(docs.code()))
}

/// The fault tests in their long form.
fn faults(scenarios: &[String]) -> anyhow::Result<u8> {
    let mut command = Command::new("cargo");
    command.args(["test", "--package", "bloodbank", "--test", "faults", "--"]).args(scenarios);
    exit_code(command.env("BLOODBANK_FAULTS", "full"))
}

/// The crash tests of the store in their long form, or those of the outbox if `outbox` is named first.
fn crash(parts: &[String]) -> anyhow::Result<u8> {
    let (package, parts) = match parts.split_first() {
        Some((first, parts)) if first == "outbox" => ("bloodbank-outbox", parts),
        _ => ("candystore", parts),
    };
    let mut command = Command::new("cargo");
    command.args(["test", "--release", "--package", package, "--test", "crash", "--"]);
    command.args(parts).env("BLOODBANK_CRASH", "full");
    exit_code(command.env(provision::PYTHON, provision::python()))
}

/// Runs cargo and gives its exit code.
fn cargo(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> anyhow::Result<u8> {
    let mut command = Command::new("cargo");
    exit_code(command.args(args).env(provision::PYTHON, provision::python()))
}

fn exit_code(command: &mut Command) -> anyhow::Result<u8> {
    let status = command.status().context("cargo does not start")?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// The workspace's folder.
fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}
