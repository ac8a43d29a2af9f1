//! The commands on schema folders, for the command line and cargo xtask alike
