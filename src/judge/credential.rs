//! Whose a credential was, at a call's instant.

use crate::register::{Credential, PartnerId};
use crate::time::Instant;

/// What the credential axis says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Whose it is, was last, or will be first.
    pub partner: PartnerId,
    /// Not theirs at that instant, nor within the propagation after it was.
    pub stale: bool,
    /// When it stopped being theirs; `None` while valid, or if it becomes theirs only later.
    pub ended_at: Option<Instant>,
}

/// Evaluates the credential axis at `at`, `propagation_s` being the call's api's.
pub fn holder(credential: &Credential, at: Instant, propagation_s: u64) -> Holder {
    // Rows do not overlap, are each valid at some time, and are sorted: the last to begin by `at` either contains it or
    // ended last.
    let begun =
        |row: &&crate::register::CredentialRow| row.valid_from.is_none_or(|from| from <= at);
    let Some(row) = credential.rows.iter().rfind(begun) else {
        return Holder { partner: credential.rows[0].partner, stale: true, ended_at: None };
    };
    let ended_at = row.valid_until.filter(|&until| until <= at);
    let stale = ended_at.is_some_and(|until| until.saturating_add_s(propagation_s) <= at);
    Holder { partner: row.partner, stale, ended_at: ended_at.filter(|_| stale) }
}
