//! `token`: who may do what on the HTTP service.

mod file;
mod make;

use std::io;

use bloodbank_access::{Keys, Rights, Token as Kept, TokenFile};
use clap::Subcommand;

pub(crate) use self::file::place;
use self::make::Make;
use crate::bus::block_on;
use crate::contracts::Source;
use crate::table::{Table, say};
use crate::trail::Trail;
use crate::when;

#[derive(Subcommand)]
pub(crate) enum Token {
    /// Make a token, and print it, this once. A service that runs sees it at the next request.
    New(Make),
    /// List the tokens: names and rights. Nobody can list the tokens themselves.
    Ls {
        /// As JSON, one a line.
        #[arg(long)]
        json: bool,
    },
    /// Take a token out of force. A service that runs sees it at the next request.
    Revoke {
        /// Its name.
        name: String,
    },
}

impl Token {
    pub(crate) fn run(&self, source: &Source) -> anyhow::Result<u8> {
        let file = TokenFile::at(place()?);
        match self {
            Token::New(make) => make.run(&file, source),
            Token::Ls { json } => ls(&file, *json),
            Token::Revoke { name } => revoke(&file, name),
        }
    }
}

fn ls(file: &TokenFile, json: bool) -> anyhow::Result<u8> {
    let tokens = file.tokens()?;
    if json {
        tokens.iter().try_for_each(|token| say(as_json(token)))?;
        return Ok(0);
    }
    if tokens.is_empty() {
        let file = file.path().display();
        eprintln!("no tokens in {file}; without that file only this machine is let in");
        return Ok(0);
    }
    let mut table = Table::new(["name", "made", "rights"]);
    for token in &tokens {
        table.row([&token.name, &when::show(token.created), &rights(&token.rights)]);
    }
    table.print(&mut io::stdout().lock())?;
    Ok(0)
}

fn revoke(file: &TokenFile, name: &str) -> anyhow::Result<u8> {
    file.revoke(name)?;
    say(format_args!("revoked  {name}"))?;
    if file.tokens()?.is_empty() {
        eprintln!(
            "note: that was the last token, and nobody gets in without one; to let in everybody on this \
             machine, delete {} and start the service anew",
            file.path().display()
        );
    }
    audited("token.revoke", name, String::new())
}

fn audited(action: &'static str, name: &str, detail: String) -> anyhow::Result<u8> {
    block_on(async {
        Trail::where_there_is_a_store().await.done(action, name, detail).await;
        Ok(0)
    })
}

fn as_json(token: &Kept) -> serde_json::Value {
    serde_json::json!({ "name": token.name, "created": token.created, "rights": token.rights })
}

/// Rights as people read them: `read, publish theboard.#`.
fn rights(rights: &Rights) -> String {
    let mut words = Vec::new();
    match &rights.keys {
        Keys::Service(service) => words.push(format!("as service {service}")),
        Keys::Patterns { publish, send } => {
            words.extend(publish.iter().map(|pattern| format!("publish {pattern}")));
            words.extend(send.iter().map(|pattern| format!("send {pattern}")));
        }
    }
    let flags =
        [("read", rights.read), ("operate", rights.operate), ("sensitive", rights.sensitive)];
    words.extend(flags.iter().filter(|(_, has)| *has).map(|(word, _)| (*word).to_owned()));
    words.join(", ")
}
