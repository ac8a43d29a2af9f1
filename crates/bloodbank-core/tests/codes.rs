//! The codes of errors, and the page that lists them.

use std::collections::BTreeSet;

use bloodbank_core::Code;
use expect_test::expect_file;

#[test]
fn the_page_of_errors_lists_every_code() {
    let mut page = String::from(
        "# Errors\n\n\
         Every error has a code, which its method `code()` gives. Messages are for people and may \
         change with any\nversion; a code keeps its word and its meaning. New ones may come. An error \
         that wraps another has the code of\nthat one.\n\n\
         This page is generated from the table in `crates/bloodbank-core/src/code.rs`, by \
         `UPDATE_EXPECT=1 cargo test -p\nbloodbank-core --test codes`.\n\n\
         | code | meaning | what to do |\n|---|---|---|\n",
    );
    for code in Code::ALL {
        page.push_str(&format!("| `{code}` | {} | {} |\n", code.meaning(), code.remedy()));
    }
    expect_file!["../../../docs/errors.md"].assert_eq(&page);
}

#[test]
fn the_words_are_distinct_and_all_of_one_form() {
    let words: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(words.len(), Code::ALL.len());
    for code in Code::ALL {
        let word = code.as_str();
        let is_word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
        assert!(word.split('-').all(is_word), "{word}");
        // The word is the variant's name, written otherwise.
        let variant: String = word.split('-').collect();
        assert_eq!(format!("{code:?}").to_lowercase(), variant);
        for sentence in [code.meaning(), code.remedy()] {
            assert!(sentence.ends_with('.') && !sentence.contains('\n'), "{word}: {sentence}");
            assert!(sentence.starts_with(char::is_uppercase), "{word}: {sentence}");
        }
    }
}

#[test]
fn a_code_is_shown_as_its_word() {
    assert_eq!(Code::PayloadRefused.to_string(), "payload-refused");
    assert_eq!(format!("{:<12}|", Code::NotJson), "not-json    |");
}
