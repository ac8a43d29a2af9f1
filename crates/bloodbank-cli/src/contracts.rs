//! Which contracts a command works with: those of a folder, or those built in.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use bloodbank::events;
use bloodbank::{Bundle, BundledContract, Contracts, ReadError, json_problem};
use clap::Args;
use holyfields::finding::has_errors;
use holyfields::{Catalog, Finding};
use serde_json::Value;

/// Where contracts come from.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Source {
    /// Schema folder; unless said `schemas` here, else the nearest one upward, else the contracts
    /// built in.
    #[arg(long, value_name = "DIR", env = "BLOODBANK_SCHEMAS", global = true)]
    schemas: Option<PathBuf>,
    /// Service registry; `services/registry.yaml` beside the schema folder if there is one.
    #[arg(long, value_name = "FILE", global = true)]
    registry: Option<PathBuf>,
}

/// The place that contracts were taken from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A folder that was named, or `schemas` here.
    Folder(PathBuf),
    /// `schemas` of a folder above this one.
    Above(PathBuf),
    /// The program itself.
    BuiltIn,
}

const NO_FOLDER: &str = "there is no schema folder `schemas` here or in a folder above";
const NAME_IT: &str = "help: name the folder with `--schemas DIR` or BLOODBANK_SCHEMAS, or run the \
                       command where `schemas` is";

/// Contracts, and where they come from.
pub(crate) struct Known {
    pub(crate) contracts: Contracts,
    pub(crate) origin: Origin,
    registry: Option<PathBuf>,
}

impl Known {
    /// The schema folder.
    pub(crate) fn folder(&self) -> Option<&Path> {
        match &self.origin {
            Origin::Folder(folder) | Origin::Above(folder) => Some(folder),
            Origin::BuiltIn => None,
        }
    }

    /// The service registry.
    pub(crate) fn registry(&self) -> Option<&Path> {
        self.registry.as_deref()
    }
}

/// The files that contracts are read from.
pub(crate) struct Files {
    pub(crate) schemas: PathBuf,
    pub(crate) registry: Option<PathBuf>,
}

impl Source {
    /// The schema folder that was named.
    pub(crate) fn named(&self) -> Option<&Path> {
        self.schemas.as_deref()
    }

    /// The service registry that was named.
    pub(crate) fn named_registry(&self) -> Option<&Path> {
        self.registry.as_deref()
    }

    /// The same, where this schema folder is named.
    pub(crate) fn with_schemas(self, schemas: PathBuf) -> Self {
        Source { schemas: Some(schemas), ..self }
    }

    /// The files, for commands on files. Says which, where that may not be what the user thinks of.
    ///
    /// # Errors
    /// If there is no schema folder, or what is named is not there.
    pub(crate) fn files(&self) -> anyhow::Result<Files> {
        let origin = self.origin()?;
        let registry = self.registry_of(&origin)?;
        match origin {
            Origin::Folder(schemas) => Ok(Files { schemas, registry }),
            Origin::Above(schemas) => {
                eprintln!("note: contracts: {}, the nearest upward", schemas.display());
                Ok(Files { schemas, registry })
            }
            Origin::BuiltIn => bail!("{NO_FOLDER}\n{NAME_IT}"),
        }
    }

    /// The contracts. Says on stderr which, where that may not be what the user thinks of.
    ///
    /// # Errors
    /// If the folder or its registry has errors, with all of them.
    pub(crate) fn read(&self) -> anyhow::Result<Known> {
        let known = self.silently()?;
        if !matches!(known.origin, Origin::Folder(_)) {
            eprintln!("note: contracts: {known}");
        }
        Ok(known)
    }

    /// The same for what changes a system: never the contracts built in. Says which.
    ///
    /// # Errors
    /// If there is no schema folder; else those of [`Source::read`].
    pub(crate) fn read_own(&self) -> anyhow::Result<Known> {
        let known = self.silently()?;
        if known.origin == Origin::BuiltIn {
            bail!(
                "{NO_FOLDER}, and this command changes a system, so that it does not fall back to \
                 the contracts built in\n{NAME_IT}"
            );
        }
        eprintln!("note: contracts: {known}");
        Ok(known)
    }

    /// The same without a word.
    pub(crate) fn silently(&self) -> anyhow::Result<Known> {
        let origin = self.origin()?;
        let Some((catalog, findings)) = self.catalog_at(&origin)? else {
            // Nobody here has said which exchange events go to, so that is left to the environment.
            let bundle = Bundle { exchange: None, ..events::contracts().bundle().clone() };
            return Ok(Known { contracts: Contracts::new(bundle), origin, registry: None });
        };
        if has_errors(&findings) {
            return Err(unusable(&catalog, findings));
        }
        let registry = self.registry_of(&origin)?;
        Ok(Known { contracts: Contracts::new(catalog.bundle()), origin, registry })
    }

