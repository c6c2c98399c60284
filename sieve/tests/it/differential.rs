//! The same scripts and messages through Pigeonhole's `sieve-test`, where it is installed.
