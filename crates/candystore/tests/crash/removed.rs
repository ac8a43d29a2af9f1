//! The file goes under a process that writes: from then on nothing is confirmed.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use candystore::StoreUrl;

use crate::kills::{self, Kills};
use crate::table::Killed;
use crate::writer::TASKS;

/// How long a process may take to end.
const LIMIT: Duration = Duration::from_secs(20);

/// Events in one call of append.
const BATCH: u64 = 8;

/// Deletes the file, or puts another one in its place, in turns.
pub(crate) fn run(name: &'static str, url: impl Fn(u32) -> String, kills: Kills) -> Killed {
    let mut row = Killed::new(name, "file");
    for n in 0..kills.times {
        let url = url(n);
        let Ok(StoreUrl::Sqlite(path)) = url.parse() else { continue };
        let mut writer = kills::start(&url, 0);
        row.time += kills::write_a_while(&mut writer, kills);
        match n % 2 {
            0 => delete(&path),
            _ => replace(&path),
        }
        let before = writer.count();
        row.kills += 1;
        let until = Instant::now() + LIMIT;
        while !writer.has_ended() && Instant::now() < until {
            sleep(Duration::from_millis(5));
        }
        if !writer.has_ended() {
            row.failures.push("it goes on without its file".to_owned());
        }
        let told = writer.kill();
        let said = |failure: &String| failure.contains("deleted or replaced");
        if !told.failures.iter().any(said) {
            row.failures.extend(told.failures.iter().cloned());
            row.failures.push("it does not say that the file is gone".to_owned());
        }
        // What was confirmed in the same moment may not have been heard of yet.
        let after = (told.count() - before).saturating_sub(2 * TASKS as u64 * BATCH);
        row.faults.lost += after;
        row.told += told.count();
        row.confirmed += told.count();
        row.stored += told.count() - after;
    }
    row
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn delete(path: &Path) {
    for ending in ["", "-wal", "-shm"] {
        // SQLite may have taken it away by itself.
        let _ = fs::remove_file(beside(path, ending));
    }
}

/// As a backup is restored.
fn replace(path: &Path) {
    let other = beside(path, ".other");
    fs::write(&other, "").unwrap();
    fs::rename(other, path).unwrap();
}
