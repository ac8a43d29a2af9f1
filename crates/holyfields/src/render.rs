//! Findings as text: the same for build scripts, `cargo xtask` and the command line.

use annotate_snippets::{AnnotationKind, Group, Level as Severity, Origin, Renderer, Snippet};

use crate::finding::{Finding, Place};
use crate::rules::Level;
use crate::source::Sources;

/// Whether text goes to a terminal that shows colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// With escape sequences.
    On,
    /// Plain.
    Off,
}

/// One finding: sentence, place, source line with a caret, help. Ends without a newline.
pub fn render(finding: &Finding, sources: &Sources, colour: Colour) -> String {
    let severity = match finding.level {
        Level::Error => Severity::ERROR,
        Level::Warning => Severity::WARNING,
        Level::Note => Severity::NOTE,
    };
    let message = printable(&finding.message);
    let labels: Vec<String> = finding.places.iter().map(label).collect();
    let title = severity.primary_title(message.as_str()).id(finding.rule.id);
    let mut report = Group::with_title(title);
    let places: Vec<(&Place, &String)> = finding.places.iter().zip(&labels).collect();
    for together in places.chunk_by(|(one, _), (other, _)| one.file == other.file) {
        let file = together[0].0.file.as_str();
        let text = sources.text(file).unwrap_or_default();
        let mut snippet = Snippet::source(text).path(file);
        let mut is_empty = true;
        for (place, label) in together {
            let Some(range) = place.range(sources) else { continue };
            let primary = std::ptr::eq(*place, &finding.places[0]);
            let kind = if primary { AnnotationKind::Primary } else { AnnotationKind::Context };
            let span = kind.span(first_line(text, range));
            snippet = snippet.annotation(span.label(label.as_str()));
            is_empty = false;
        }
        report = match is_empty {
            true => report.element(Origin::path(file)),
            false => report.element(snippet),
        };
    }
    let help = finding.help.as_deref().map(printable);
    if let Some(help) = &help {
        report = report.element(Severity::HELP.message(help.as_str()));
    }
    let renderer = match colour {
        Colour::On => Renderer::styled(),
        Colour::Off => Renderer::plain(),
    };
    renderer.render(&[report])
}

/// `2 errors, 1 warning`; nothing for none.
pub fn summary(findings: &[Finding]) -> String {
    let counts = [Level::Error, Level::Warning, Level::Note].map(|level| {
        let count = findings.iter().filter(|finding| finding.level == level).count();
        match count {
            0 => None,
            1 => Some(format!("1 {level}")),
            _ => Some(format!("{count} {level}s")),
        }
    });
    counts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The text with control characters escaped, so that data cannot steer a terminal.
pub fn printable(text: &str) -> String {
    let harmless = |c: char| !c.is_control() || c == '\n';
    text.chars()
        .map(|c| if harmless(c) { c.to_string() } else { c.escape_default().to_string() })
        .collect()
}

/// What a place has to do with the finding, and its pointer.
fn label(place: &Place) -> String {
    let at = if place.pointer.is_empty() { String::new() } else { format!("({})", place.pointer) };
    let parts = [place.label.as_str(), at.as_str()];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    printable(&parts.join(" "))
}

/// Underlining a whole object over many lines hides more than it shows.
fn first_line(text: &str, range: std::ops::Range<usize>) -> std::ops::Range<usize> {
    let length = text[range.clone()].find('\n').unwrap_or(range.len());
    range.start..range.start + length
}
