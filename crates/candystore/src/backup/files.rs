//! Files that are there in whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::BackupError;

/// A file that is written beside the one that it becomes. Removed unless it is kept.
pub(super) struct Part {
    pub(super) path: PathBuf,
}

impl Part {
    /// A new file, which only its owner reads.
    pub(super) fn beside(file: &Path) -> Result<Self, BackupError> {
        if file.exists() {
            return Err(BackupError::Exists { file: file.to_owned() });
        }
        let mut name = file.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.part", Uuid::now_v7().simple()));
        let path = file.with_file_name(name);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&path).map_err(|error| failed(file, &error))?;
        Ok(Part { path })
    }

    /// Writes it to the disk and gives it its name, if nobody has taken that meanwhile. Gives its size.
    pub(super) fn keep(self, file: &Path) -> Result<u64, BackupError> {
        let keep = || {
            let part = File::open(&self.path)?;
            part.sync_all()?;
            // A link is refused where a name would be taken from another file.
            fs::hard_link(&self.path, file)?;
            let folder = file.parent().filter(|folder| *folder != Path::new(""));
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
            Ok(part.metadata()?.len())
        };
        keep().map_err(|error: io::Error| failed(file, &error))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        for end in ["", "-wal", "-shm"] {
            let mut path = self.path.clone().into_os_string();
            path.push(end);
            // It may not be there.
            let _ = fs::remove_file(path);
        }
    }
}

pub(super) fn failed(file: &Path, error: &io::Error) -> BackupError {
    BackupError::File { file: file.to_owned(), reason: error.to_string() }
}

/// # Errors
/// If there is no such file.
pub(super) fn must_be_there(file: &Path) -> Result<(), BackupError> {
    File::open(file).map(|_| ()).map_err(|error| failed(file, &error))
}
