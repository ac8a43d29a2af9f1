//! Compiles `schemas/` and `services/registry.yaml` into OUT_DIR, for the feature `events`.

fn main() {
    #[cfg(feature = "events")]
    holyfields_build::compile("schemas");
}
