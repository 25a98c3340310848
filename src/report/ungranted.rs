//! Partners that the register has no grant for at all: perhaps because nobody has written one yet.
//!
//! Their calls are never-granted as any others are. That there is nothing to judge them by is worth a line of its own.

use std::collections::BTreeSet;

use super::Report;
use super::text::{counted, thousands};
use crate::judge::Verdict;
use crate::register::Register;

/// Partners with calls and without a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ungranted {
    /// How many they are.
    pub partners: u64,
    /// Of how many with calls.
    pub of: u64,
    /// Their calls that are never-granted.
    pub calls: u64,
    /// Whether the register has no grant of anybody.
    pub all: bool,
}

/// The partners of a report that made never-granted calls and have no grant on any api, as the register is known; none
/// where there is no such partner.
pub(super) fn ungranted(report: &Report, register: &Register) -> Option<Ungranted> {
    let granted: BTreeSet<&str> = register
        .grants
        .iter()
        .filter_map(|grant| grant.versions.last())
        .filter_map(|version| register.partners.get(version.row.partner.0 as usize))
        .map(|partner| partner.id.as_str())
        .collect();
    let mut partners: BTreeSet<&str> = BTreeSet::new();
    let mut calls = 0;
    for row in report.usage.iter().filter(|row| row.verdict == Some(Verdict::NeverGranted)) {
        if let Some(partner) = row.partner.as_deref().filter(|partner| !granted.contains(partner)) {
            partners.insert(partner);
            calls += row.calls;
        }
    }
    let of = report.partners.iter().filter(|partner| partner.calls > 0).count() as u64;
    let all = register.grants.is_empty();
    (!partners.is_empty()).then_some(Ungranted { partners: partners.len() as u64, of, calls, all })
}

impl Ungranted {
    /// In words.
    pub fn told(&self) -> String {
        let Ungranted { partners, of, calls, .. } = *self;
        let have = if partners == 1 { "has" } else { "have" };
        format!(
            "{} of {} with calls {have} no grant in the register: {} never-granted",
            thousands(partners),
            counted(of, "partner", "partners"),
            counted(calls, "call is", "calls are")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn told_in_one_line() {
        let told = |partners, of, calls| Ungranted { partners, of, calls, all: false }.told();
        assert_eq!(
            told(3, 4, 4120),
            "3 of 4 partners with calls have no grant in the register: 4,120 calls are never-granted"
        );
        assert_eq!(
            told(1, 1, 1),
            "1 of 1 partner with calls has no grant in the register: 1 call is never-granted"
        );
    }
}
