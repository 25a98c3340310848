//! The smallest sums: calls that are alike in everything a report tells apart.

use super::Names;
use super::evidence::Evidence;
use super::subjects::Subjects;
use crate::call::Outcome;
use crate::judge::{Also, Judge, Judged, OperationId, TimelineId, Verdict};
use crate::register::{ApiId, CredentialId, GrantId, PartnerId};
use crate::time::Instant;

/// What the calls of one cell have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CellKey {
    /// Who called, if the register knows.
    pub partner: Option<PartnerId>,
    /// What was called, if the register knows it.
    pub api: Option<ApiId>,
    /// For what, if the register has a word for it.
    pub operation: Option<OperationId>,
    /// The verdict; `None` where nothing was judged.
    pub verdict: Option<Verdict>,
    /// What else is held against the calls.
    pub also: Also,
    /// The grant that the grant axis names.
    pub grant: Option<GrantId>,
    /// The timeline and its step that the calls were judged by.
    pub step: Option<(TimelineId, u32)>,
    /// Whether access was in order once, and has lapsed.
    pub lapsed: bool,
    /// What the API did.
    pub outcome: Outcome,
    /// Which names only the log brings: it tells them from absent ones where a bound cut them off.
    pub logged: Logged,
}

/// Which names of a call only its log brings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Logged {
    /// That of the credential, where nothing is judged.
    pub credential: bool,
    /// That of the api, or the templated path.
    pub api: bool,
    /// That of the operation.
    pub operation: bool,
}

/// What the operation of some calls is called: the one answer for reports, for what was used, and for what is judged again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationName<'n> {
    /// They have none.
    Absent,
    /// The register had a word for it.
    Word(&'n str),
    /// Only the log brings it.
    Logged(&'n str),
    /// Only the log brought it, and a bound cut it off.
    CutOff,
}

impl<'n> OperationName<'n> {
    /// From the register's word, the name that only the log brings, and whether it brings one at all.
    pub fn new(word: Option<&'n str>, logged: Option<&'n str>, is_logged: bool) -> Self {
        match (word, logged) {
            (Some(word), _) => OperationName::Word(word),
            (None, Some(name)) => OperationName::Logged(name),
            // What was absent is absent, also beyond the bound.
            (None, None) if is_logged => OperationName::CutOff,
            (None, None) => OperationName::Absent,
        }
    }
}

impl CellKey {
    /// What the operation of its calls is called. `names` are those that only the log brings; `None` for names that a bound
    /// cut off.
    pub fn operation_name<'n>(
        &self,
        judge: Option<&'n Judge<'_>>,
        names: Option<&'n Names>,
    ) -> OperationName<'n> {
        let word = self.operation.zip(judge);
        let word = word.map(|(id, judge)| judge.operations[id.0 as usize].as_str());
        let logged = names.and_then(|names| names.operation.as_deref());
        OperationName::new(word, logged, names.is_none() && self.logged.operation)
    }

    /// The cell that a judged call belongs to.
    pub fn of(outcome: Outcome, judged: &Judged<'_>) -> CellKey {
        CellKey {
            partner: judged.partner,
            api: judged.api.known(),
            operation: judged.operation.known(),
            verdict: Some(judged.verdict),
            also: judged.also,
            grant: judged.grant,
            step: judged.step,
            lapsed: judged.lapsed_at.is_some(),
            outcome,
            logged: Logged {
                credential: false,
                api: judged.api.logged().is_some(),
                operation: judged.operation.logged().is_some(),
            },
        }
    }

    /// Whether these calls are overstayed: served (or unknown) after access was last in order,
    /// and later than caches may lawfully still serve.
    pub fn overstayed(&self) -> bool {
        self.lapsed && self.outcome.counts_as_served() && self.verdict != Some(Verdict::Propagating)
    }

    /// Whether these calls belong to a finding.
    pub fn held_against(&self) -> bool {
        self.verdict.is_some_and(|verdict| !verdict.in_order()) || self.also.hindsight
    }
}

