//! What the register says of a call, at the call's own time.

mod kind;

pub use kind::{Also, Verdict};
