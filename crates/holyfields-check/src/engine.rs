//! Questions to the engine that must not end the lint.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use bloodbank_core::schema;
use serde_json::Value;

/// Whether it is proven that a document accepts no value. A panic proves nothing.
pub(crate) fn accepts_nothing(document: &Value) -> bool {
    quietly(|| schema::accepts_nothing(document)) == Some(true)
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
