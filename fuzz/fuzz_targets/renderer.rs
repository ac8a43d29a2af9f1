//! Any text as a schema file: where there is no error, there is code, and it is Rust.
#![no_main]

use holyfields::finding;
use holyfields_codegen::Options;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let contract = ("theboard/meeting.created.v1.json", text);
    let (catalog, findings) = holyfields::read_texts([contract]);
    if !finding::has_errors(&findings) {
        if let Err(error) = holyfields_codegen::generate(&catalog, &Options::default()) {
            panic!("{error}");
        }
    }
});
