//! Which file it is that a connection has open.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::StoreError;

/// A file as the system knows it: a device, and a number on it.
type Place = (u64, u64);

/// The file that lay at a path when it was opened. SQLite goes on with it, wherever it is moved, and
/// also when it is deleted.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    path: PathBuf,
    file: Option<Place>,
}

impl Identity {
    /// The file that lies there now.
    pub(crate) fn of(path: &Path) -> Self {
        // As long as the process stays in its folder, this is the same.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Identity { file: place_of(&path), path }
    }

    /// Whether there is a file.
    pub(super) fn is_there(&self) -> bool {
        self.file.is_some()
    }

    /// Whether it is the same file.
    pub(super) fn is(&self, other: &Identity) -> bool {
        self.file == other.file
    }

    /// It is not there any more.
    pub(super) fn removed(&self) -> StoreError {
        StoreError::Removed { place: format!("sqlite:{}", self.path.display()) }
    }

    /// # Errors
    /// [`StoreError::Removed`], where another file lies there now, or none.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let is_same = match fs::metadata(&self.path) {
            Ok(there) => Some(place(&there)) == self.file,
            // What cannot be looked at for the moment is not gone.
            Err(error) => error.kind() != ErrorKind::NotFound || self.file.is_none(),
        };
        match is_same {
            true => Ok(()),
            false => Err(self.removed()),
        }
    }
}

/// Where there is none, or it cannot be looked at, `None`. Never by opening it: closing it again would end
/// the locks that SQLite has on it.
fn place_of(path: &Path) -> Option<Place> {
    fs::metadata(path).ok().map(|there| place(&there))
}

#[cfg(unix)]
fn place(there: &Metadata) -> Place {
    use std::os::unix::fs::MetadataExt;
    (there.dev(), there.ino())
}

/// Elsewhere a file that is open cannot be deleted.
#[cfg(not(unix))]
fn place(_: &Metadata) -> Place {
    (0, 0)
}
