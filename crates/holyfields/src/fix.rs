//! What `lint --fix` writes: single changes of a JSON text, which leave the rest as it stands.

use std::ops::Range;

use serde_json::Value;

use crate::source::{self, Member, Part};

/// How a finding can be mended by a machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Fix {
    /// Who may apply it.
    pub safety: Safety,
    /// All of them or none.
    pub edits: Vec<Edit>,
}

/// Whether a fix asks for a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Safety {
    /// The one right answer: `--fix`.
    Safe,
    /// It changes what a contract is called: `--fix --unsafe`.
    Unsafe,
}

/// One change of one file.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// The file's path below the schema root.
    pub file: String,
    /// JSON Pointer to the value that changes, or to the object that gets a member.
    pub pointer: String,
    /// What happens there.
    pub change: Change,
}

/// What happens at a place.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The value becomes another.
    Replace(Value),
    /// The member gets another name.
    Rename(String),
    /// The object gets one more member: behind this one if it has it, else as its last.
    Insert {
        /// Its name.
        name: String,
        /// Its value.
        value: Value,
        /// The member before it.
        after: Option<String>,
    },
}

/// The text with all these edits that fit: of two that touch the same place, the first.
///
/// Whatever is not edited stays byte for byte. The text must be valid JSON.
pub fn apply(text: &str, edits: &[&Edit]) -> String {
    let mut patches: Vec<Patch> = Vec::new();
    for patch in edits.iter().filter_map(|edit| patch(text, edit)) {
        let touches = |other: &Patch| {
            patch.range.start <= other.range.end && other.range.start <= patch.range.end
        };
        if !patches.iter().any(touches) {
            patches.push(patch);
        }
    }
    patches.sort_by_key(|patch| patch.range.start);
    let mut edited = text.to_owned();
    for Patch { range, text } in patches.into_iter().rev() {
        edited.replace_range(range, &text);
    }
    edited
}

/// Bytes, and what they become.
struct Patch {
    range: Range<usize>,
    text: String,
}

fn patch(text: &str, edit: &Edit) -> Option<Patch> {
    let locate = |part| source::locate(text, &edit.pointer, part);
    match &edit.change {
        Change::Replace(value) => {
            Some(Patch { range: locate(Part::Value)?, text: value.to_string() })
        }
        Change::Rename(name) => {
            let range = locate(Part::Key)?;
            Some(Patch { range, text: Value::from(name.as_str()).to_string() })
        }
        Change::Insert { name, value, after } => {
            let object = locate(Part::Value)?;
            let member = format!("{}: {value}", Value::from(name.as_str()));
            let members = source::members(text, &edit.pointer)?;
            if members.iter().any(|member| &member.name == name) {
                return None;
            }
            let before = members
                .iter()
                .find(|member| Some(&member.name) == after.as_ref())
                .or(members.last());
            Some(match before {
                Some(before) => insert_behind(text, object.start, before, &member),
                None => Patch { range: object, text: format!("{{ {member} }}") },
            })
        }
    }
}

