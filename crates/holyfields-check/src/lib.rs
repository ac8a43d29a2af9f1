//! The checks that need a validator: satisfiability, patterns, examples
