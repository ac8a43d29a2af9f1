//! What the tests need on the machine: RabbitMQ, Redis, PostgreSQL with a pooler before it, faketime,
//! promtool, and a Python with packages.
//!
//! As root on Debian it is put there; elsewhere what is missing is said, and the tests that need it
//! are skipped. With `CI=true` nothing may be missing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use anyhow::{Context, ensure};

/// Tells the tests which Python is ours.
pub(crate) const PYTHON: &str = "BLOODBANK_PYTHON";

/// What our Python has.
const PACKAGES: [&str; 3] = ["aio-pika==9.5.7", "pydantic==2.11.7", "cloudevents==2.2.0"];

/// Asked before a service is started after an installation; by this file the answer is no.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Where PostgreSQL looks, after its installation, for how to make a cluster of databases. By a file
/// of ours there, none is made: tests make their own.
const CLUSTERS: &str = "/etc/postgresql-common/createcluster.d/bloodbank.conf";

/// A package of Debian, and whether what we need of it is there.
type Need = (&'static str, fn() -> bool);

const NEEDS: [Need; 7] = [
    ("rabbitmq-server", || Path::new("/usr/lib/rabbitmq/bin/rabbitmq-server").exists()),
    ("redis-server", || Path::new("/usr/bin/redis-server").exists()),
    ("postgresql", || has_postgres(Path::new("/usr/lib/postgresql"))),
    ("pgbouncer", || Path::new("/usr/sbin/pgbouncer").exists()),
    ("faketime", || Path::new("/usr/bin/faketime").exists()),
    // For its `promtool`.
    ("prometheus", || Path::new("/usr/bin/promtool").exists()),
    ("python3-venv", || python().exists() || quiet("python3", &["-c", "import venv, ensurepip"])),
];

/// What makes requests in the benchmark of HTTP.
const LOAD: [Need; 3] = [
    ("wrk", || Path::new("/usr/bin/wrk").exists()),
    ("hey", || Path::new("/usr/bin/hey").exists()),
    ("curl", || Path::new("/usr/bin/curl").exists()),
];

/// What our Python has, and the service beside ours in the benchmark of HTTP.
const WITH_FASTAPI: [&str; 2] = ["fastapi==0.116.1", "uvicorn[standard]==0.35.0"];

/// Puts there what is missing. Fails if that does not work and the environment has `CI=true`.
pub(crate) fn run() -> anyhow::Result<()> {
    attempt([install(&NEEDS), make_python()])
}

/// The same, and what the benchmark of HTTP needs besides.
pub(crate) fn run_for_http() -> anyhow::Result<()> {
    run()?;
    attempt([install(&LOAD), add_packages("with_fastapi", &WITH_FASTAPI)])
}

fn attempt<const N: usize>(steps: [anyhow::Result<()>; N]) -> anyhow::Result<()> {
    for done in steps {
        match done {
            Err(error) if env::var("CI").as_deref() != Ok("true") => {
                eprintln!("warning: tests are skipped: {error:#}");
            }
            done => done?,
        }
    }
    Ok(())
}

/// The interpreter of our own Python, which may not be there.
pub(crate) fn python() -> PathBuf {
    folder().join("bin/python")
}

fn folder() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    crate::root().join(target).join("python")
}

/// Whether the folder has a PostgreSQL server, of whichever version.
fn has_postgres(versions: &Path) -> bool {
    let mut versions = fs::read_dir(versions).into_iter().flatten().flatten();
    versions.any(|version| version.path().join("bin/postgres").exists())
}

fn missing(needs: &[Need]) -> Vec<&'static str> {
    needs.iter().filter(|(_, there)| !there()).map(|(package, _)| *package).collect()
}

fn install(needs: &[Need]) -> anyhow::Result<()> {
    let packages = missing(needs);
    if packages.is_empty() {
        return Ok(());
    }
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    if is_root && quiet("apt-get", &["--version"]) {
        eprintln!("== apt-get install {}", packages.join(" "));
        let policy = (!Path::new(POLICY).exists()).then(NoServices::new).transpose()?;
        let clusters = NoClusters::new()?;
        // The list of packages may be as old as the machine's image.
        let _ = call("apt-get", &["update", "-qq"]);
        let mut args = vec!["install", "-qq", "-y", "--no-install-recommends"];
        args.extend(&packages);
        call("apt-get", &args)?;
        drop((policy, clusters));
    }
    let packages = missing(needs).join(" ");
    ensure!(packages.is_empty(), "missing: {packages}\nhelp: sudo apt-get install {packages}");
    Ok(())
}

/// Makes our Python, unless it is there with these very packages.
fn make_python() -> anyhow::Result<()> {
    if !has_packages("packages", &PACKAGES) {
        call("python3", &["-m", "venv", "--clear", &folder().to_string_lossy()])?;
    }
    add_packages("packages", &PACKAGES)
}

/// Installs packages into our Python, unless the file of that name says that it has these very ones.
fn add_packages(name: &str, packages: &[&str]) -> anyhow::Result<()> {
    if has_packages(name, packages) {
        return Ok(());
    }
    eprintln!("== a Python with {}", packages.join(" "));
    let mut args = vec!["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    args.extend(packages);
    call(&python().to_string_lossy(), &args)?;
    fs::write(marker(name), packages.join("\n"))
        .context("the marker of our Python cannot be written")
}

fn has_packages(name: &str, packages: &[&str]) -> bool {
    let made = fs::read_to_string(marker(name));
    made.is_ok_and(|made| made == packages.join("\n")) && python().exists()
}

fn marker(name: &str) -> PathBuf {
    folder().join(format!("{name}.txt"))
}

/// While it lasts, an installation starts no service.
struct NoServices;

impl NoServices {
    fn new() -> anyhow::Result<NoServices> {
        fs::write(POLICY, "#!/bin/sh\nexit 101\n")?;
        let policy = NoServices;
        call("chmod", &["755", POLICY])?;
        Ok(policy)
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        let _ = fs::remove_file(POLICY);
    }
}

/// While it lasts, an installation of PostgreSQL makes no cluster of databases.
struct NoClusters;

impl NoClusters {
    fn new() -> anyhow::Result<NoClusters> {
        let file = Path::new(CLUSTERS);
        fs::create_dir_all(file.parent().unwrap_or(file))?;
        fs::write(file, "create_main_cluster = false\n")?;
        Ok(NoClusters)
    }
}

impl Drop for NoClusters {
    fn drop(&mut self) {
        let _ = fs::remove_file(CLUSTERS);
    }
}

fn call(program: &str, args: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new(program);
    let command = command.args(args).env("DEBIAN_FRONTEND", "noninteractive");
    // What it says is for whoever looks, not the output of ours.
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    let status = status.with_context(|| format!("{program} does not start"))?;
    ensure!(status.success(), "{program} {} failed", args.join(" "));
    Ok(())
}

fn quiet(program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    let status = command.args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
