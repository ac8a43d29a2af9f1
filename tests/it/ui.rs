//! `tests/ui`: code that must not compile, and what the compiler says to it.

use std::fs;

use expect_test::expect_file;

use crate::scratch::{Scratch, texts, workspace};

fn refuses(name: &str) -> String {
    let scratch = Scratch::new(&format!("ui-{}", name.replace('_', "-")));
    let source = workspace().join(format!("tests/ui/{name}.rs"));
    scratch.write("src/main.rs", &fs::read_to_string(source).unwrap());
    let output = scratch.cargo(&["check", "--quiet"]);
    let (_, said) = texts(&output);
    assert!(!output.status.success(), "`{name}` compiles");
    normal(&said)
}

/// Without what depends on the machine: places in other crates.
fn normal(said: &str) -> String {
    let root = workspace().display().to_string();
    let lines = said.lines().map(|line| line.replace(&root, "$ROOT"));
    let kept = lines.filter(|line| !line.starts_with("For more information"));
    kept.collect::<Vec<_>>().join("\n") + "\n"
}

macro_rules! ui {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                let said = refuses(stringify!($name));
                expect_file![concat!("../ui/", stringify!($name), ".stderr")].assert_eq(&said);
            }
        )*
    };
}

ui! {
    a_command_is_not_published
    a_service_publishes_only_what_the_registry_gives_it
    an_event_is_not_sent
    an_unvalidated_envelope_reaches_no_transport
}
