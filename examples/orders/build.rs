//! Compiles the contracts of this folder.

fn main() {
    holyfields_build::compile("schemas");
}