/// On a line of its own where the member before it has one.
fn insert_behind(text: &str, object: usize, before: &Member, member: &str) -> Patch {
    let ahead = &text[object..before.key.start];
    let indent = ahead.rfind('\n').map(|newline| &ahead[newline..]);
    let own_line = indent.filter(|indent| indent.trim().is_empty());
    // A file with Windows line ends keeps them.
    let carriage = match ahead.contains("\r\n") {
        true => "\r",
        false => "",
    };
    let separator = match own_line {
        Some(indent) => format!(",{carriage}{indent}"),
        None => ", ".to_owned(),
    };
    let at = before.value.end;
    Patch { range: at..at, text: format!("{separator}{member}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn edit(pointer: &str, change: Change) -> Edit {
        Edit { file: "a.json".into(), pointer: pointer.into(), change }
    }

    fn insert(pointer: &str, after: Option<&str>) -> Edit {
        let after = after.map(str::to_owned);
        edit(pointer, Change::Insert { name: "new".into(), value: json!(true), after })
    }

    const TEXT: &str = "{\n    \"a\" : {\"b\":1, \"c\": [ 2 ]},\n\t\"d\": {}\n}\n";

    #[test]
    fn only_the_touched_place_changes() {
        let rename = edit("/a/b", Change::Rename("z".into()));
        let replace = edit("/a/c/0", Change::Replace(json!("two")));
        assert_eq!(
            apply(TEXT, &[&rename, &replace]),
            "{\n    \"a\" : {\"z\":1, \"c\": [ \"two\" ]},\n\t\"d\": {}\n}\n"
        );
    }

    #[test]
    fn a_member_is_written_as_its_neighbours_are() {
        let added = |pointer, after| apply(TEXT, &[&insert(pointer, after)]);
        assert!(added("", None).contains("\"d\": {},\n\t\"new\": true\n}"));
        assert!(added("", Some("a")).contains("[ 2 ]},\n    \"new\": true,\n\t\"d\""));
        assert!(added("/a", None).contains("[ 2 ], \"new\": true}"));
        assert!(added("/d", None).contains("\"d\": { \"new\": true }"));
        let windows = TEXT.replace('\n', "\r\n");
        assert_eq!(apply(&windows, &[&insert("", None)]), added("", None).replace('\n', "\r\n"));
    }

    #[test]
    fn of_two_edits_of_one_place_the_first_is_made() {
        let first = edit("/a", Change::Replace(json!(1)));
        let second = edit("/a/b", Change::Rename("z".into()));
        assert_eq!(apply(TEXT, &[&first, &second]), apply(TEXT, &[&first]));
        let nowhere = edit("/x/y", Change::Replace(json!(1)));
        assert_eq!(apply(TEXT, &[&nowhere]), TEXT);
    }

    mod any_text {
        use proptest::prelude::*;

        use super::*;

        /// JSON objects, two deep, written with any spacing.
        fn texts() -> impl Strategy<Value = String> {
            let space = || prop::sample::select(vec!["", " ", "\n  ", "\r\n\t", "\n\n"]);
            let leaf = prop::sample::select(vec!["1", "true", "\"x\\\"]\"", "[ 2,{} ]", "null"]);
            let member = |name: &'static str, value: BoxedStrategy<String>| {
                (space(), space(), value)
                    .prop_map(move |(a, b, value)| format!("{a}\"{name}\"{b}:{b}{value}"))
            };
            let leaf = leaf.prop_map(str::to_owned).boxed();
            let inner = (member("b", leaf.clone()), member("c", leaf.clone()), space())
                .prop_map(|(b, c, end)| format!("{{{b},{c}{end}}}"))
                .boxed();
            (member("a", inner), member("d", leaf), space())
                .prop_map(|(a, d, end)| format!("{{{a},{d}{end}}}"))
        }

        fn edits() -> impl Strategy<Value = Edit> {
            let at = prop::sample::select(vec!["/a/b", "/a/c", "/d"]);
            let insert = prop::sample::select(vec![("", Some("a")), ("", None), ("/a", Some("b"))]);
            prop_oneof![
                at.clone().prop_map(|at| edit(at, Change::Replace(json!("new")))),
                at.prop_map(|at| edit(at, Change::Rename("z".into()))),
                insert.prop_map(|(at, after)| super::insert(at, after)),
            ]
        }

        proptest! {
            #[test]
            fn is_edited_as_its_value_would_be(text in texts(), edit in edits()) {
                let edited = apply(&text, &[&edit]);
                let mut wanted: Value = serde_json::from_str(&text).unwrap();
                match &edit.change {
                    Change::Replace(value) => *wanted.pointer_mut(&edit.pointer).unwrap() = value.clone(),
                    Change::Rename(name) => {
                        let (around, last) = edit.pointer.rsplit_once('/').unwrap();
                        let object = wanted.pointer_mut(around).unwrap().as_object_mut().unwrap();
                        let value = object.remove(last).unwrap();
                        object.insert(name.clone(), value);
                    }
                    Change::Insert { name, value, .. } => {
                        wanted.pointer_mut(&edit.pointer).unwrap()[name] = value.clone();
                    }
                }
                prop_assert_eq!(serde_json::from_str::<Value>(&edited).unwrap(), wanted);
                // What stands before and behind the change is what stood there.
                let same = text.bytes().zip(edited.bytes()).take_while(|(a, b)| a == b).count();
                let tail = text.bytes().rev().zip(edited.bytes().rev()).take_while(|(a, b)| a == b);
                prop_assert!(same + tail.count() + 10 >= text.len());
            }
        }
    }
}
