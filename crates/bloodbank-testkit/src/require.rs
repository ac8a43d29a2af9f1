//! What tests need on the machine.

use std::env;
use std::path::{Path, PathBuf};

use crate::{node, pooler as between, postgres as database, redis as server};

/// Whether RabbitMQ is on the machine. If not, says that the test is skipped.
///
/// # Panics
///
/// If it is not, and the environment has `CI=true`.
#[must_use]
pub fn rabbitmq() -> bool {
    there(
        Path::new(node::SERVER).exists(),
        "RabbitMQ is missing: apt-get install rabbitmq-server, or run `cargo xtask test` as root \
         on Debian",
    )
}

/// Whether Redis is on the machine. If not, says that the test is skipped.
///
/// # Panics
///
/// If it is not, and the environment has `CI=true`.
#[must_use]
pub fn redis() -> bool {
    there(
        Path::new(server::SERVER).exists(),
        "Redis is missing: apt-get install redis-server, or run `cargo xtask test` as root on \
         Debian",
    )
}

/// Whether PostgreSQL is on the machine. If not, says that the test is skipped.
///
/// # Panics
///
/// If it is not, and the environment has `CI=true`.
#[must_use]
pub fn postgres() -> bool {
    there(
        database::bin().is_some(),
        "PostgreSQL is missing: apt-get install postgresql, or run `cargo xtask test` as root on \
         Debian",
    )
}

/// Whether PgBouncer and PostgreSQL are on the machine. If not, says that the test is skipped.
///
/// # Panics
///
/// If they are not, and the environment has `CI=true`.
#[must_use]
pub fn pooler() -> bool {
    postgres()
        && there(
            Path::new(between::SERVER).exists(),
            "PgBouncer is missing: apt-get install pgbouncer, or run `cargo xtask test` as root on \
             Debian",
        )
}

/// Whether `faketime` is on the machine, which gives a program another clock. If not, says that the test
/// is skipped.
///
/// # Panics
///
/// If it is not, and the environment has `CI=true`.
#[must_use]
pub fn faketime() -> bool {
    there(
        Path::new("/usr/bin/faketime").exists(),
        "faketime is missing: apt-get install faketime, or run `cargo xtask test` as root on Debian",
    )
}

/// Whether `promtool` is on the machine, which judges what is meant for Prometheus. If not, says that the
/// test is skipped.
///
/// # Panics
///
/// If it is not, and the environment has `CI=true`.
#[must_use]
pub fn promtool() -> bool {
    there(
        Path::new("/usr/bin/promtool").exists(),
        "promtool is missing: apt-get install prometheus, or run `cargo xtask test` as root on Debian",
    )
}

/// The Python with the packages that tests use, which `cargo xtask test` makes. If there is none,
/// says that the test is skipped.
///
/// It is what `BLOODBANK_PYTHON` names, else the one in the target folder.
///
/// # Panics
///
/// If there is none, and the environment has `CI=true`.
#[must_use]
pub fn python() -> Option<PathBuf> {
    let named = env::var_os("BLOODBANK_PYTHON").map(PathBuf::from);
    let python = named.unwrap_or_else(|| {
        let workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        let target = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
        Path::new(workspace).join(target).join("python/bin/python")
    });
    there(python.exists(), "Python with our packages is missing: run `cargo xtask test`")
        .then_some(python)
}

fn there(is_there: bool, otherwise: &str) -> bool {
    if !is_there {
        assert!(env::var("CI").as_deref() != Ok("true"), "{otherwise}");
        eprintln!("skipped: {otherwise}");
    }
    is_there
}
