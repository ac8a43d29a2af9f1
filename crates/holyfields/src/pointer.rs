//! JSON Pointer (RFC 6901) text: escaping, and growing one word at a time.

use std::borrow::Cow;

/// One word, escaped for use in a pointer.
pub fn escape(word: &str) -> Cow<'_, str> {
    if word.contains(['~', '/']) {
        Cow::Owned(word.replace('~', "~0").replace('/', "~1"))
    } else {
        Cow::Borrowed(word)
    }
}

/// One word of a pointer, as it stands in the document.
pub fn unescape(word: &str) -> Cow<'_, str> {
    if word.contains('~') {
        Cow::Owned(word.replace("~1", "/").replace("~0", "~"))
    } else {
        Cow::Borrowed(word)
    }
}

/// `base` with one more word.
pub fn join(base: &str, word: &str) -> String {
    format!("{base}/{}", escape(word))
}
