//! HF046: what a command answers, said where nobody reads it.

use std::collections::HashSet;

use super::View;
use crate::bundle::REPLY;
use crate::finding::{Finding, Place};
use crate::key::Kind;
use crate::{pointer, rules};

pub(super) fn check(view: &View<'_>, findings: &mut Vec<Finding>) {
    let of_kind = |kind: Kind| {
        let contracts = view.catalog.contracts.iter();
        contracts.filter(move |c| c.identity.kind == kind).map(|c| c.file).collect::<HashSet<_>>()
    };
    let (commands, events) = (of_kind(Kind::Command), of_kind(Kind::Event));
    view.each(|file, at, object| {
        let is_read = at.pointer.is_empty() && commands.contains(&at.file);
        if !object.contains_key(REPLY) || is_read {
            return;
        }
        let (message, help) = match at.pointer.is_empty() {
            true if events.contains(&at.file) => (
                format!("`{REPLY}` says what an event answers, and events are not answered"),
                "remove it, or make the contract a command: `\"x-bloodbank-kind\": \"command\"`",
            ),
            _ => (
                format!("`{REPLY}` counts at the root of a command's schema only"),
                "move it to the root of the command that is answered with it",
            ),
        };
        let place = Place::key(&file.path, pointer::join(&at.pointer, REPLY));
        findings.push(Finding::new(rules::MISPLACED_REPLY, message, place).help(help));
    });
}
