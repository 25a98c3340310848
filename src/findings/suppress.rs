//! Decisions not to act on a finding: whose, why, until when, and what each hides.

use super::Kind;
use super::collect::Found;
use crate::time::Instant;

/// What a suppression is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// One finding: its id, or as much of it as is unique (see [`Suppression::among`]).
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

    /// The same with the id in full where it gives the start of only one of these. One that begins several stays
    /// as it is, and covers none: which was meant is not known.
    #[must_use]
    pub fn among<'i>(&self, ids: impl Iterator<Item = &'i str>) -> Suppression {
        let mut suppression = self.clone();
        if let Target::Finding(id) = &mut suppression.target
            && let [one] = beginning(id, ids)[..]
        {
            one.clone_into(id);
        }
        suppression
    }

    /// Whether it is about the finding of that partner. The id must be in full.
    pub fn covers(&self, finding: &Found, partner_of_finding: Option<&str>) -> bool {
        self.is_about(&finding.id, finding.kind, partner_of_finding, finding.api.as_deref())
    }

    /// Whether it is about a finding of which only that is known.
    pub fn is_about(
        &self,
        finding: &str,
        of_kind: Kind,
        of_partner: Option<&str>,
        of_api: Option<&str>,
    ) -> bool {
        match &self.target {
            Target::Finding(id) => finding == id,
            Target::Kind { kind, partner, api } => {
                *kind == of_kind
                    && partner.as_ref().is_none_or(|p| of_partner == Some(p.as_str()))
                    && api.as_ref().is_none_or(|a| of_api == Some(a.as_str()))
            }
        }
    }
}

/// The ids that begin so.
pub fn beginning<'i>(prefix: &str, ids: impl Iterator<Item = &'i str>) -> Vec<&'i str> {
    ids.filter(|id| id.starts_with(prefix)).collect()
}
