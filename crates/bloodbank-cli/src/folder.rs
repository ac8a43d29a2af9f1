//! `codegen` and `lint`: what is done with the files of a schema folder.

use std::path::PathBuf;

use clap::Args;
use holyfields_cli::{CodegenArgs, LintArgs, LintOptions, Outcome, codegen, lint};

use crate::contracts::{Files, Source};

/// Exits 100 if the folder has errors, before anything is written.
#[derive(Args)]
pub(crate) struct Codegen {
    /// The folder that the code goes to.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Write nothing; exit 4 if the folder is not up to date.
    #[arg(long)]
    check: bool,
}

/// Exits 100 if one of the findings is an error.
#[derive(Args)]
pub(crate) struct Lint {
    /// The schema folder; the same as `--schemas DIR`.
    #[arg(id = "folder", value_name = "DIR")]
    folder: Option<PathBuf>,
    #[command(flatten)]
    options: LintOptions,
}

impl Codegen {
    pub(crate) fn run(self, source: &Source) -> anyhow::Result<u8> {
        let Files { schemas, registry } = source.files()?;
        let mut again = format!("bloodbank codegen --schemas {}", schemas.display());
        if let Some(file) = &registry {
            again.push_str(&format!(" --registry {}", file.display()));
        }
        again.push_str(&format!(" --out {}", self.out.display()));
        let args = CodegenArgs { schemas, registry, out: self.out, check: self.check };
        codegen::run(&args, &again).map(Outcome::code)
    }
}

impl Lint {
    pub(crate) fn run(self, source: &Source) -> anyhow::Result<u8> {
        let mut again = "bloodbank lint".to_owned();
        if let Some(folder) = self.folder.as_deref().or(source.named()) {
            again.push_str(&format!(" {}", folder.display()));
        }
        if let Some(file) = source.named_registry() {
            again.push_str(&format!(" --registry {}", file.display()));
        }
        let source = match self.folder {
            Some(folder) => source.clone().with_schemas(folder),
            None => source.clone(),
        };
        let Files { schemas, registry } = source.files()?;
        let args = LintArgs { schemas: Some(schemas), registry, options: self.options };
        lint::run(&args, &again).map(Outcome::code)
    }
}
