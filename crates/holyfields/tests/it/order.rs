//! All problems in one run, in one order.

use expect_test::expect;

use crate::folder::Folder;

const BROKEN: [(&str, &str); 6] = [
    ("z.json", "{"),
    ("a/b.c.v1.json", r#"{"type": "array", "format": "colour"}"#),
    ("a/b.d.v1.json", r#"{"type": "object", "properties": {"x": {"$ref": "nowhere.json"}}}"#),
    ("a/b_d.e.v1.json", r#"{"type": "object", "properties": {}}"#),
    ("a/b.d_e.v1.json", r#"{"type": "object", "properties": {}}"#),
    ("m.json", r#"{"a": 1, "a": 2, "$id": 3, "properties": {"event_type": {}}}"#),
];

fn lines(folder: &Folder) -> String {
    let (catalog, findings) = folder.read();
    let lines = findings.iter().map(|finding| {
        let located = finding.located(&catalog.sources);
        let place = &located.places[0];
        let (file, line, column) = (place.file, place.line, place.column);
        format!("{file}:{line}:{column} {} {}\n", located.rule, place.pointer)
    });
    lines.collect()
}

#[test]
fn everything_at_once_by_file_and_place() {
    expect![[r#"
        a/b.c.v1.json:1:10 HF031 /type
        a/b.c.v1.json:1:29 HF043 /format
        a/b.d.v1.json:1:49 HF010 /properties/x/$ref
        a/b_d.e.v1.json:1:1 HF025 
        m.json:1:10 HF003 /a
        m.json:1:43 HF020 /properties/event_type
        z.json:1:1 HF002 
    "#]]
    .assert_eq(&lines(&Folder::new(&BROKEN)));
}

#[test]
fn the_order_of_writing_makes_no_difference() {
    let forward = lines(&Folder::new(&BROKEN));
    let mut backward = BROKEN;
    backward.reverse();
    assert_eq!(lines(&Folder::new(&backward)), forward);
}

#[test]
fn findings_as_data() {
    let (catalog, findings) = Folder::new(&BROKEN[2..3]).read();
    let data = serde_json::to_string_pretty(&findings[0].located(&catalog.sources)).unwrap();
    expect![[r#"
        {
          "rule": "HF010",
          "level": "error",
          "message": "`nowhere.json` leads nowhere: no file `nowhere.json` beside this one",
          "places": [
            {
              "file": "a/b.d.v1.json",
              "line": 1,
              "column": 49,
              "pointer": "/properties/x/$ref",
              "label": ""
            }
          ],
          "help": "correct the path; it counts from the folder of this file"
        }"#]]
    .assert_eq(&data);
}
