//! Catalog to source files: pure, deterministic, one module per target
