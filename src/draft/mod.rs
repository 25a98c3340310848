//! A first register out of nothing but logs: what is collected from calls, and what it comes to as tables.
//!
//! Pure: it reads no file and writes none. It says what was seen, never who may do what: that is for a person to write.
//! Nothing is judged by it, and a guess that is wrong costs a line in a table that people read through.

mod credential;
mod learn;
mod names;
mod seen;
mod tables;
mod text;

pub use seen::{Batch, Presence, Seen};
pub use tables::{
    ApiRow, CredentialRow, Draft, ExampleGrant, LeftOut, RouteRow, draft, is_for_everybody,
};
pub use text::slug;
