//! Whether a subject had consented, at a call's instant.

use hashbrown::HashMap;

use crate::register::{ApiId, PartnerId, Register};
use crate::time::Instant;

/// What a subject's last word towards a partner and an api was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// None that applies.
    Never,
    /// Given.
    Given,
    /// Withdrawn, at that instant.
    Withdrawn(Instant),
}

#[derive(Clone, Copy, Debug)]
struct Row {
    partner: Option<PartnerId>,
    api: Option<ApiId>,
    at: Instant,
    given: bool,
}

/// The consents of a register, by subject.
#[derive(Debug)]
pub struct Consents {
    /// Each subject's rows by time; of two at the same instant, the withdrawal last.
    by_subject: HashMap<String, Vec<Row>>,
}

impl Consents {
    /// Sorts the register's consents.
    pub fn new(register: &Register) -> Consents {
        let mut by_subject: HashMap<String, Vec<Row>> = HashMap::new();
        for consent in &register.consents {
            let rows = by_subject.entry_ref(consent.subject.as_str()).or_default();
            let (partner, api) = (consent.partner, consent.api);
            rows.push(Row { partner, api, at: consent.at, given: consent.given });
        }
        // Each list is sorted for itself.
        for rows in by_subject.values_mut() {
            rows.sort_by_key(|row| (row.at, !row.given));
        }
        Consents { by_subject }
    }

    /// The subject's last word at `at` towards the partner and the api.
    pub fn word(&self, subject: &str, partner: PartnerId, api: ApiId, at: Instant) -> Word {
        let rows = self.by_subject.get(subject).map_or(&[][..], Vec::as_slice);
        let applies = |row: &&Row| {
            row.at <= at
                && row.partner.is_none_or(|p| p == partner)
                && row.api.is_none_or(|a| a == api)
        };
        match rows.iter().rfind(applies) {
            None => Word::Never,
            Some(row) if row.given => Word::Given,
            Some(row) => Word::Withdrawn(row.at),
        }
    }
}
