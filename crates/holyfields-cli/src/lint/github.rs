//! Findings as workflow commands of GitHub Actions.
//!
//! See <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>.

use std::path::Path;

use holyfields::finding::Finding;
use holyfields::rules::Level;
use holyfields::source::Sources;

use super::real_path;

/// `::error file=schemas/a.json,line=3,col=5,title=HF040::what is wrong%0Ahelp: what to do`.
pub(super) fn command(finding: &Finding, sources: &Sources, schemas: &Path) -> String {
    let word = match finding.level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "notice",
    };
    let place = &finding.places[0];
    let at = place.line_column(sources);
    let help = finding.help.as_ref().map(|help| format!("\nhelp: {help}")).unwrap_or_default();
    format!(
        "::{word} file={},line={},col={},title={}::{}",
        property(&real_path(&place.file, schemas, sources)),
        at.line,
        at.column,
        finding.rule.id,
        data(&format!("{}{help}", finding.message)),
    )
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use holyfields::finding::Place;
    use holyfields::rules;

    use super::*;

    #[test]
    fn what_would_end_the_command_is_escaped() {
        let place = Place::file("a,b.json");
        let finding =
            Finding::new(rules::SYNTAX, "100 %\nof it", place).help("see: there, or here");
        assert_eq!(
            command(&finding, &Sources::default(), Path::new("schemas")),
            "::error file=schemas/a%2Cb.json,line=1,col=1,title=HF002::100 %25%0Aof it%0Ahelp: see: \
             there, or here"
        );
    }
}
