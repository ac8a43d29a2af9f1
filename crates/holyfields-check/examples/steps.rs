//! t
use std::time::Instant;
use jsonschema::*;
fn main() {
    let dir = std::env::args().nth(1).unwrap();
    let (c, _) = holyfields::read(dir.as_ref(), None);
    for _ in 0..2 {
    let t = Instant::now(); for f in &c.files { assert!(draft202012::meta::validator().is_valid(&f.schema)); } println!("meta {:?}", t.elapsed());
    let t = Instant::now(); let b = c.bundle(); println!("bundle {:?}", t.elapsed());
    let t = Instant::now(); let docs: Vec<_> = b.contracts.iter().map(|c| b.document(c)).collect(); println!("docs {:?}", t.elapsed());
    let p = || PatternOptions::fancy_regex().backtrack_limit(100_000);
    let t = Instant::now(); let v: Vec<_> = docs.iter().map(|d| options().with_draft(Draft::Draft202012).offline().should_validate_formats(true).should_ignore_unknown_formats(false).with_pattern_options(p()).build(d).unwrap()).collect(); println!("validators {:?} {}", t.elapsed(), v.len());
    let t = Instant::now(); let mut n = 0; for d in &docs { let pr = canonical::options().with_draft(Draft::Draft202012).offline().should_validate_formats(true).with_pattern_options(p()).prepare(d).unwrap(); n += pr.draft() as usize; } println!("prepare {:?} {n}", t.elapsed());
    let t = Instant::now(); for d in &docs { let pr = canonical::options().with_draft(Draft::Draft202012).offline().should_validate_formats(true).with_pattern_options(p()).prepare(d).unwrap(); let c = pr.canonicalize().unwrap(); assert!(c.satisfiability().as_str() != "no"); } println!("canonicalize {:?}", t.elapsed());
    let t = Instant::now(); for d in &docs { let _ = canonical::options().with_draft(Draft::Draft202012).offline().should_validate_formats(true).with_pattern_options(p()).prepare(d).unwrap().unsatisfiable().unwrap(); } println!("unsatisfiable {:?}", t.elapsed());
    }
}
