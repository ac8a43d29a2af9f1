//! The driver of build scripts: compiles a schema folder into OUT_DIR.
//!
//! ```no_run
//! // In build.rs:
//! holyfields_build::compile("schemas");
//! ```
//!
//! The crate then says `bloodbank::include_events!()` in a module of its own. Only the structural
//! rules run here, as everything that a build script links is paid for by every user; `bloodbank
//! lint` and `bloodbank codegen` run them all.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod sync;

use std::env;
use std::path::{Path, PathBuf};

use holyfields::Catalog;
use holyfields::finding::{self, Finding};
use holyfields::render::{self, Colour};
use holyfields::rules::Level;
use holyfields_codegen::Options;

/// The folder below OUT_DIR that the code goes to; `bloodbank::include_events!` reads it there.
const OUT_FOLDER: &str = "bloodbank";

/// Compiles the schemas of a folder, and `services/registry.yaml` where there is one.
///
/// Findings become `cargo::error` and `cargo::warning` lines; after an error the build stops.
pub fn compile(schemas: impl AsRef<Path>) {
    let registry = Path::new("services/registry.yaml");
    println!("cargo::rerun-if-changed={}", registry.display());
    Config::new(schemas).registry(registry.exists().then_some(registry)).compile();
}

/// The same with choices.
#[derive(Clone, Debug)]
pub struct Config {
    schemas: PathBuf,
    registry: Option<PathBuf>,
    options: Options,
}

impl Config {
    /// A schema folder, relative to the package; no registry.
    pub fn new(schemas: impl AsRef<Path>) -> Self {
        let schemas = schemas.as_ref().to_owned();
        Config { schemas, registry: None, options: Options::default() }
    }

    /// The service registry, if there is one.
    pub fn registry(mut self, registry: Option<impl AsRef<Path>>) -> Self {
        self.registry = registry.map(|path| path.as_ref().to_owned());
        self
    }

    /// The path by which generated code names `bloodbank`; the default is `::bloodbank`.
    pub fn crate_path(mut self, path: impl Into<String>) -> Self {
        self.options.crate_path = path.into();
        self
    }

    /// Writes the code to OUT_DIR, or tells Cargo what is wrong, which stops the build.
    pub fn compile(&self) {
        for input in [Some(&self.schemas), self.registry.as_ref()].into_iter().flatten() {
            println!("cargo::rerun-if-changed={}", input.display());
        }
        let (catalog, findings) = holyfields::read(&self.schemas, self.registry.as_deref());
        let findings = catalog.settings.apply(findings);
        report(&catalog, &findings);
        // Cargo stops after the errors printed; ending with a failure would bury them in a dump.
        if finding::has_errors(&findings) {
            return;
        }
        if let Err(problem) = self.write(&catalog) {
            println!("cargo::error={problem}");
        }
    }

    fn write(&self, catalog: &Catalog) -> Result<(), String> {
        let files = holyfields_codegen::generate(catalog, &self.options);
        let files = files.map_err(|error| error.to_string())?;
        let out = env::var_os("OUT_DIR").ok_or("OUT_DIR is not set: call this from build.rs")?;
        let folder = Path::new(&out).join(OUT_FOLDER);
        sync::write(&folder, &files).map_err(|error| error.to_string())?;
        Ok(())
    }
}

/// Prints findings as Cargo shows them. Notes are for `bloodbank lint`.
fn report(catalog: &Catalog, findings: &[Finding]) {
    for finding in findings {
        let word = match finding.level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Note => continue,
        };
        let text = render::render(finding, &catalog.sources, Colour::Off);
        // Cargo prints `error:` itself, and takes one line at a time.
        for line in text.lines() {
            println!("cargo::{word}={line}");
        }
    }
}
