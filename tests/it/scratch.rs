//! Crates outside the workspace, built by tests as a user's crate is built.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// The workspace's folder.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A crate that depends on nothing but `bloodbank`, and to build on `holyfields-build`.
pub(crate) struct Scratch {
    folder: TempDir,
}

impl Scratch {
    /// `name` must be the test's own: what is built lies under it.
    pub(crate) fn new(name: &str) -> Self {
        let scratch = Scratch { folder: tempfile::tempdir().unwrap() };
        let root = workspace().display();
        scratch.write(
            "Cargo.toml",
            &format!(
                "[workspace]\n\n[package]\nname = \"{name}\"\nversion = \"0.1.0\"\n\
                 edition = \"2024\"\n\n[dependencies]\nbloodbank = {{ path = \"{root}\" }}\n\n\
                 [build-dependencies]\nholyfields-build = {{ path = \
                 \"{root}/crates/holyfields-build\" }}\n"
            ),
        );
        // The versions that the workspace was tested with, and no network.
        let lock = fs::read_to_string(workspace().join("Cargo.lock")).unwrap();
        scratch.write("Cargo.lock", &lock);
        scratch
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(crate) fn write(&self, path: &str, contents: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    /// The program that cargo has built.
    #[cfg(feature = "embedded")]
    pub(crate) fn built(&self, program: &str) -> PathBuf {
        target().join("debug").join(program)
    }

    /// Runs cargo in the crate.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Output {
        cargo_in(self.folder.path(), arguments)
    }
}

/// Where cargo puts what it builds.
fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("scratch")
}

/// Runs cargo in a folder. What it builds is shared between tests and runs.
pub(crate) fn cargo_in(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target())
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_NET_OFFLINE", "true")
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_TERM_COLOR", "never")
        .env_remove("RUSTFLAGS")
        .output()
        .unwrap()
}

/// What a command printed; fails with all of it if the command failed.
pub(crate) fn succeeds(output: &Output) -> String {
    let (out, err) = texts(output);
    assert!(output.status.success(), "{out}\n{err}");
    out
}

/// Standard output and error as text.
pub(crate) fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}
