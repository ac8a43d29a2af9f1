//! `cargo xtask mutants`: is every line of the libraries guarded by a test?
//!
//! cargo-mutants changes one thing at a time and runs the tests of the crate it is in. A change that no
//! test notices has survived: it is killed by another test, or stands in `xtask/mutants.yaml` with the
//! reason why nothing can notice it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use clap::Args;
use serde::Deserialize;

/// The crates that are changed unless others are named. Their tests need no server.
const CRATES: [&str; 3] = ["bloodbank-core", "bloodbank-bus", "holyfields"];

/// Which survivors are known, and why they survive.
const KNOWN: &str = "xtask/mutants.yaml";

/// cargo-mutants writes its report into `mutants.out` in this folder.
const OUT: &str = "target";

/// A mutant that hangs is caught after this many seconds at the least.
const TIMEOUT: &str = "60";

#[derive(Args)]
pub(crate) struct Mutants {
    /// Only one part of them, as in `2/8`, counted from 0.
    #[arg(long, value_name = "K/N")]
    shard: Option<String>,
    /// Only this crate; may be repeated.
    #[arg(short, long = "package", value_name = "CRATE")]
    packages: Vec<String>,
    /// Only files that match; may be repeated.
    #[arg(short, long = "file", value_name = "GLOB")]
    files: Vec<String>,
    /// Only what this diff changes: a file, as `git diff` writes it.
    #[arg(long, value_name = "FILE")]
    in_diff: Option<String>,
    /// More arguments for `cargo mutants`, such as `--list` or `--in-place`.
    #[arg(last = true)]
    more: Vec<String>,
}

/// A survivor that is known.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
struct Known {
    /// As cargo-mutants says it, without line and column.
    mutant: String,
    reason: String,
}

/// Runs them, and prints the table. Exits 1 if one has survived for no known reason.
pub(crate) fn run(args: &Mutants) -> anyhow::Result<u8> {
    let known = known()?;
    install()?;
    let mut command = Command::new("cargo");
    command.args(["mutants", "--no-shuffle", "--output", OUT, "--minimum-test-timeout", TIMEOUT]);
    let packages: Vec<&str> = match &args.packages[..] {
        [] => CRATES.to_vec(),
        some => some.iter().map(String::as_str).collect(),
    };
    for package in packages {
        command.args(["--package", package]);
    }
    for file in &args.files {
        command.args(["--file", file]);
    }
    for (option, value) in [("--shard", &args.shard), ("--in-diff", &args.in_diff)] {
        if let Some(value) = value {
            command.args([option, value]);
        }
    }
    // An old report must not be taken for one of this run.
    let report = Path::new(OUT).join("mutants.out");
    let _ = fs::remove_dir_all(&report);
    let code = crate::exit_code(command.args(&args.more))?;
    if !report.join("outcomes.json").exists() {
        return Ok(code);
    }
    // 2: some survived; 3: some took too long. What else there is, is a failure of the run.
    ensure!(matches!(code, 0 | 2 | 3), "cargo mutants has failed");
    let table = Table::read(&report)?;
    print!("{}", table.text(&known));
    Ok(u8::from(table.unexplained(&known).next().is_some()))
}

fn known() -> anyhow::Result<Vec<Known>> {
    let text = fs::read_to_string(KNOWN).with_context(|| format!("{KNOWN} cannot be read"))?;
    serde_saphyr::from_str(&text).with_context(|| format!("{KNOWN} is not a list of survivors"))
}

