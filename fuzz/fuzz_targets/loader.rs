//! Any text as a schema file: read, every finding shown, the bundle made. Nothing may panic.
#![no_main]

use holyfields::finding;
use holyfields::render::{self, Colour};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let contract = ("theboard/meeting.created.v1.json", text);
    let heir = ("theboard/meeting.closed.v1.json", r#"{"$ref": "meeting.created.v1.json"}"#);
    let (catalog, findings) = holyfields::read_texts([contract, heir]);
    for finding in &findings {
        let _ = render::render(finding, &catalog.sources, Colour::Off);
        let _ = finding.located(&catalog.sources);
    }
    if !finding::has_errors(&findings) {
        let bundle = catalog.bundle();
        for contract in &bundle.contracts {
            let _ = bundle.document(contract);
        }
    }
});
