//! YAML as a tree in which every value and every name knows its place.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_saphyr::{DuplicateKeyPolicy, Options, Spanned};

/// A value, and the bytes that it begins with.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) range: Range<usize>,
    pub(crate) value: Value,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Flag(bool),
    Integer(i128),
    Number(f64),
    Text(String),
    List(Vec<Node>),
    /// In the order of the file. A name may stand twice.
    Map(Vec<(Node, Node)>),
}

/// Why a text is not YAML, and where.
pub(crate) struct Broken {
    pub(crate) problem: String,
    pub(crate) range: Range<usize>,
}

/// Reads one document.
pub(crate) fn read(text: &str) -> Result<Node, Broken> {
    // Repeated names come through, so that all of them can be shown. Names that hold numbers do
    // not; what is lost there is found when it is read again as strictly as YAML wants it.
    let root = read_with(text, DuplicateKeyPolicy::LastWins)?;
    if !root.has_repeated_names() {
        read_with(text, DuplicateKeyPolicy::Error)?;
    }
    Ok(root)
}

fn read_with(text: &str, duplicates: DuplicateKeyPolicy) -> Result<Node, Broken> {
    let mut options = Options::default();
    options.duplicate_keys = duplicates;
    options.strict_booleans = true;
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let problem = plain_words(&error.without_snippet().to_string());
        let range = error.location().map_or(0..0, |at| offset_of(text, at.line(), at.column()));
        match tab_after(text, range.start).filter(|_| problem.contains("tab")) {
            // The parser names the place at which it began to read what the tab is in.
            Some(tab) => Broken { problem: "a tab where YAML wants spaces".to_owned(), range: tab },
            None => Broken { problem, range },
        }
    })
}

/// The first tab from the line of an offset on.
fn tab_after(text: &str, offset: usize) -> Option<Range<usize>> {
    let line = text[..offset].rfind('\n').map_or(0, |end| end + 1);
    let tab = line + text[line..].find('\t')?;
    Some(tab..tab + 1)
}

/// The character at a line and a column, both from 1. Places of syntax errors are known in
/// characters only.
fn offset_of(text: &str, line: u64, column: u64) -> Range<usize> {
    let index = |number: u64| usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
    let start: usize = text.split_inclusive('\n').take(index(line)).map(str::len).sum();
    let content = text[start..].split('\n').next().unwrap_or_default();
    // A byte order mark counts as nothing.
    let mark = if content.starts_with('\u{feff}') { 1 } else { 0 };
    let mut letters = content.char_indices().map(|(offset, _)| start + offset);
    let end = start + content.trim_end_matches('\r').len();
    let at = letters.nth(index(column).saturating_add(mark)).unwrap_or(end).min(end);
    at..(at + 1).min(text.len())
}

/// What the YAML parser says, without the place and without its own types and options.
fn plain_words(problem: &str) -> String {
    let problem = problem.rsplit_once(" at line ").map_or(problem, |(problem, _)| problem);
    let problem = problem.split(", set DuplicateKeyPolicy").next().unwrap_or(problem);
    let problem = problem.split("; use from_str_multiple").next().unwrap_or(problem);
    problem.replace("mapping start", "a mapping").replace("sequence start", "a list")
}

impl Node {
    /// The value of a member of this map.
    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        self.member(name).map(|(_, value)| value)
    }

    /// This flag; `None` if it is something else.
    pub(crate) fn flag(&self) -> Option<bool> {
        if let Value::Flag(flag) = self.value { Some(flag) } else { None }
    }

    /// This number, if it is whole and not negative.
    pub(crate) fn count(&self) -> Option<u64> {
        match self.value {
            Value::Integer(number) => u64::try_from(number).ok(),
            // Numbers as large as this are refused before.
            Value::Number(number) if number.fract() == 0.0 && number >= 0.0 => Some(number as u64),
            _ => None,
        }
    }

    /// A member of this map: its name and its value.
    pub(crate) fn member(&self, name: &str) -> Option<&(Node, Node)> {
        self.members().iter().find(|(key, _)| key.text() == Some(name))
    }

    /// The members of this map; none if it is something else.
    pub(crate) fn members(&self) -> &[(Node, Node)] {
        if let Value::Map(members) = &self.value { members } else { &[] }
    }

    /// The items of this list; none if it is something else.
    pub(crate) fn items(&self) -> &[Node] {
        if let Value::List(items) = &self.value { items } else { &[] }
    }

    /// This text; `None` if it is something else.
    pub(crate) fn text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }

    /// The range of a name, found by the names of the maps around it, the outermost first; that of
    /// the last name that is there.
    pub(crate) fn place(&self, path: &[&str]) -> Option<Range<usize>> {
        let (mut here, mut found) = (self, None);
        for name in path {
            let Some((key, value)) = here.member(name) else { break };
            (here, found) = (value, Some(key.range.clone()));
        }
        found
    }

    /// The same as JSON, if every name is a text.
    pub(crate) fn to_json(&self) -> Option<serde_json::Value> {
        Some(match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Flag(flag) => (*flag).into(),
            Value::Integer(number) => {
                let whole = i64::try_from(*number).map(Number::from);
                let whole = whole.or_else(|_| u64::try_from(*number).map(Number::from));
                whole.ok().or_else(|| Number::from_f64(*number as f64))?.into()
            }
            Value::Number(number) => Number::from_f64(*number)?.into(),
            Value::Text(text) => text.as_str().into(),
            Value::List(items) => {
                serde_json::Value::Array(items.iter().map(Node::to_json).collect::<Option<_>>()?)
            }
            Value::Map(members) => {
                let members = members.iter();
                let member = |(name, value): &(Node, Node)| {
                    Some((name.text()?.to_owned(), value.to_json()?))
                };
                serde_json::Value::Object(members.map(member).collect::<Option<_>>()?)
            }
        })
    }

    fn has_repeated_names(&self) -> bool {
        let mut names: Vec<&str> =
            self.members().iter().filter_map(|(name, _)| name.text()).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        let values = self.members().iter().map(|(_, value)| value).chain(self.items());
        names.len() < count || values.into_iter().any(Node::has_repeated_names)
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        let span = spanned.referenced.span();
        let bytes = |count: Option<u64>| count.and_then(|count| usize::try_from(count).ok());
        let start = bytes(span.byte_offset()).unwrap_or(0);
        let length = bytes(span.byte_len()).unwrap_or(0).max(1);
        Ok(Node { range: start..start + length, value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Values)
    }
}

struct Values;

impl<'de> Visitor<'de> for Values {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Flag(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Integer(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Integer(number.into()))
    }

    fn visit_i128<E>(self, number: i128) -> Result<Value, E> {
        Ok(Value::Integer(number))
    }

    fn visit_u128<E>(self, number: u128) -> Result<Value, E> {
        Ok(i128::try_from(number).map_or(Value::Number(number as f64), Value::Integer))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Value::Map(members))
    }
}