/// Puts cargo-mutants there if it is missing.
fn install() -> anyhow::Result<()> {
    let mut version = Command::new("cargo");
    version.args(["mutants", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    if version.status().is_ok_and(|status| status.success()) {
        return Ok(());
    }
    eprintln!("== cargo install cargo-mutants, some minutes");
    let code = crate::exit_code(Command::new("cargo").args([
        "install",
        "cargo-mutants",
        "--locked",
        "--quiet",
    ]))?;
    ensure!(code == 0, "cargo-mutants cannot be installed");
    Ok(())
}

/// What became of the mutants of one file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    caught: usize,
    /// Caught, too: the tests did not end.
    hung: usize,
    /// Did not compile.
    unviable: usize,
    survived: usize,
}

/// The count that a list of mutants goes into.
type Column = fn(&mut Counts) -> &mut usize;

#[derive(Debug, Default)]
struct Table {
    files: BTreeMap<String, Counts>,
    /// With their places.
    survivors: Vec<String>,
}

impl Table {
    fn read(report: &Path) -> anyhow::Result<Table> {
        let read = |name: &str| {
            let path = report.join(name);
            fs::read_to_string(&path).with_context(|| format!("{} is missing", path.display()))
        };
        Ok(Table::of(
            &read("caught.txt")?,
            &read("timeout.txt")?,
            &read("unviable.txt")?,
            &read("missed.txt")?,
        ))
    }

    /// Of the lists that cargo-mutants writes, one mutant a line.
    fn of(caught: &str, hung: &str, unviable: &str, survived: &str) -> Table {
        let mut table = Table::default();
        let lists: [(&str, Column); 4] = [
            (caught, |counts| &mut counts.caught),
            (hung, |counts| &mut counts.hung),
            (unviable, |counts| &mut counts.unviable),
            (survived, |counts| &mut counts.survived),
        ];
        for (list, count) in lists {
            for line in list.lines() {
                let file = line.split(':').next().unwrap_or_default();
                *count(table.files.entry(file.to_owned()).or_default()) += 1;
            }
        }
        table.survivors = survived.lines().map(str::to_owned).collect();
        table
    }

    /// The survivors that nobody has named.
    fn unexplained<'t>(&'t self, known: &'t [Known]) -> impl Iterator<Item = &'t String> {
        self.survivors.iter().filter(|survivor| reason(survivor, known).is_none())
    }

    fn text(&self, known: &[Known]) -> String {
        let mut text = format!(
            "\n{:<52} {:>6} {:>6} {:>9} {:>8}\n",
            "file", "caught", "hung", "no build", "survived"
        );
        let mut sum = Counts::default();
        let mut line = |name: &str, counts: &Counts| {
            let Counts { caught, hung, unviable, survived } = counts;
            text += &format!("{name:<52} {caught:>6} {hung:>6} {unviable:>9} {survived:>8}\n");
        };
        for (file, counts) in &self.files {
            line(file, counts);
            sum.caught += counts.caught;
            sum.hung += counts.hung;
            sum.unviable += counts.unviable;
            sum.survived += counts.survived;
        }
        line("together", &sum);
        for survivor in &self.survivors {
            let why = reason(survivor, known).unwrap_or("NOT EXPLAINED: kill it, or name it");
            text += &format!("\nsurvived {survivor}\n         {why}\n");
        }
        text
    }
}

/// Why a mutant survives, if that is known.
fn reason<'k>(survivor: &str, known: &'k [Known]) -> Option<&'k str> {
    let name = without_place(survivor);
    known.iter().find(|known| known.mutant == name).map(|known| known.reason.as_str())
}

/// `src/a.rs:7:5: replace f` → `src/a.rs: replace f`: lines move.
fn without_place(mutant: &str) -> String {
    let mut parts = mutant.splitn(4, ':');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(file), Some(_), Some(_), Some(what)) => format!("{file}:{what}"),
        _ => mutant.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_survivor_without_a_reason_is_told_from_one_with_a_reason() {
        let table = Table::of(
            "src/a.rs:1:1: replace f -> bool with true\nsrc/a.rs:1:1: replace f -> bool with false\n",
            "src/b.rs:3:9: replace next with ()\n",
            "src/b.rs:9:9: replace g -> T with Default::default()\n",
            "src/b.rs:5:5: replace < with <= in h\nsrc/b.rs:7:5: replace a::b with ()\n",
        );
        let of = |caught, hung, unviable, survived| Counts { caught, hung, unviable, survived };
        assert_eq!(table.files["src/a.rs"], of(2, 0, 0, 0));
        assert_eq!(table.files["src/b.rs"], of(0, 1, 1, 2));
        let mutant = "src/b.rs: replace < with <= in h".to_owned();
        let known = [Known { mutant, reason: "both are right".into() }];
        let unexplained: Vec<&String> = table.unexplained(&known).collect();
        assert_eq!(unexplained, ["src/b.rs:7:5: replace a::b with ()"]);
        let text = table.text(&known);
        assert!(text.contains("in h\n         both are right\n"), "{text}");
        assert!(text.contains("with ()\n         NOT EXPLAINED"), "{text}");
        assert!(
            text.lines().any(|line| line.split_whitespace().eq(["together", "2", "1", "1", "2"]))
        );
    }

    #[test]
    fn every_known_survivor_is_named_once_without_its_place_and_with_a_reason() {
        std::env::set_current_dir(crate::root()).unwrap();
        let known = known().unwrap();
        for (index, Known { mutant, reason }) in known.iter().enumerate() {
            let file = mutant.split(": ").next().unwrap();
            assert!(Path::new(file).is_file(), "{mutant}");
            assert!(!reason.is_empty(), "{mutant}");
            assert!(known[..index].iter().all(|other| other.mutant != *mutant), "{mutant}");
        }
    }
}
