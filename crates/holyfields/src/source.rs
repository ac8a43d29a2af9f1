//! The texts that findings point into, and where in them a JSON pointer lies.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use crate::pointer;

/// The texts of all files read, by the path that findings name.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    texts: BTreeMap<String, String>,
}

/// Which half of an object's member a place means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The name; the value where the pointer leads to an array item or the root.
    Key,
    /// The value.
    Value,
}

/// A line and a column, both counted from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineColumn {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

impl Sources {
    /// Adds a text, or replaces it.
    pub fn insert(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.texts.insert(path.into(), text.into());
    }

    /// The text of a file that was read.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    /// The bytes that a pointer leads to in a file of valid JSON.
    pub fn locate(&self, path: &str, at: &str, part: Part) -> Option<Range<usize>> {
        locate(self.text(path)?, at, part)
    }

    /// Line and column of a byte offset; the start for a file that was not read.
    pub fn line_column(&self, path: &str, offset: usize) -> LineColumn {
        let text = self.text(path).unwrap_or_default();
        let mut end = offset.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let before = &text[..end];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        LineColumn {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

/// What serde_json says of a text that is not JSON, without the place, which
/// [`line`](serde_json::Error::line) and [`column`](serde_json::Error::column) give.
pub fn json_problem(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

/// The byte offset of a line and a column, as serde_json counts them: columns in bytes, from 1, and
/// 0 for the line break before the line.
pub(crate) fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let line_start: usize =
        text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let mut offset = (line_start + column).saturating_sub(1).min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// A name that stands twice in one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DuplicateName {
    pub(crate) pointer: String,
    pub(crate) first: Range<usize>,
    pub(crate) second: Range<usize>,
}

/// All names that stand twice in one object. The text must be valid JSON.
pub(crate) fn duplicate_names(text: &str) -> Vec<DuplicateName> {
    let mut found = Vec::new();
    Scanner { text, at: 0 }.collect_duplicates("", &mut found);
    found
}

/// The bytes that a pointer leads to. The text must be valid JSON.
pub(crate) fn locate(text: &str, at: &str, part: Part) -> Option<Range<usize>> {
    let mut scanner = Scanner { text, at: 0 };
    let mut name = None;
    for word in at.split('/').skip(1) {
        name = scanner.enter(&pointer::unescape(word))?;
    }
    match (part, name) {
        (Part::Key, Some(name)) => Some(name),
        _ => Some(scanner.value()),
    }
}

/// One member of an object: its name, and where in the text its key and its value are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) key: Range<usize>,
    pub(crate) value: Range<usize>,
}

/// The members of the object that a pointer leads to; none if it is no object.
pub(crate) fn members(text: &str, at: &str) -> Option<Vec<Member>> {
    let mut scanner = Scanner { text, at: locate(text, at, Part::Value)?.start };
    if scanner.peek()? != b'{' {
        return None;
    }
    scanner.at += 1;
    let mut members = Vec::new();
    while scanner.peek().is_some_and(|byte| byte != b'}') {
        let key = scanner.value();
        scanner.expect_colon();
        let value = scanner.value();
        members.push(Member { name: unquote(&text[key.clone()]), key, value });
        scanner.skip_comma();
    }
    Some(members)
}

/// Walks over JSON that is known to be valid.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl Scanner<'_> {
    /// Moves to the start of one member or item of the value here.
    ///
    /// Gives the range of the member's name, or `Some(None)` for an item.
    fn enter(&mut self, word: &str) -> Option<Option<Range<usize>>> {
        match self.peek()? {
            b'{' => {
                self.at += 1;
                while self.peek()? != b'}' {
                    let name = self.value();
                    self.expect_colon();
                    if unquote(&self.text[name.clone()]) == word {
                        self.peek();
                        return Some(Some(name));
                    }
                    self.value();
                    self.skip_comma();
                }
                None
            }
            b'[' => {
                let mut left: usize = word.parse().ok()?;
                self.at += 1;
                while self.peek()? != b']' {
                    if left == 0 {
                        return Some(None);
                    }
                    left -= 1;
                    self.value();
                    self.skip_comma();
                }
                None
            }
            _ => None,
        }
    }

    fn collect_duplicates(&mut self, at: &str, found: &mut Vec<DuplicateName>) {
        match self.peek() {
            Some(b'{') => {
                self.at += 1;
                let mut seen: HashMap<String, Range<usize>> = HashMap::new();
                while self.peek().is_some_and(|byte| byte != b'}') {
                    let range = self.value();
                    self.expect_colon();
                    let name = unquote(&self.text[range.clone()]);
                    let pointer = pointer::join(at, &name);
                    self.collect_duplicates(&pointer, found);
                    self.skip_comma();
                    if let Some(first) = seen.insert(name, range.clone()) {
                        found.push(DuplicateName { pointer, first, second: range });
                    }
                }
                self.at += 1;
            }
            Some(b'[') => {
                self.at += 1;
                let mut index = 0;
                while self.peek().is_some_and(|byte| byte != b']') {
                    self.collect_duplicates(&format!("{at}/{index}"), found);
                    self.skip_comma();
                    index += 1;
                }
                self.at += 1;
            }
            _ => {
                self.value();
            }
        }
    }

    /// The range of the value here, and moves behind it.
    fn value(&mut self) -> Range<usize> {
        let bytes = self.text.as_bytes();
        let Some(first) = self.peek() else {
            return self.at..self.at;
        };
        let start = self.at;
        let mut depth = 0_usize;
        if first == b'"' {
            self.skip_string();
        } else if first == b'{' || first == b'[' {
            while let Some(&byte) = bytes.get(self.at) {
                match byte {
                    b'"' => {
                        self.skip_string();
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                self.at += 1;
                if depth == 0 {
                    break;
                }
            }
        } else {
            let is_end = |byte: &u8| b",]} \t\r\n".contains(byte);
            while bytes.get(self.at).is_some_and(|byte| !is_end(byte)) {
                self.at += 1;
            }
        }
        start..self.at
    }

    fn skip_string(&mut self) {
        let bytes = self.text.as_bytes();
        self.at += 1;
        while let Some(&byte) = bytes.get(self.at) {
            match byte {
                b'\\' => self.at += 2,
                b'"' => break,
                _ => self.at += 1,
            }
        }
        self.at = (self.at + 1).min(bytes.len());
    }

    /// The next byte that is no white space; the scanner then stands on it.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn expect_colon(&mut self) {
        if self.peek() == Some(b':') {
            self.at += 1;
        }
    }

    fn skip_comma(&mut self) {
        if self.peek() == Some(b',') {
            self.at += 1;
        }
    }
}

fn unquote(quoted: &str) -> String {
    serde_json::from_str(quoted).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{ "a": [1, {"b/c": "x\"]"}],
  "ä": true }"#;

    fn at(pointer: &str, part: Part) -> &str {
        &TEXT[locate(TEXT, pointer, part).unwrap()]
    }

    #[test]
    fn a_pointer_leads_to_the_name_or_the_value() {
        assert_eq!(at("/a", Part::Key), r#""a""#);
        assert_eq!(at("/a/0", Part::Value), "1");
        assert_eq!(at("/a/1/b~1c", Part::Value), r#""x\"]""#);
        assert_eq!(at("/ä", Part::Value), "true");
        assert_eq!(at("", Part::Value), TEXT);
        assert_eq!(locate(TEXT, "/a/2", Part::Value), None);
    }

    #[test]
    fn columns_count_characters() {
        let mut sources = Sources::default();
        sources.insert("f", "{\n  \"ä\": tru }");
        let offset = offset_of(sources.text("f").unwrap(), 2, 9);
        assert_eq!(sources.line_column("f", offset), LineColumn { line: 2, column: 8 });
    }

    #[test]
    fn a_name_that_stands_twice_is_found_at_any_depth() {
        let found = duplicate_names(r#"{"a": {"b": 1, "c": [{"b": 1, "b": 2}], "b": 2}}"#);
        let pointers: Vec<_> = found.iter().map(|d| d.pointer.as_str()).collect();
        assert_eq!(pointers, ["/a/c/0/b", "/a/b"]);
    }
}
