//! `replay --list`: the record of replays.

use std::io;

use bloodbank::candystore::{Filter, ReplayRun};
use bloodbank::chrono::{DateTime, SecondsFormat, Utc};
use bloodbank::serde_json::{Value, json};

use crate::figures::count;
use crate::table::{Table, say};
use crate::when;

/// One a row.
pub(super) fn table(runs: &[ReplayRun]) -> io::Result<()> {
    let mut table = Table::new([
        "started", "id", "by", "state", "target", "sent", "skipped", "retries", "position",
        "events", "error",
    ]);
    for run in runs {
        table.row([
            &when::show(run.started),
            &run.id.to_string(),
            &run.options.author,
            run.state.as_str(),
            &run.options.target.to_string(),
            &format!("{} of {}", count(run.sent), count(run.planned)),
            &count(run.skipped),
            &count(run.retries),
            &run.reached.to_string(),
            &options(&run.filter),
            run.error.as_deref().unwrap_or_default(),
        ]);
    }
    table.print(&mut io::stdout().lock())
}

/// One a line.
pub(super) fn lines(runs: &[ReplayRun]) -> io::Result<()> {
    runs.iter().try_for_each(|run| say(as_json(run)))
}

fn as_json(run: &ReplayRun) -> Value {
    json!({
        "id": run.id,
        "by": run.options.author,
        "state": run.state.as_str(),
        "started": run.started,
        "updated": run.updated,
        "finished": run.finished,
        "target": run.options.target.to_string(),
        "pace": run.options.pace.to_string(),
        "skip_invalid": run.options.skip_invalid,
        "filter": run.filter.to_json(),
        "planned": run.planned,
        "first": run.first,
        "last": run.last,
        "reached": run.reached,
        "sent": run.sent,
        "skipped": run.skipped,
        "retries": run.retries,
        "error": run.error,
    })
}

/// A filter as one would type it. What `replay` has no option for, and only a program can ask for, is
/// shown as `store list` takes it. That they are events and no commands goes without saying.
fn options(filter: &Filter) -> String {
    let mut words = Vec::new();
    let mut add = |name: &str, value: &str| words.push(format!("--{name} {}", quoted(value)));
    filter.keys.iter().for_each(|key| add("key", key.as_str()));
    filter.since.iter().for_each(|since| add("from", &time(*since)));
    filter.first.iter().for_each(|first| add("from", &first.to_string()));
    filter.until.iter().for_each(|until| add("to", &time(*until)));
    filter.last.iter().for_each(|last| add("to", &last.to_string()));
    filter.source.iter().for_each(|source| add("source", source));
    filter.correlation.iter().for_each(|id| add("correlation", &id.to_string()));
    filter.session.iter().for_each(|session| add("session", session));
    filter.standing.iter().for_each(|standing| add("standing", standing.as_str()));
    filter.fields.iter().for_each(|field| add("where", &field.to_string()));
    words.join(" ")
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// As shells take it for one word.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-:/@+".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use bloodbank::Kind;

    use super::*;

    #[test]
    fn a_filter_is_shown_as_one_would_type_it() {
        let filter = Filter::new()
            .with_kind(Kind::Event)
            .with_key("theboard.#".parse().unwrap())
            .with_key("llm.prompt".parse().unwrap())
            .with_since("2026-01-31T12:00:00Z".parse().unwrap())
            .with_last(5)
            .with_source("ada's board")
            .with_session("s-1")
            .with_field("/topic=\"Budget\"".parse().unwrap());
        assert_eq!(
            options(&filter),
            r#"--key 'theboard.#' --key llm.prompt --from 2026-01-31T12:00:00Z --to 5 "#.to_owned()
                + r#"--source 'ada'\''s board' --session s-1 --where '/topic="Budget"'"#
        );
        assert_eq!(options(&Filter::new()), "");
    }
}
