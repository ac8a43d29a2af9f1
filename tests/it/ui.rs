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

/// What is said about `src/main.rs`. Sections that point into other crates, and lists of what
/// else there is, change with every schema.
fn normal(said: &str) -> String {
    let mut kept = Vec::new();
    let (mut elsewhere, mut list) = (false, false);
    for line in said.lines() {
        if !line.starts_with([' ', '.']) && !line.starts_with(|c: char| c.is_ascii_digit()) {
            elsewhere = line.starts_with("note:") || line.starts_with("help:");
        }
        let is_note = line.trim_start().starts_with("= ");
        let foreign = line.trim_start().starts_with(":::");
        let starts_list = foreign || line.contains("the following other types");
        list = starts_list || (list && !is_note && !line.is_empty());
        if (is_note || !elsewhere) && !list {
            kept.push(line.trim_start_matches(' '));
        }
    }
    kept.retain(|line| {
        !line.starts_with("For more information") && !line.starts_with("Some errors have")
    });
    kept.join("\n") + "\n"
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
    an_encoded_message_is_not_put_together
    an_answer_is_what_the_schema_names
    an_event_is_not_sent
    an_unvalidated_envelope_reaches_no_transport
}
