//! Alerts: what one says, and the channels that it goes out by.
//!
//! Decides nothing about what causes an alert, and keeps none: that is for whoever has the state. Reads no clock and no environment;
//! secrets come resolved, or with the reason why they are missing.

mod message;
mod secret;
mod template;
mod attempts;
mod http;
mod command;
mod channel;

pub use attempts::Failure;
pub(crate) use channel::Way;
pub use channel::{AlertPlan, Beat, BySeverity, Channel, Delivery, Heartbeat};
pub(crate) use command::Command;
pub(crate) use http::{Endpoint, Header, Proxies, Roots, Target};
pub use message::{Change, Counts, Group, Message, Observed, SCHEMA, What};
pub(crate) use secret::Secret;
pub(crate) use template::{BuiltIn, Template, content_type_of};
