//! The validator, set up exactly as it is at run time.
//!
//! `bloodbank-core` has the same lines in `contracts.rs`; the two must stay equal, or a schema
//! that passes here fails there.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use jsonschema::canonical::{self, CanonicalizationError, Satisfiability};
use jsonschema::{Draft, FancyRegex, PatternOptions, ValidationError, Validator};
use serde_json::Value;

/// Steps a `pattern` may go back before it counts as failed.
const BACKTRACK_LIMIT: usize = 100_000;

/// The validator of a document as [`Bundle::document`](holyfields::Bundle::document) makes it.
pub(crate) fn validator(document: &Value) -> Result<Validator, ValidationError<'static>> {
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .offline()
        .should_validate_formats(true)
        .should_ignore_unknown_formats(false)
        .with_pattern_options(patterns())
        .build(document)
}

/// Whether it is proven that a document accepts no value. What cannot be decided is not proven.
pub(crate) fn accepts_nothing(document: &Value) -> bool {
    let satisfiability = || -> Result<Satisfiability, CanonicalizationError> {
        let options = canonical::options()
            .with_draft(Draft::Draft202012)
            .offline()
            .should_validate_formats(true)
            .with_pattern_options(patterns());
        Ok(options.canonicalize(document)?.satisfiability())
    };
    // The canonical form is young; should it panic, the verdict is "unknown" like any other.
    matches!(quietly(satisfiability), Some(Ok(Satisfiability::No)))
}

fn patterns() -> PatternOptions<FancyRegex> {
    PatternOptions::fancy_regex().backtrack_limit(BACKTRACK_LIMIT)
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// What `run` gives, or nothing if it panics; the panic is not printed.
fn quietly<T>(run: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                loud(info);
            }
        }));
    });
    QUIET.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(run));
    QUIET.set(false);
    result.ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_proven_and_what_is_not() {
        let numbers = json!({"type": "integer", "minimum": 5, "maximum": 3});
        assert!(accepts_nothing(&numbers));
        assert!(!accepts_nothing(&json!({"type": "integer", "minimum": 3})));
        assert!(!accepts_nothing(&json!({"$ref": "https://example.com/far.json"})));
    }

    #[test]
    fn a_panic_is_no_verdict() {
        assert_eq!(quietly(|| -> u8 { panic!("not shown") }), None);
        assert_eq!(quietly(|| 1), Some(1));
    }
}