/// What finding-related facts the last calls have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latest {
    /// The last instant.
    pub at: Instant,
    /// Of the calls at it, the earliest instant since which the verdict holds.
    pub since: Option<Instant>,
    /// Likewise for the grant axis held against them beside the verdict.
    pub axis_since: Option<Instant>,
    /// Likewise when access was last in order.
    pub lapsed_at: Option<Instant>,
}

/// The earlier of two, where either may be missing.
fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

impl Latest {
    /// Takes the later of the two; of two at one instant, each earliest value.
    pub fn merge(&mut self, other: Latest) {
        match other.at.cmp(&self.at) {
            std::cmp::Ordering::Less => {}
            std::cmp::Ordering::Greater => *self = other,
            std::cmp::Ordering::Equal => {
                self.since = earlier(self.since, other.since);
                self.axis_since = earlier(self.axis_since, other.axis_since);
                self.lapsed_at = earlier(self.lapsed_at, other.lapsed_at);
            }
        }
    }
}

/// The sums over the calls of one cell.
#[derive(Clone, Debug)]
pub struct Cell {
    /// How many.
    pub calls: u64,
    /// Bytes sent, at most [`u64::MAX`].
    pub bytes: u64,
    /// Distinct people.
    pub subjects: Subjects,
    /// Calls that name nobody, to an api that requires consent.
    pub without_subject: u64,
    /// The first call.
    pub first: Instant,
    /// The longest (at - lapsed_at), in whole seconds, where access has lapsed.
    pub overstay_s_max: u64,
    /// The last call, and what holds of it.
    pub latest: Latest,
    /// The credentials used, sorted.
    pub credentials: Vec<CredentialId>,
    /// Lines that prove it, where something is held against the calls and they were served.
    pub evidence: Evidence,
}

impl Cell {
    /// A cell without any call yet, to be followed by the first one's sums.
    pub fn new(first: Latest) -> Cell {
        Cell {
            calls: 0,
            bytes: 0,
            subjects: Subjects::default(),
            without_subject: 0,
            first: first.at,
            overstay_s_max: 0,
            latest: first,
            credentials: Vec::new(),
            evidence: Evidence::default(),
        }
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Cell) {
        self.calls += other.calls;
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.subjects.merge(&other.subjects);
        self.without_subject += other.without_subject;
        self.first = self.first.min(other.first);
        self.overstay_s_max = self.overstay_s_max.max(other.overstay_s_max);
        self.latest.merge(other.latest);
        other.credentials.iter().for_each(|&credential| self.add_credential(credential));
        self.evidence.merge(&other.evidence);
    }

    /// About how many bytes it holds beside itself.
    pub fn heap_bytes(&self) -> usize {
        self.subjects.heap_bytes()
            + self.evidence.heap_bytes()
            + self.credentials.capacity() * size_of::<CredentialId>()
    }

    /// Notes a credential used.
    pub fn add_credential(&mut self, credential: CredentialId) {
        if let Err(index) = self.credentials.binary_search(&credential) {
            self.credentials.insert(index, credential);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "those of its last served call (at the same instant: the earlier)", whichever comes first.
    #[test]
    fn of_two_last_calls_at_one_instant_the_earlier_facts_count() {
        let at = |ns| Some(Instant::from_ns(ns));
        let latest = |ns, since, lapsed_at| Latest {
            at: Instant::from_ns(ns),
            since,
            axis_since: None,
            lapsed_at,
        };
        let merged = |mut a: Latest, b: Latest| {
            a.merge(b);
            a
        };
        let (a, b) = (latest(9, at(5), None), latest(9, at(7), at(3)));
        assert_eq!(merged(a, b), latest(9, at(5), at(3)));
        assert_eq!(merged(b, a), latest(9, at(5), at(3)));
        let later = latest(10, at(8), at(8));
        assert_eq!(merged(a, later), later);
        assert_eq!(merged(later, a), later);
    }
}
