//! The driver of build scripts: compiles a schema folder into OUT_DIR
