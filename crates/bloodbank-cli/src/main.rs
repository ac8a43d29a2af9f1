//! The command line of Bloodbank
fn main() {}
