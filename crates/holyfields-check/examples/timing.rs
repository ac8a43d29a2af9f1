//! t
use std::time::Instant;
fn main() {
    let dir = std::env::args().nth(1).unwrap();
    for _ in 0..3 {
    let t = Instant::now();
    let (c, f) = holyfields::read(dir.as_ref(), None);
    let read = t.elapsed();
    let t = Instant::now();
    let g = holyfields_check::check(&c, &f);
    println!("read {read:?} check {:?}; {} contracts, {} + {} findings", t.elapsed(), c.contracts.len(), f.len(), g.len());
    for x in g.iter().take(2) { println!("{}", x.message); }
    }
}
