//! Generated files on disk: brought up to date, or compared with what they should be.
//!
//! A folder may also hold files that people wrote, so only files that carry
//! [`holyfields_codegen::MARK`] near their start count as generated. What is in hidden folders, in
//! other packages and in build output is never looked at.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use holyfields_codegen::{GeneratedFile, MARK};
use similar::TextDiff;

/// The mark stands within so many bytes from the start of a file.
const MARK_WITHIN: u64 = 512;

/// A longer diff is cut. In lines.
const LONGEST_DIFF: usize = 60;

/// A longer line of a diff is cut. In characters.
const LONGEST_LINE: usize = 200;

/// After so long, a diff is finished coarsely: right, but not the shortest.
const DIFF_TIME: Duration = Duration::from_secs(2);

/// A file or folder that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be {action}", path.display())]
#[non_exhaustive]
pub struct SyncError {
    /// The file or folder.
    pub path: PathBuf,
    /// `read`, `written` or `removed`.
    pub action: &'static str,
    /// What the system says.
    pub source: io::Error,
}

/// What [`write()`] did: paths below the folder, with `/`, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Files that are new or have other contents now.
    pub written: Vec<String>,
    /// Files that were right, and were not touched.
    pub unchanged: Vec<String>,
    /// Generated files that are no longer produced.
    pub removed: Vec<String>,
}

/// How a folder differs from what should be in it, by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drift {
    /// Every file that should be there or was once generated.
    pub files: Vec<FileDrift>,
}

/// How one file differs from what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDrift {
    /// Its path below the folder, with `/`.
    pub path: String,
    /// The difference.
    pub state: State,
}

/// The state of a generated file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is what it should be.
    Fresh,
    /// It has other contents.
    Changed {
        /// Unified diff, from what is there to what should be; long ones are cut.
        diff: String,
    },
    /// It is not there.
    Missing,
    /// It was generated once and is no longer produced.
    Unexpected,
}

impl Drift {
    /// How many files are as they should be.
    pub fn fresh(&self) -> usize {
        self.files.iter().filter(|file| file.state == State::Fresh).count()
    }

    /// How many are not.
    pub fn stale(&self) -> usize {
        self.files.len() - self.fresh()
    }
}

/// Brings a folder up to date; creates it where it is missing.
///
/// A file that is right already keeps its modification time. Others are replaced as a whole, so
/// that nobody ever reads half of one. Generated files that are not in the list are removed.
///
/// # Errors
///
/// [`SyncError`] for the first file or folder that cannot be read, written or removed.
pub fn write(folder: &Path, files: &[GeneratedFile]) -> Result<Written, SyncError> {
    let mut done = Written::default();
    for file in files {
        let path = folder.join(&file.path);
        if read(&path)?.is_some_and(|bytes| bytes == file.contents.as_bytes()) {
            done.unchanged.push(file.path.clone());
        } else {
            replace(&path, &file.contents).map_err(failed("written", &path))?;
            done.written.push(file.path.clone());
        }
    }
    for path in no_longer_produced(folder, files)? {
        let full = folder.join(&path);
        fs::remove_file(&full).map_err(failed("removed", &full))?;
        done.removed.push(path);
    }
    for list in [&mut done.written, &mut done.unchanged, &mut done.removed] {
        list.sort();
    }
    Ok(done)
}

/// Compares a folder with what should be in it, and changes nothing.
///
/// # Errors
///
/// [`SyncError`] for the first file or folder that cannot be read.
pub fn compare(folder: &Path, files: &[GeneratedFile]) -> Result<Drift, SyncError> {
    let mut drift = Drift::default();
    for file in files {
        let state = match read(&folder.join(&file.path))? {
            None => State::Missing,
            Some(bytes) if bytes == file.contents.as_bytes() => State::Fresh,
            Some(bytes) => {
                State::Changed { diff: diff(&String::from_utf8_lossy(&bytes), &file.contents) }
            }
        };
        drift.files.push(FileDrift { path: file.path.clone(), state });
    }
    let unexpected = no_longer_produced(folder, files)?.into_iter();
    drift.files.extend(unexpected.map(|path| FileDrift { path, state: State::Unexpected }));
    drift.files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(drift)
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SyncError {
    let path = path.to_owned();
    move |source| SyncError { path, action, source }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, SyncError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}

/// Writes beside the file and renames.
fn replace(path: &Path, contents: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = folder.join(format!(".{name}.{}.tmp", process::id()));
    let result = fs::write(&beside, contents).and_then(|()| fs::rename(&beside, path));
    if result.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&beside);
    }
    result
}

/// Generated files that are not in the list.
fn no_longer_produced(folder: &Path, files: &[GeneratedFile]) -> Result<Vec<String>, SyncError> {
    let mut found = Vec::new();
    if folder.is_dir() {
        collect_generated(folder, "", &mut found)?;
    }
    found.retain(|path| !files.iter().any(|file| file.path == *path));
    Ok(found)
}

fn collect_generated(folder: &Path, below: &str, found: &mut Vec<String>) -> Result<(), SyncError> {
    for entry in fs::read_dir(folder).map_err(failed("read", folder))? {
        let entry = entry.map_err(failed("read", folder))?;
        let full = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        // The type of a link is that of the link: links are not followed.
        let kind = entry.file_type().map_err(failed("read", &full))?;
        if kind.is_dir() && !is_foreign(&full) {
            collect_generated(&full, &path, found)?;
        } else if kind.is_file() && is_generated(&full).map_err(failed("read", &full))? {
            found.push(path);
        }
    }
    Ok(())
}

