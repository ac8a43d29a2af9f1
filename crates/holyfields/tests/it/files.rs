//! HF001 to HF006: what is read at all.

use std::os::unix::fs::symlink;

use expect_test::expect;

use crate::folder::{Folder, found};

const EVENT: &str = r#"{"type": "object", "additionalProperties": false}"#;

#[test]
fn a_plain_folder_has_nothing_to_say() {
    expect![[r#"
        nothing
    "#]]
    .assert_eq(&found(&[
        ("a/b.c.v1.json", EVENT),
        ("a/.hidden.json", "{"),
        ("a/.git/x.json", "{"),
        ("a/readme.md", "{"),
    ]));
}

#[test]
fn invalid_json_with_its_place() {
    expect![[r#"
        error[HF002]: `a.json` is not valid JSON: expected `true`, `false` or `null`
         --> a.json:2:12
          |
        2 |   "title": tru
          |            ^^^

        error[HF002]: `b.json` is not valid JSON: expected `,` or `}`
         --> b.json:2:12
          |
        2 |   "ä": "x" "y": 1
          |            ^

        error[HF002]: `c.json` is not valid JSON: EOF while parsing a list
         --> c.json:2:13
          |
        2 |   "a": [1, 2
          |             ^

        error[HF002]: `d.json` is not valid JSON: EOF while parsing a value
         --> d.json:1:1
          |
        1 |
          | ^

        error[HF002]: `e.json` is not valid JSON: trailing characters
         --> e.json:1:4
          |
        1 | {} {}
          |    ^

        error[HF002]: `f.json` is not valid JSON: control character (\u0000-\u001F) found while parsing a string
         --> f.json:1:12
          |
        1 | {"a": "line
          |            ^

        error[HF002]: `g.json` is not valid JSON: trailing comma
         --> g.json:1:9
          |
        1 | {"a": 1,}
          |         ^
    "#]].assert_eq(&found(&[
        ("a.json", "{\n  \"title\": tru\n}"),
        ("b.json", "{\n  \"ä\": \"x\" \"y\": 1\n}"),
        ("c.json", "{\n  \"a\": [1, 2\n"),
        ("d.json", ""),
        ("e.json", "{} {}"),
        ("f.json", "{\"a\": \"line\nbreak\"}"),
        ("g.json", "{\"a\": 1,}"),
    ]));
}

#[test]
fn a_name_that_stands_twice() {
    let text = r#"{
  "type": "object",
  "properties": { "a/b": { "type": "string" }, "a/b": {} },
  "type": "string"
}"#;
    expect![[r#"
        error[HF003]: `a/b` stands twice in one object; only one can count
         --> a.json:3:48
          |
        3 |   "properties": { "a/b": { "type": "string" }, "a/b": {} },
          |                   ----- first here             ^^^^^ (/properties/a~1b)
          |
          = help: remove one

        error[HF003]: `type` stands twice in one object; only one can count
         --> a.json:4:3
          |
        2 |   "type": "object",
          |   ------ first here
        3 |   "properties": { "a/b": { "type": "string" }, "a/b": {} },
        4 |   "type": "string"
          |   ^^^^^^ (/type)
          |
          = help: remove one
    "#]]
    .assert_eq(&found(&[("a.json", text)]));
}

#[test]
fn no_text_and_too_long_a_text() {
    let folder = Folder::new(&[]);
    folder.write("binary.json", b"{\"title\": \"\xff\xfe\"}");
    folder.write("long.json", &vec![b' '; (4 << 20) + 1]);
    let mut longest = b"{}".to_vec();
    longest.resize(4 << 20, b' ');
    folder.write("longest.json", &longest);
    expect![[r#"
        error[HF001]: `binary.json` cannot be read: it is not UTF-8 text (byte 11)
        --> binary.json

        error[HF001]: `long.json` cannot be read: it has 4194305 bytes; a schema may have 4194304
        --> long.json
    "#]]
    .assert_eq(&folder.found());
}

#[test]
fn what_is_no_schema() {
    expect![[r#"
        error[HF004]: `a.json` holds no JSON Schema: a schema is an object
         --> a.json:1:2
          |
        1 |  3
          |  ^

        error[HF004]: `b.json` holds no JSON Schema: a schema is an object
         --> b.json:1:1
          |
        1 | [
          | ^

        error[HF004]: `d.json` holds no JSON Schema: a schema is an object
         --> d.json:1:1
          |
        1 | null
          | ^^^^
    "#]]
    .assert_eq(&found(&[
        ("a.json", " 3"),
        ("b.json", "[\n]"),
        ("c.json", "true"),
        ("d.json", "null"),
    ]));
}

#[test]
fn a_draft_that_is_not_read() {
    expect![[r#"
        error[HF005]: `$schema` is "http://json-schema.org/draft-04/schema#"; only 2020-12 and draft-07 are read
         --> a.json:1:13
          |
        1 | {"$schema": "http://json-schema.org/draft-04/schema#"}
          |             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ (/$schema)
          |
          = help: write "https://json-schema.org/draft/2020-12/schema"

        error[HF005]: `$schema` is 7; only 2020-12 and draft-07 are read
         --> b.json:1:13
          |
        1 | {"$schema": 7}
          |             ^ (/$schema)
          |
          = help: write "https://json-schema.org/draft/2020-12/schema"
    "#]].assert_eq(&found(&[
        ("a.json", r#"{"$schema": "http://json-schema.org/draft-04/schema#"}"#),
        ("b.json", r#"{"$schema": 7}"#),
        ("c.json", r#"{"$schema": "http://json-schema.org/draft-07/schema"}"#),
        ("d.json", r#"{"$schema": "http://json-schema.org/draft-07/schema#"}"#),
        ("e.json", r##"{"$schema": "https://json-schema.org/draft/2020-12/schema#"}"##),
    ]));
}

#[test]
fn links_out_of_the_root_and_in_circles() {
    let outside = Folder::new(&[("secret.json", "{}"), ("folder/x.json", "{}")]);
    let folder = Folder::new(&[("a/real.json", "{}")]);
    symlink(outside.path("secret.json"), folder.path("a/secret.json")).unwrap();
    symlink(outside.path("folder"), folder.path("a/linked")).unwrap();
    symlink("..", folder.path("a/round")).unwrap();
    symlink("self.json", folder.path("a/self.json")).unwrap();
    symlink("nowhere.json", folder.path("a/dangling.json")).unwrap();
    expect![[r#"
        error[HF001]: `a/dangling.json` cannot be read: No such file or directory (os error 2)
        --> a/dangling.json

        error[HF006]: `a/linked` is a link that leads out of the schema folder
        --> a/linked
         = help: copy the file into the schema folder

        error[HF006]: `a/secret.json` is a link that leads out of the schema folder
        --> a/secret.json
         = help: copy the file into the schema folder

        error[HF001]: `a/self.json` cannot be read: Too many levels of symbolic links (os error 40)
        --> a/self.json
    "#]]
    .assert_eq(&folder.found());
}

#[test]
fn links_inside_the_root_are_followed_and_real_names_win() {
    let folder = Folder::new(&[("z/real/x.json", "{}"), ("z/y.json", "{}")]);
    symlink("z/real", folder.path("a")).unwrap();
    symlink("z/y.json", folder.path("file.json")).unwrap();
    let (catalog, findings) = folder.read();
    assert!(findings.is_empty());
    let paths: Vec<&str> = catalog.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["file.json", "z/real/x.json", "z/y.json"]);
}

#[test]
fn a_folder_that_is_missing_or_none() {
    let folder = Folder::new(&[("file", "")]);
    for name in ["missing", "file"] {
        let (_, findings) = holyfields::read(&folder.path(name), None);
        let [finding] = findings.as_slice() else { panic!("{findings:#?}") };
        assert_eq!(finding.rule.id, "HF001");
        assert!(finding.message.starts_with("the schema folder cannot be read: "));
    }
}

#[test]
fn what_is_no_file() {
    let folder = Folder::new(&[]);
    let socket = std::os::unix::net::UnixListener::bind(folder.path("a.json")).unwrap();
    std::fs::create_dir(folder.path("folder.json")).unwrap();
    expect![[r#"
        error[HF001]: `a.json` cannot be read: it is no file
        --> a.json
    "#]]
    .assert_eq(&folder.found());
    drop(socket);
}

#[test]
fn five_hundred_levels_are_an_error_and_no_overflow() {
    let nested = |levels: usize| {
        let mut text = "{\"items\":\n".repeat(levels);
        text.push_str("{}");
        text.push_str(&"}".repeat(levels));
        text
    };
    expect![[r#"
        error[HF002]: `deep.json` is not valid JSON: recursion limit exceeded
           --> deep.json:128:1
            |
        128 | {"items":
            | ^
    "#]]
    .assert_eq(&found(&[("deep.json", &nested(500))]));
    assert_eq!(found(&[("deep.json", &nested(100))]), "nothing\n");
}
