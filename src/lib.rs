//! Bloodbank.
