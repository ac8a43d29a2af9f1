//! Whose token was presented.

use std::fs::Metadata;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::secret::{hash, same};
use crate::{AccessError, Caller, Token, TokenFile};

/// Says who asks, by the token that was presented. Cheap to clone; clones share what was read.
///
/// Each question looks whether the file has changed, which costs a system call, so that a token that was
/// revoked is not in force at the next request.
#[derive(Clone, Debug)]
pub struct Access {
    inner: Option<Arc<Inner>>,
}

#[derive(Debug)]
struct Inner {
    file: TokenFile,
    seen: Mutex<Seen>,
}

/// The hash of each token, and who holds it.
type Callers = Arc<[(String, Caller)]>;

/// What was read of the file.
#[derive(Debug, Default)]
struct Seen {
    /// Whether it was ever there: then nobody gets in without a token any more.
    ever: bool,
    version: Option<Version>,
    callers: Callers,
}

/// What tells one state of a file from another.
#[derive(Debug, PartialEq, Eq)]
struct Version {
    modified: Option<std::time::SystemTime>,
    bytes: u64,
    mode: u32,
    number: u64,
}

impl Access {
    /// Everybody may do everything, whatever is presented.
    pub fn open() -> Self {
        Access { inner: None }
    }

    /// By the tokens of a file. Until there is one, everybody may do everything.
    pub fn by(file: TokenFile) -> Self {
        Access { inner: Some(Arc::new(Inner { file, seen: Mutex::default() })) }
    }

    /// The file of tokens.
    pub fn file(&self) -> Option<&TokenFile> {
        self.inner.as_ref().map(|inner| &inner.file)
    }

    /// Whether everybody may do everything, as there never was a file of tokens.
    ///
    /// # Errors
    /// If the file is there and cannot be read.
    pub fn is_open(&self) -> Result<bool, AccessError> {
        Ok(self.callers()?.is_none())
    }

    /// How many tokens are in force.
    ///
    /// # Errors
    /// If the file is there and cannot be read.
    pub fn count(&self) -> Result<usize, AccessError> {
        Ok(self.callers()?.map_or(0, |callers| callers.len()))
    }

    /// Whose token it is.
    ///
    /// # Errors
    /// [`AccessError::TokenMissing`], [`AccessError::TokenUnknown`]; those of reading the file: nobody
    /// gets in while it cannot be read.
    pub fn caller(&self, presented: Option<&str>) -> Result<Caller, AccessError> {
        let Some(callers) = self.callers()? else { return Ok(Caller::local()) };
        let presented = hash(presented.ok_or(AccessError::TokenMissing)?);
        // All are compared, so that the time does not say which one it is.
        let found =
            callers.iter().fold(
                None,
                |found, (sha256, caller)| {
                    if same(sha256, &presented) { Some(caller) } else { found }
                },
            );
        found.cloned().ok_or(AccessError::TokenUnknown)
    }

    /// `None` where everybody may do everything.
    fn callers(&self) -> Result<Option<Callers>, AccessError> {
        let Some(inner) = &self.inner else { return Ok(None) };
        let mut seen = inner.seen();
        // Looked at before it is read: if it changes in between, it is read once more.
        let version = inner.file.path().metadata().ok().map(|metadata| Version::of(&metadata));
        if version.is_none() || seen.version != version {
            seen.version = None;
            let tokens = inner.file.read()?;
            seen.ever |= tokens.is_some();
            seen.callers = tokens.into_iter().flatten().map(caller).collect();
            seen.version = version;
        }
        Ok(seen.ever.then(|| seen.callers.clone()))
    }
}

impl Inner {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn caller(token: Token) -> (String, Caller) {
    (token.sha256.to_ascii_lowercase(), Caller::new(&token.name, token.rights))
}

impl Version {
    fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let (mode, number) = {
            use std::os::unix::fs::MetadataExt;
            (metadata.mode(), metadata.ino())
        };
        #[cfg(not(unix))]
        let (mode, number) = (0, 0);
        Version { modified: metadata.modified().ok(), bytes: metadata.len(), mode, number }
    }
}
