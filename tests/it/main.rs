//! The integration tests, one program: what a user can see, and the naive twin that judges it.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test says what it is by its name, and may panic"
)]

mod harness;
mod audit;
mod bad_input;
mod calls;
mod cli;
mod contract;
mod properties;
mod story;
mod twin;
mod verdicts;
