//! From counts to findings: what a person should act on.

mod kind;

pub use kind::{Kind, Severity};
