//! The file that keeps the tokens' names, hashes and rights.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bloodbank_core::json_problem;
use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};

use crate::caller::LOCAL;
use crate::secret::{Secret, hash};
use crate::{AccessError, Rights};

/// The most bytes that are read of the file.
const LARGEST: u64 = 4 << 20;

/// The longest name.
const LONGEST_NAME: usize = 64;

/// A token without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Token {
    /// What it is called.
    pub name: String,
    /// The SHA-256 of its secret, in hexadecimal digits.
    pub sha256: String,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// What its holder may do.
    pub rights: Rights,
}

/// A file of tokens, which only its owner reads.
///
/// It is JSON. Who changes it holds the lock of a file beside it, and puts a whole new file in its place,
/// so that it is never read half written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFile {
    path: PathBuf,
}

/// What stands in the file.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    tokens: Vec<Token>,
}

impl TokenFile {
    /// The file at a path; it need not be there.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        TokenFile { path: path.into() }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The tokens, in the order in which they were made; none if the file is not there.
    ///
    /// # Errors
    /// [`AccessError::Unavailable`], [`AccessError::Exposed`], [`AccessError::Malformed`].
    pub fn tokens(&self) -> Result<Vec<Token>, AccessError> {
        Ok(self.read()?.unwrap_or_default())
    }

    /// Makes a token. Its secret is nowhere but in what this returns.
    ///
    /// # Errors
    /// [`AccessError::NotAName`], [`AccessError::Exists`], [`AccessError::NoRandomness`], those of
    /// [`tokens`](TokenFile::tokens).
    pub fn create(&self, name: &str, rights: Rights) -> Result<Secret, AccessError> {
        check_name(name)?;
        let secret = Secret::random()?;
        self.change(|tokens| {
            if tokens.iter().any(|token| token.name == name) {
                return Err(AccessError::Exists { name: name.to_owned() });
            }
            let (name, sha256) = (name.to_owned(), hash(secret.as_str()));
            let created = Utc::now().trunc_subsecs(0);
            tokens.push(Token { name, sha256, created, rights });
            Ok(())
        })?;
        Ok(secret)
    }

    /// Takes a token out of force. The file stays, also without tokens: where one is, nobody gets in
    /// without a token.
    ///
    /// # Errors
    /// [`AccessError::NoSuchToken`], those of [`tokens`](TokenFile::tokens).
    pub fn revoke(&self, name: &str) -> Result<(), AccessError> {
        self.change(|tokens| {
            let before = tokens.len();
            tokens.retain(|token| token.name != name);
            match tokens.len() < before {
                true => Ok(()),
                false => Err(AccessError::NoSuchToken { name: name.to_owned() }),
            }
        })
    }

    /// `None` if the file is not there.
    pub(crate) fn read(&self) -> Result<Option<Vec<Token>>, AccessError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.unavailable("read", &error)),
        };
        self.check_mode(&file)?;
        let mut bytes = Vec::new();
        file.take(LARGEST).read_to_end(&mut bytes).map_err(|e| self.unavailable("read", &e))?;
        let content: Content = serde_json::from_slice(&bytes).map_err(|error| {
            // The parser's words hold nothing of the file.
            let (line, column) = (error.line(), error.column());
            self.malformed(format!("line {line}, column {column}: {}", json_problem(&error)))
        })?;
        let is_hash = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if let Some(token) = content.tokens.iter().find(|token| !is_hash(&token.sha256)) {
            let name = &token.name;
            return Err(self.malformed(format!("the `sha256` of `{name}` is not 64 digits")));
        }
        Ok(Some(content.tokens))
    }

    #[cfg(unix)]
    fn check_mode(&self, file: &File) -> Result<(), AccessError> {
        use std::os::unix::fs::PermissionsExt;
        let metadata = file.metadata().map_err(|error| self.unavailable("read", &error))?;
        match metadata.permissions().mode() & 0o777 {
            mode if mode & 0o077 != 0 => {
                Err(AccessError::Exposed { file: self.path.clone(), mode })
            }
            _ => Ok(()),
        }
    }

    #[cfg(not(unix))]
    fn check_mode(&self, _: &File) -> Result<(), AccessError> {
        Ok(())
    }

    fn change(
        &self,
        change: impl FnOnce(&mut Vec<Token>) -> Result<(), AccessError>,
    ) -> Result<(), AccessError> {
        let changed = |error: io::Error| self.unavailable("changed", &error);
        fs::create_dir_all(self.folder()).map_err(changed)?;
        let lock = self.lock().map_err(changed)?;
        let mut tokens = self.tokens()?;
        change(&mut tokens)?;
        self.write(&Content { tokens }).map_err(changed)?;
        drop(lock);
        Ok(())
    }

    /// Held until it is dropped, or its process ends.
    fn lock(&self) -> io::Result<File> {
        let mut path = self.path.clone().into_os_string();
        path.push(".lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        lock.lock()?;
        Ok(lock)
    }

    fn write(&self, content: &Content) -> io::Result<()> {
        let folder = self.folder();
        // Only its owner reads such a file.
        let mut new = tempfile::NamedTempFile::new_in(folder)?;
        let mut text = serde_json::to_string_pretty(content)?;
        text.push('\n');
        new.write_all(text.as_bytes())?;
        new.as_file().sync_all()?;
        new.persist(&self.path)?;
        File::open(folder)?.sync_all()
    }

    fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    fn unavailable(&self, doing: &'static str, error: &io::Error) -> AccessError {
        AccessError::Unavailable { file: self.path.clone(), doing, reason: error.to_string() }
    }

    fn malformed(&self, reason: String) -> AccessError {
        AccessError::Malformed { file: self.path.clone(), reason }
    }
}

fn check_name(name: &str) -> Result<(), AccessError> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b".-_".contains(&b);
    let fits = (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(is_plain);
    match fits && name != LOCAL {
        true => Ok(()),
        false => Err(AccessError::NotAName { name: name.to_owned() }),
    }
}
