//! Where a store lies.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bloodbank_core::Code;

/// Where a store lies: a file, or a database on a server.
///
/// Shown without its password.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreUrl {
    /// `sqlite:path/to/file.db`.
    Sqlite(PathBuf),
    /// `postgres://user:password@host:port/database`, as libpq reads it.
    Postgres(String),
}

/// A text that does not name a store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name} does not name a store: expected `sqlite:<file>` or `postgres://user:password@host/database`, \
     found {found}"
)]
#[non_exhaustive]
pub struct UrlError {
    /// Where the text stands: `DATABASE_URL`, unless somebody says otherwise.
    pub name: String,
    /// What it begins with; the rest may hold a password.
    pub found: String,
}

/// The variable that names the store.
const VARIABLE: &str = "DATABASE_URL";

impl StoreUrl {
    /// What `DATABASE_URL` names, else [`StoreUrl::default_file`].
    ///
    /// # Errors
    /// If it names no store.
    pub fn from_env() -> Result<Self, UrlError> {
        match env::var(VARIABLE) {
            Ok(url) if !url.is_empty() => url.parse(),
            Err(env::VarError::NotUnicode(_)) => Err(UrlError::of("text that is not UTF-8")),
            _ => Ok(StoreUrl::default_file()),
        }
    }

    /// The file that all programs of one user share: `bloodbank/bloodbank.db` in `XDG_DATA_HOME`, or
    /// in `~/.local/share`. Without a home it lies in the current folder.
    pub fn default_file() -> Self {
        let folder = |name: &str| env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
        let data = folder("XDG_DATA_HOME").or_else(|| Some(folder("HOME")?.join(".local/share")));
        let data = data.map(|data| data.join("bloodbank")).unwrap_or_default();
        StoreUrl::Sqlite(data.join("bloodbank.db"))
    }

    /// A file.
    pub fn file(path: impl AsRef<Path>) -> Self {
        StoreUrl::Sqlite(path.as_ref().to_owned())
    }
}

impl UrlError {
    /// Its code, [`Code::NotAStoreUrl`].
    pub fn code(&self) -> Code {
        Code::NotAStoreUrl
    }

    fn of(found: impl Into<String>) -> Self {
        UrlError { name: VARIABLE.to_owned(), found: found.into() }
    }
}

impl FromStr for StoreUrl {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Self, UrlError> {
        let Some((scheme, rest)) = url.split_once(':') else {
            return Err(UrlError::of("a text without `sqlite:` or `postgres:`"));
        };
        match scheme {
            "sqlite" => {
                // `sqlite:a`, `sqlite:/a` and, as other tools write them, `sqlite://a`, `sqlite:///a`.
                let path = rest.strip_prefix("//").unwrap_or(rest);
                match path {
                    "" => Err(UrlError::of("no file after `sqlite:`")),
                    ":memory:" => {
                        Err(UrlError::of("`sqlite::memory:`, which only one connection could see"))
                    }
                    // It would be a part of the file's name, which nobody means.
                    path if path.contains('?') => {
                        Err(UrlError::of("options after a `?`, of which a file has none"))
                    }
                    path => Ok(StoreUrl::file(path)),
                }
            }
            "postgres" | "postgresql" => Ok(StoreUrl::Postgres(url.to_owned())),
            other if other.chars().all(|c| c.is_ascii_alphanumeric()) => {
                Err(UrlError::of(format!("`{other}:`")))
            }
            _ => Err(UrlError::of("something else")),
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreUrl::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            StoreUrl::Postgres(url) => f.write_str(&without_password(url)),
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreUrl({self})")
    }
}

/// `postgres://user:secret@host/db?password=x` as `postgres://user@host/db`.
fn without_password(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", ""));
    // A password may contain an `@` that somebody forgot to encode.
    match rest.rsplit_once('@') {
        Some((user, place)) => {
            let user = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}@{place}")
        }
        None => format!("{scheme}://{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_file_is_that_file() {
        for (url, path) in [
            ("sqlite:a.db", "a.db"),
            ("sqlite:/a/b.db", "/a/b.db"),
            ("sqlite://a.db", "a.db"),
            ("sqlite:///a/b.db", "/a/b.db"),
        ] {
            assert_eq!(url.parse(), Ok(StoreUrl::file(path)), "{url}");
        }
    }

    #[test]
    fn what_names_no_store_is_refused_without_repeating_a_secret() {
        for url in [
            "",
            "bloodbank.db",
            "sqlite:",
            "mysql://u:secret@h/d",
            "sqlite::memory:",
            "sqlite://a?mode=rwc",
        ] {
            let error = url.parse::<StoreUrl>().unwrap_err().to_string();
            assert!(error.contains("DATABASE_URL") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        for url in [
            "postgres://ada:secret@db:5432/events",
            "postgres://ada:se@secret@db:5432/events?password=secret",
        ] {
            let url: StoreUrl = url.parse().unwrap();
            assert_eq!(url.to_string(), "postgres://ada@db:5432/events");
            assert!(!format!("{url:?}").contains("secret"));
        }
    }
}
