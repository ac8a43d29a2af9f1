//! Compiles `schemas/` and `services/registry.yaml` into OUT_DIR.

fn main() {
    holyfields_build::compile("schemas");
}
