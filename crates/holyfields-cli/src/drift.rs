//! The report of `--check`: for each stale file what is wrong and what to do.

use std::io;
use std::path::Path;

use holyfields::render::{Colour, printable};
use holyfields_build::sync::{Drift, State};

use crate::console::Stream;

/// `folder` is what the paths in `drift` are below; `fix` the command that mends them.
pub(crate) fn show(
    drift: &Drift,
    folder: &Path,
    fix: &str,
    stream: &mut Stream<'_>,
) -> io::Result<()> {
    let paint = Paint(stream.colour());
    for file in &drift.files {
        let (problem, diff) = match &file.state {
            State::Fresh => continue,
            State::Changed { diff } => ("is not what the schemas give", Some(diff)),
            State::Missing => ("is missing", None),
            State::Unexpected => ("is no longer generated from any schema", None),
        };
        let path = folder.join(&file.path);
        stream.line(&format!("{} {} {problem}", paint.red("problem:"), path.display()))?;
        for line in diff.into_iter().flat_map(|diff| diff.lines()) {
            let line = format!("    {}", paint.diff(&printable(line)));
            stream.line(line.trim_end())?;
        }
        stream.line(&format!("{} run `{fix}`\n", paint.green("fix:")))?;
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Paint(Colour);

impl Paint {
    fn red(self, text: &str) -> String {
        self.with("31", text)
    }

    fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    fn diff(self, line: &str) -> String {
        match line.as_bytes().first() {
            Some(b'-') => self.red(line),
            Some(b'+') => self.green(line),
            _ => line.to_owned(),
        }
    }

    fn with(self, colour: &str, text: &str) -> String {
        match self.0 {
            Colour::On => format!("\x1b[{colour}m{text}\x1b[0m"),
            Colour::Off => text.to_owned(),
        }
    }
}
