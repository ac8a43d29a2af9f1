//! Where commands write to.

use std::env;
use std::io::{self, IsTerminal, Write};

use holyfields::render::Colour;

/// Standard output and standard error, or what a test puts in their place.
pub struct Console<'a> {
    /// What a command is asked for.
    pub out: Stream<'a>,
    /// What it has to say beside.
    pub err: Stream<'a>,
}

/// One of the two, with or without colours.
pub struct Stream<'a> {
    writer: Box<dyn Write + 'a>,
    colour: Colour,
}

impl Console<'static> {
    /// That of the process: coloured on a terminal, unless `NO_COLOR` is set.
    pub fn standard() -> Self {
        let colour = |is_terminal| match is_terminal && !no_colour() {
            true => Colour::On,
            false => Colour::Off,
        };
        let (out, err) = (io::stdout(), io::stderr());
        Console {
            out: Stream { colour: colour(out.is_terminal()), writer: Box::new(out) },
            err: Stream { colour: colour(err.is_terminal()), writer: Box::new(err) },
        }
    }
}

impl<'a> Console<'a> {
    /// One without colours that writes to these two.
    pub fn plain(out: impl Write + 'a, err: impl Write + 'a) -> Self {
        Console {
            out: Stream { writer: Box::new(out), colour: Colour::Off },
            err: Stream { writer: Box::new(err), colour: Colour::Off },
        }
    }
}

impl Stream<'_> {
    /// Whether it shows colours.
    pub fn colour(&self) -> Colour {
        self.colour
    }

    /// Writes a text and ends the line.
    ///
    /// # Errors
    ///
    /// Those of the system. That nobody reads on (`… | head`) is none.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        match writeln!(self.writer, "{text}") {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result,
        }
    }
}

/// See <https://no-color.org>.
fn no_colour() -> bool {
    env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}
