//! Joins API access logs with the register of who was allowed what, and when.

pub mod call;
pub mod error;
pub mod findings;
pub mod input;
pub mod judge;
pub mod limits;
mod nearest;
pub mod register;
pub mod render;
pub mod report;
pub mod time;
