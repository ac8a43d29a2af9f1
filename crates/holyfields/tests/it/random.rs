//! Whatever lies in a schema folder: an answer, never a panic.

use holyfields::render::{Colour, render};
use proptest::prelude::*;

use crate::folder::Folder;
use crate::schemas::schemas;

/// Reads, renders and bundles.
fn survives(folder: &Folder) {
    let (catalog, findings) = folder.read();
    for finding in &findings {
        render(finding, &catalog.sources, Colour::Off);
        finding.located(&catalog.sources);
    }
    catalog.bundle();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn on_random_schemas(
        event in schemas(),
        library in schemas(),
        old in schemas(),
        is_old in any::<bool>(),
    ) {
        let mut old = old;
        if let Some(object) = old.as_object_mut().filter(|_| is_old) {
            object.insert("$schema".into(), "http://json-schema.org/draft-07/schema#".into());
        }
        survives(&Folder::new(&[
            ("a/x.y.v1.json", &event.to_string()),
            ("a/b.json", &library.to_string()),
            ("a/x.z.v1.json", &old.to_string()),
        ]));
    }

    #[test]
    fn on_random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let folder = Folder::new(&[]);
        folder.write("a/x.y.v1.json", &bytes);
        survives(&folder);
    }

    #[test]
    fn on_random_text(text in "[\\[\\]{}\",:a\\\\ \n0-9äé-]{0,60}") {
        survives(&Folder::new(&[("a/x.y.v1.json", &text)]));
    }

    #[test]
    fn on_random_registries(text in "(version: '1'\n)?services:\n  [a*#]{1,3}:\n    produces: .{0,30}") {
        let folder = Folder::new(&[("a/x.y.v1.json", "{\"type\": \"object\"}")]);
        let path = folder.path("registry.yaml");
        std::fs::write(&path, &text).unwrap();
        let (catalog, findings) = holyfields::read(folder.root(), Some(&path));
        for finding in &findings {
            render(finding, &catalog.sources, Colour::Off);
        }
    }
}
