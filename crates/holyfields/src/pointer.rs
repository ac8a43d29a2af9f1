//! JSON Pointer (RFC 6901) text: escaping, growing one word at a time, and its form in a URI.

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

/// A pointer as a URI fragment (RFC 6901, section 6), without the `#`.
pub fn to_fragment(pointer: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@?".contains(&byte);
    let mut fragment = String::with_capacity(pointer.len());
    for byte in pointer.bytes() {
        match plain(byte) {
            true => fragment.push(char::from(byte)),
            false => fragment.push_str(&format!("%{byte:02X}")),
        }
    }
    fragment
}

/// The pointer in a URI fragment: percent-encoded bytes decoded.
pub fn from_fragment(fragment: &str) -> String {
    let bytes = fragment.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = fragment.get(at + 1..at + 3).filter(|hex| !hex.starts_with('+'));
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte.filter(|_| bytes[at] == b'%') {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fragment_gives_the_pointer_back() {
        for pointer in ["", "/a/b~1c", "/a b", "/100%", "/ä/{x}^", "/%41"] {
            let fragment = to_fragment(pointer);
            assert!(fragment.is_ascii() && !fragment.contains(' '));
            assert_eq!(from_fragment(&fragment), pointer);
        }
        assert_eq!(from_fragment("/%+5%4"), "/%+5%4");
    }
}
