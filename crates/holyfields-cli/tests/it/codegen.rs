use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use expect_test::expect;
use holyfields_cli::{CodegenArgs, Outcome, codegen};

use crate::{Project, Ran, THING, ran};

fn run_with(project: &Project, change: impl FnOnce(&mut CodegenArgs)) -> Ran {
    let mut args = CodegenArgs {
        schemas: project.path("schemas"),
        registry: Some(project.path("registry.yaml")),
        out: project.path("out"),
        check: false,
    };
    change(&mut args);
    ran(project.0.path(), |console| codegen::run_on(&args, "cargo xtask codegen", console))
}

fn write(project: &Project) -> Ran {
    run_with(project, |_| {})
}

fn check(project: &Project) -> Ran {
    run_with(project, |args| args.check = true)
}

/// Everything in `out`, with modification times.
fn times(project: &Project) -> BTreeMap<PathBuf, SystemTime> {
    let mut times = BTreeMap::new();
    let mut open = vec![project.path("out")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path.clone());
            }
            let modified = fs::metadata(&path).unwrap().modified().unwrap();
            times.insert(path, modified);
        }
    }
    times
}

#[test]
fn a_second_run_touches_nothing() {
    let project = Project::new();
    let first = write(&project);
    assert_eq!(first.outcome, Outcome::Ok);
    assert_eq!(first.out, "");
    assert!(first.err.starts_with("1 contract, no findings; wrote "), "{}", first.err);
    let before = times(&project);
    let second = write(&project);
    assert_eq!(second.outcome, Outcome::Ok);
    let wrote = first.err.replace("wrote", "").replace("files", "");
    assert_eq!(second.err.replace("unchanged", "").replace(' ', ""), wrote.replace(' ', ""));
    assert_eq!(times(&project), before);
    let checked = check(&project);
    assert_eq!(checked.outcome, Outcome::Ok);
    assert!(checked.err.ends_with(" fresh, 0 stale\n"), "{}", checked.err);
    assert_eq!(times(&project), before);
}

#[test]
fn check_tells_what_is_stale_and_how_to_mend_it() {
    let project = Project::new();
    write(&project);
    fs::remove_file(project.path("out/registry.schema.json")).unwrap();
    let mark = holyfields_codegen::MARK;
    project.put("out/rust/old.rs", &format!("// {mark}.\n"));
    let index = fs::read_to_string(project.path("out/contracts.md")).unwrap();
    project.put("out/contracts.md", &index.replace("Thing made", "Thing mode"));
    let stale = check(&project);
    assert_eq!(stale.outcome, Outcome::Stale);
    assert_eq!(stale.outcome.code(), 4);
    expect![[r#"
        problem: DIR/out/contracts.md is not what the schemas give
            @@ -6,4 +6,4 @@
     
             | Key | Rust type | Title | Produced by | Consumed by |
             |---|---|---|---|---|
            -| `demo.thing.made` | `demo::ThingMade` | Thing mode | maker |  |
            +| `demo.thing.made` | `demo::ThingMade` | Thing made | maker |  |
        fix: run `cargo xtask codegen`

        problem: DIR/out/registry.schema.json is missing
        fix: run `cargo xtask codegen`

        problem: DIR/out/rust/old.rs is no longer generated from any schema
        fix: run `cargo xtask codegen`

        1 contract, no findings; 6 fresh, 3 stale
    "#]]
    .assert_eq(&stale.err);
    write(&project);
    assert_eq!(check(&project).outcome, Outcome::Ok);
    assert!(!project.path("out/rust/old.rs").exists());
}

#[test]
fn a_changed_schema_makes_the_code_stale() {
    let project = Project::new();
    write(&project);
    let lower = THING.replace("\"maximum\": 10", "\"maximum\": 9");
    project.put("schemas/demo/thing.made.v1.json", &lower);
    let stale = check(&project);
    assert_eq!(stale.outcome, Outcome::Stale);
    assert!(stale.err.contains("fix: run `cargo xtask codegen`"), "{}", stale.err);
}

#[test]
fn errors_stop_it_before_anything_is_written() {
    let project = Project::new();
    let broken = THING.replace("\"maximum\": 10", "\"maximum\": -1");
    project.put("schemas/demo/thing.made.v1.json", &broken);
    let stopped = write(&project);
    assert_eq!(stopped.outcome, Outcome::Errors);
    assert_eq!(stopped.outcome.code(), 100);
    expect![[r#"
        error[HF041]: `demo.thing.made` accepts no payload at all: these 3 cannot all hold
          --> demo/thing.made.v1.json:8:34
           |
         8 |     "size": { "type": "integer", "minimum": 0, "maximum": -1, "description": "In cm." }
           |                                  ^^^^^^^^^     --------- `maximum` must hold (/properties/size/maximum)
           |                                  |
           |                                  `minimum` must hold (/properties/size/minimum)
         9 |   },
        10 |   "required": ["event_type", "size"],
           |                              ------ `size` must be present (/required/1)
           |
           = help: change or remove one of them; its example is refused for this reason

        1 contract, 1 error; nothing was written
    "#]].assert_eq(&stopped.err);
    assert!(!project.path("out").exists());
    assert_eq!(check(&project).outcome, Outcome::Errors);
}

#[test]
fn notes_are_only_counted() {
    let project = Project::new();
    let two_words = THING.replace("demo.thing.made", "demo.made");
    project.put("schemas/demo/thing.made.v1.json", &two_words);
    let ran = run_with(&project, |args| args.registry = None);
    assert_eq!(ran.outcome, Outcome::Ok, "{}", ran.err);
    assert!(!ran.err.contains("note["), "{}", ran.err);
    assert!(ran.err.contains(" note"), "{}", ran.err);
}

#[test]
fn the_schema_of_the_registry_comes_with_a_registry() {
    let project = Project::new();
    run_with(&project, |args| args.registry = None);
    assert!(!project.path("out/registry.schema.json").exists());
    write(&project);
    let text = fs::read_to_string(project.path("out/registry.schema.json")).unwrap();
    assert!(
        text.starts_with("{\n  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n")
    );
    assert!(text.contains(holyfields_codegen::MARK) && text.ends_with("}\n"));
    run_with(&project, |args| args.registry = None);
    assert!(!project.path("out/registry.schema.json").exists(), "no longer produced");
}
