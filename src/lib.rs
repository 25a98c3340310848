//! Joins API access logs with the register of who was allowed what, and when.

// In the order a newcomer should read them: from what a call is, along the flow of the data, to the command line.
pub mod time;
pub mod call;
pub mod limits;
pub mod error;
mod nearest;
pub mod register;
pub mod input;
pub mod parse;
pub mod formats;
pub mod judge;
pub mod tally;
pub mod findings;
pub mod report;
pub mod render;
pub mod cli;
pub mod plan;
pub mod run;
