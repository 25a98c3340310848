//! Decisions not to act on a finding: whose, why, until when, and what each hides.

use super::Kind;
use super::collect::Found;
use crate::time::Instant;

/// What a suppression is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// One finding: its id, or the start of it.
    Finding(String),
    /// All of a kind, of a partner and an api where they are named.
    Kind {
        /// The kind.
        kind: Kind,
        /// Only this partner's.
        partner: Option<String>,
        /// Only on this api.
        api: Option<String>,
    },
}

/// A decision not to act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppression {
    /// What it is about.
    pub target: Target,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// Until when it holds.
    pub until: Instant,
}

impl Suppression {
    /// Whether it no longer holds at the window's end.
    pub fn expired(&self, window_end: Option<Instant>) -> bool {
        window_end.is_some_and(|end| self.until <= end)
    }

    /// Whether it is about the finding of that partner.
    pub fn covers(&self, finding: &Found, partner_of_finding: Option<&str>) -> bool {
        match &self.target {
            Target::Finding(prefix) => finding.id.starts_with(prefix.as_str()),
            Target::Kind { kind, partner, api } => {
                *kind == finding.kind
                    && partner.as_ref().is_none_or(|p| partner_of_finding == Some(p.as_str()))
                    && api.as_ref().is_none_or(|a| finding.api.as_ref() == Some(a))
            }
        }
    }
}
