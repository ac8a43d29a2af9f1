//! Where a store lies.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bloodbank_core::Code;

#[cfg(feature = "postgres")]
pub(crate) mod postgres;

/// Where a store lies: a file, or a database on a server.
///
/// Shown without its password.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreUrl {
    /// `sqlite:path/to/file.db`.
    Sqlite(PathBuf),
    /// `postgres://user:password@host:port/database?sslmode=…`, or `host=… dbname=…`, as libpq reads them.
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
        if is_keywords(url) {
            return server(url);
        }
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
            "postgres" | "postgresql" => server(url),
            other if other.chars().all(|c| c.is_ascii_alphanumeric()) => {
                Err(UrlError::of(format!("`{other}:`")))
            }
            _ => Err(UrlError::of("something else")),
        }
    }
}

/// Whether it is a list of `keyword=value`, as libpq takes it instead of a URL.
fn is_keywords(text: &str) -> bool {
    let first = text.split_once('=').map(|(first, _)| first.trim());
    ["host", "hostaddr", "port", "user", "password", "dbname"].map(Some).contains(&first)
}

/// A database on a server, if the driver can read the text.
fn server(text: &str) -> Result<StoreUrl, UrlError> {
    #[cfg(feature = "postgres")]
    postgres::parse(text)
        .map_err(|reason| UrlError::of(format!("a PostgreSQL URL in which {reason}")))?;
    Ok(StoreUrl::Postgres(text.to_owned()))
}

/// A database on a server without its password; nothing of a text that cannot be read.
fn without_password(text: &str) -> String {
    #[cfg(feature = "postgres")]
    if let Ok(server) = postgres::parse(text) {
        return server.place();
    }
    // What of the text is the password only the driver could say.
    let _ = text;
    "postgres://…".to_owned()
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreUrl::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            StoreUrl::Postgres(text) => f.write_str(&without_password(text)),
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreUrl({self})")
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
}