    /// The catalog of a folder; none for the contracts built in.
    ///
    /// # Errors
    /// Those of [`Source::read`].
    pub(crate) fn catalog(&self) -> anyhow::Result<Option<Catalog>> {
        match self.catalog_at(&self.origin()?)? {
            Some((catalog, findings)) if has_errors(&findings) => Err(unusable(&catalog, findings)),
            read => Ok(read.map(|(catalog, _)| catalog)),
        }
    }

    fn catalog_at(&self, origin: &Origin) -> anyhow::Result<Option<(Catalog, Vec<Finding>)>> {
        let (Origin::Folder(folder) | Origin::Above(folder)) = origin else {
            if self.registry.is_some() {
                bail!(
                    "`--registry` is of no use without a schema folder; name it with `--schemas`"
                );
            }
            return Ok(None);
        };
        Ok(Some(holyfields::read(folder, self.registry_of(origin)?.as_deref())))
    }

    fn registry_of(&self, origin: &Origin) -> anyhow::Result<Option<PathBuf>> {
        if let Some(file) = &self.registry {
            if !file.is_file() {
                bail!("`{}` is not a file", file.display());
            }
            return Ok(Some(file.clone()));
        }
        let (Origin::Folder(folder) | Origin::Above(folder)) = origin else { return Ok(None) };
        // Of `schemas` the parent is "", which stands for here; of `.` or `..` it must be asked.
        let parent = match folder.parent() {
            Some(parent) if folder.file_name().is_some() => parent.to_owned(),
            _ => folder.join(".."),
        };
        let beside = parent.join("services/registry.yaml");
        Ok(beside.is_file().then_some(beside))
    }

    fn origin(&self) -> anyhow::Result<Origin> {
        match &self.schemas {
            Some(folder) if folder.is_dir() => return Ok(Origin::Folder(folder.clone())),
            Some(folder) => bail!("`{}` is not a folder", folder.display()),
            None => {}
        }
        let here = PathBuf::from("schemas");
        if here.is_dir() {
            return Ok(Origin::Folder(here));
        }
        let above = env::current_dir().ok().and_then(|here| {
            let mut above = here.ancestors().skip(1).map(|folder| folder.join("schemas"));
            above.find(|folder| folder.is_dir())
        });
        Ok(above.map_or(Origin::BuiltIn, Origin::Above))
    }
}

/// The errors as `lint` shows them, and how many there are.
fn unusable(catalog: &Catalog, findings: Vec<Finding>) -> anyhow::Error {
    anyhow!("the contracts cannot be used\n\n{}", ReadError::new(catalog, findings))
}

impl fmt::Display for Known {
    /// `3 contracts of schemas, services of services/registry.yaml`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count =
            crate::figures::count_of(self.contracts.bundle().contracts.len() as u64, "contract");
        match &self.origin {
            Origin::Folder(folder) => write!(f, "{count} of {}", folder.display())?,
            Origin::Above(folder) => {
                write!(f, "{count} of {}, the nearest upward", folder.display())?
            }
            Origin::BuiltIn => {
                return write!(
                    f,
                    "the {count} built in, as there is no folder `schemas` here or above"
                );
            }
        }
        match &self.registry {
            Some(file) => write!(f, "; services of {}", file.display()),
            None => write!(f, "; no registry.yaml"),
        }
    }
}

/// What is at hand, for commands that judge nothing and only need to know the exchange: none where
/// there is no folder, as those built in say nothing of somebody else's bus.
///
/// # Errors
/// If the folder or its registry has errors: it may name another exchange than the usual one.
pub(crate) fn at_hand(source: &Source) -> anyhow::Result<Contracts> {
    let known = source.silently()?;
    Ok(if known.origin == Origin::BuiltIn { none() } else { known.contracts })
}

/// Those that say what is sensitive: the contracts at hand, else those built in.
///
/// # Errors
/// If the folder or its registry has errors.
pub(crate) fn sensitive(source: &Source) -> anyhow::Result<Contracts> {
    let known =
        source.silently().context("nobody can say what is sensitive; `--reveal` shows all")?;
    Ok(known.contracts)
}

/// No contracts: for commands that look at what is stored and judge nothing.
pub(crate) fn none() -> Contracts {
    Contracts::new(Bundle::default())
}

/// The contract that a user means by a key and, maybe, a version.
pub(crate) fn find<'c>(
    contracts: &'c Contracts,
    key: &str,
    version: Option<u32>,
) -> anyhow::Result<&'c BundledContract> {
    let route = match version {
        None | Some(1) => key.to_owned(),
        Some(version) => format!("{key}.v{version}"),
    };
    Ok(contracts.find(&route)?)
}

/// A payload from its text.
///
/// # Errors
/// If it is no JSON, with the place.
pub(crate) fn parse(name: &str, text: &[u8]) -> anyhow::Result<Value> {
    serde_json::from_slice(text).map_err(|error| {
        // The parser's words hold nothing of the payload.
        let problem = json_problem(&error);
        let (line, column) = (error.line(), error.column().max(1));
        anyhow!("{name}:{line}:{column}: not JSON: {problem}")
    })
}
