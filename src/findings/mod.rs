//! From counts to findings: what a person should act on.

mod kind;
mod id;
mod collect;
mod ends;
mod hygiene;
mod suppress;
mod told;
mod odd;
mod explanations;

pub use collect::{
    Apart, Found, Past, Row, Severities, Unjudged, UnknownCredentials, collect, hex, ids_of_call,
};
pub use ends::{Edges, End, ends};
pub use explanations::EXPLANATIONS;
pub use hygiene::{Days, Used};
pub use id::{ID_PREFIX, Identity, begins_id, id};
pub use kind::{Kind, Severity};
pub use odd::{
    FirstDays, NetworkScope, NetworksOfCredentials, Odd, OddUse, Scope, Shown as OddShown,
    first_networks, network_scope, new_networks, novelties, woken,
};
pub use suppress::{Suppression, Target, beginning};
pub use told::{Log, Told};
