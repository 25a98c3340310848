//! The integration tests, one program: what a user can see, and the naive twin that judges it.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test says what it is by its name, and may panic"
)]

mod harness;
mod story;
mod alerts;
mod anomalies;
mod networks;
mod audit;
mod calls;
mod check;
mod cli;
mod bad_input;
mod contract;
mod formats;
mod init;
mod synth;
mod verdicts;
mod properties;
mod concatenation;
mod nightly;
mod night_words;
mod nights_kept;
mod nights_edges;
mod nights_cover;
mod kill;
mod verify;
mod real_logs;
mod servers;
mod channels;
mod outputs;
mod reports;
mod hygiene;
mod repeats;
mod rotation;
mod twin;