/// Whether a folder is another package or what Cargo built.
fn is_foreign(folder: &Path) -> bool {
    ["Cargo.toml", "CACHEDIR.TAG"].iter().any(|name| folder.join(name).exists())
}

fn is_generated(path: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    File::open(path)?.take(MARK_WITHIN).read_to_end(&mut start)?;
    Ok(start.windows(MARK.len()).any(|window| window == MARK.as_bytes()))
}

fn diff(is: &str, should_be: &str) -> String {
    let diff = TextDiff::configure().timeout(DIFF_TIME).diff_lines(is, should_be);
    let text = diff.unified_diff().context_radius(3).to_string();
    let lines = text.lines().count();
    let mut shown: Vec<String> = text.lines().take(LONGEST_DIFF).map(cut).collect();
    match lines.saturating_sub(LONGEST_DIFF) {
        0 => {}
        1 => shown.push("… and 1 line more".into()),
        more => shown.push(format!("… and {more} lines more")),
    }
    shown.join("\n")
}

fn cut(line: &str) -> String {
    match line.char_indices().nth(LONGEST_LINE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::SystemTime;

    use super::*;

    fn file(path: &str, contents: &str) -> GeneratedFile {
        GeneratedFile { path: path.into(), contents: contents.into() }
    }

    fn generated(path: &str) -> GeneratedFile {
        file(path, &format!("// {MARK}.\n\npub struct A;\n"))
    }

    /// Every file of a folder with its modification time.
    fn times(folder: &Path) -> BTreeMap<PathBuf, SystemTime> {
        let mut times = BTreeMap::new();
        let mut open = vec![folder.to_owned()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    let modified = fs::metadata(&path).unwrap().modified().unwrap();
                    times.insert(path, modified);
                }
            }
        }
        times
    }

    #[test]
    fn what_is_right_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("new/out");
        let files = [generated("rust/a.rs"), file("bundle.json", "{}\n")];
        let first = write(&out, &files).unwrap();
        assert_eq!(first.written, ["bundle.json", "rust/a.rs"]);
        let before = times(&out);
        let second = write(&out, &files).unwrap();
        assert_eq!(second.unchanged, ["bundle.json", "rust/a.rs"]);
        assert_eq!(second.written.len() + second.removed.len(), 0);
        assert_eq!(times(&out), before, "nothing new, nothing left over, no other time");
    }

    #[test]
    fn only_generated_files_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path();
        let late = file("late.rs", &format!("{}{MARK}", " ".repeat(600)));
        let old = [
            generated("a.rs"),
            generated("old/b.rs"),
            generated(".git/c.rs"),
            generated("other/src/d.rs"),
            file("other/Cargo.toml", ""),
            generated("target/e.rs"),
            file("target/CACHEDIR.TAG", ""),
            file("mine.rs", "// by hand"),
            late,
        ];
        write(out, &old).unwrap();
        fs::write(out.join("binary"), [0xff, 0xfe]).unwrap();
        let done = write(out, &[generated("a.rs")]).unwrap();
        assert_eq!(done.removed, ["old/b.rs"]);
        assert_eq!(done.unchanged, ["a.rs"]);
        for kept in ["mine.rs", "late.rs", "binary", ".git/c.rs", "other/src/d.rs", "target/e.rs"] {
            assert!(out.join(kept).exists(), "{kept}");
        }
    }

    #[test]
    fn every_kind_of_drift() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path();
        let old: String = (1..=9).map(|n| format!("{n}\n")).collect();
        write(out, &[file("a", &old), file("b", "b\n"), generated("z.rs")]).unwrap();
        let before = times(out);
        let new = [file("a", &old.replace('5', "five")), file("b", "b\n"), file("c", "")];
        let drift = compare(out, &new).unwrap();
        let states: Vec<_> = drift.files.iter().map(|file| (&*file.path, &file.state)).collect();
        let diff = "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8".to_owned();
        assert_eq!(
            states,
            [
                ("a", &State::Changed { diff }),
                ("b", &State::Fresh),
                ("c", &State::Missing),
                ("z.rs", &State::Unexpected),
            ]
        );
        assert_eq!((drift.fresh(), drift.stale()), (1, 3));
        assert_eq!(times(out), before, "nothing is written");
        let nowhere = compare(&out.join("nowhere"), &new).unwrap();
        assert!(nowhere.files.iter().all(|file| file.state == State::Missing));
    }

    #[test]
    fn long_diffs_and_long_lines_are_cut() {
        let long = "x\n".repeat(100) + &"y".repeat(500);
        let shown = diff(&"y".repeat(500), &long);
        let lines: Vec<_> = shown.lines().collect();
        assert_eq!(lines.len(), LONGEST_DIFF + 1);
        assert!(lines[LONGEST_DIFF].starts_with("… and "), "{shown}");
        assert!(lines[LONGEST_DIFF].ends_with(" lines more"), "{shown}");
        let shown = diff("a", &"é".repeat(500));
        assert!(shown.lines().all(|line| line.chars().count() <= LONGEST_LINE + 1), "{shown}");
    }

    #[test]
    fn an_error_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::create_dir(&path).unwrap();
        let error = write(folder.path(), &[file("a", "")]).unwrap_err();
        assert_eq!(error.to_string(), format!("{} cannot be read", path.display()));
    }
}
