//! The register compiled: for each (partner, api, operation) the short sorted list of
//! what [`super::verdict`] says, from instant to instant.
//!
//! What the register says of a call depends on the call's time only through a few
//! instants. Evaluating the pure function at each of them, and merging equal
//! neighbours, leaves one binary search per call.

use hashbrown::HashMap;
use rayon::prelude::*;

use super::Verdict;
use super::verdict::{self, Axes, RecordedBy};
use crate::register::{ApiId, GrantId, GrantRow, Operations, PartnerId, Register, Version};
use crate::time::Instant;

/// What holds from an instant until the next step's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// From when; the first step's is [`Instant::MIN`].
    pub from: Instant,
    /// Both axes, consent and credential aside.
    pub axes: Axes,
    /// Whether active-and-granted differs from what the versions recorded by then say.
    pub hindsight: bool,
    /// The start of the unbroken stretch in which access has not been active-and-granted;
    /// `None` if it is, or never was before.
    pub lapsed_at: Option<Instant>,
}

/// The steps of one (partner, api, operation), by `from`, never empty, no equal neighbours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    /// Whose.
    pub partner: Option<PartnerId>,
    /// On what.
    pub api: ApiId,
    /// For which operation; `None`: any that no grant of the pair names.
    pub operation: Option<String>,
    /// What holds when.
    pub steps: Vec<Step>,
}

impl Timeline {
    /// The index of the step that holds at `at`.
    pub fn step_at(&self, at: Instant) -> usize {
        // Lists are short and most calls are recent: from the end, a scan beats a search.
        self.steps.iter().rposition(|step| step.from <= at).unwrap_or(0)
    }
}

/// Index into [`Timelines::all`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimelineId(pub u32);

/// All timelines of a register.
#[derive(Debug)]
pub struct Timelines {
    /// Every timeline.
    pub all: Vec<Timeline>,
    pairs: HashMap<(PartnerId, ApiId), Pair>,
    /// For each api: what holds for partners without any grant on it.
    ungranted: Vec<TimelineId>,
}

#[derive(Debug)]
struct Pair {
    named: Vec<TimelineId>,
    other: TimelineId,
}

impl Timelines {
    /// Compiles the register.
    pub fn compile(register: &Register) -> Timelines {
        let mut grants_of: HashMap<(PartnerId, ApiId), Vec<GrantId>> = HashMap::new();
        for (grant, id) in register.grants.iter().zip(0..) {
            // No call reaches an api that is not known yet, and no access to it ends.
            let known = |api: ApiId| register.apis[api.0 as usize].is_listed();
            for version in grant.versions.iter().filter(|version| known(version.row.api)) {
                let grants = grants_of.entry((version.row.partner, version.row.api)).or_default();
                if grants.last() != Some(&GrantId(id)) {
                    grants.push(GrantId(id));
                }
            }
        }
        let mut pairs: Vec<_> = grants_of.into_iter().collect();
        pairs.sort_unstable_by_key(|(pair, _)| *pair);

        let mut compiled =
            Timelines { all: Vec::new(), pairs: HashMap::new(), ungranted: Vec::new() };
        for api in (0..register.apis.len() as u32).map(ApiId) {
            let id = compiled.push(ungranted(register, api));
            compiled.ungranted.push(id);
        }
        // Side by side on the current thread pool; numbered in order.
        let of_pairs: Vec<(Vec<Timeline>, Timeline)> = pairs
            .par_iter()
            .map(|((partner, api), grants)| of_pair(register, *partner, *api, grants))
            .collect();
        compiled.pairs.reserve(pairs.len());
        for ((pair, _), (named, other)) in pairs.into_iter().zip(of_pairs) {
            let named = named.into_iter().map(|timeline| compiled.push(timeline)).collect();
            let other = compiled.push(other);
            compiled.pairs.insert(pair, Pair { named, other });
        }
        compiled
    }

    fn push(&mut self, timeline: Timeline) -> TimelineId {
        self.all.push(timeline);
        TimelineId(self.all.len() as u32 - 1)
    }

    /// The timeline that a call of `partner` to `api` for `operation` is judged by.
    pub fn find(&self, partner: PartnerId, api: ApiId, operation: &str) -> TimelineId {
        let Some(pair) = self.pairs.get(&(partner, api)) else {
            return self.ungranted[api.0 as usize];
        };
        let named = |id: &&TimelineId| self[**id].operation.as_deref() == Some(operation);
        pair.named.iter().find(named).copied().unwrap_or(pair.other)
    }
}

impl std::ops::Index<TimelineId> for Timelines {
    type Output = Timeline;

    fn index(&self, id: TimelineId) -> &Timeline {
        &self.all[id.0 as usize]
    }
}

/// The timelines of a pair: of the operations that its grants name, sorted, and of any other.
fn of_pair(
    register: &Register,
    partner: PartnerId,
    api: ApiId,
    grants: &[GrantId],
) -> (Vec<Timeline>, Timeline) {
    let live = LiveGrants::new(register, partner, api, grants);
    let compile = |operation: Option<&str>| {
        // Of grants that never cover the operation only whether one is live matters.
        let covering = covering(register, partner, api, grants, operation);
        let mut breaks = breaks(register, api, &covering);
        breaks.extend(live.changes.iter().map(|(from, ..)| *from));
        breaks.sort_unstable();
        breaks.dedup();
        let steps = steps(&breaks, |at, by| {
            let grants = covering.iter().copied();
            let axes = verdict::axes_of(register, grants, partner, api, operation, at, by);
            match axes.axis {
                Verdict::OutOfScope | Verdict::NeverGranted if live.any(at, by) => {
                    Axes { axis: Verdict::OutOfScope, ..axes }
                }
                _ => axes,
            }
        });
        Timeline { partner: Some(partner), api, operation: operation.map(str::to_owned), steps }
    };
    let named = named_operations(register, partner, api, grants);
    (named.into_iter().map(|operation| compile(Some(operation))).collect(), compile(None))
}

/// The grants of which some version covers the operation for the pair.
fn covering(
    register: &Register,
    partner: PartnerId,
    api: ApiId,
    grants: &[GrantId],
    operation: Option<&str>,
) -> Vec<GrantId> {
    let covers = |version: &Version<GrantRow>| {
        let row = &version.row;
        row.partner == partner && row.api == api && row.operations.covers(operation)
    };
    let of = |id: &&GrantId| register.grants[id.0 as usize].versions.iter().any(covers);
    grants.iter().filter(of).copied().collect()
}

/// From when on any grant of a pair is live, whatever it covers.
struct LiveGrants {
    /// By all versions, and by those recorded by then; no equal neighbours.
    changes: Vec<(Instant, bool, bool)>,
}

impl LiveGrants {
    fn new(register: &Register, partner: PartnerId, api: ApiId, grants: &[GrantId]) -> LiveGrants {
        let any = |at, by| verdict::any_live(register, grants, partner, api, at, by);
        let mut changes: Vec<(Instant, bool, bool)> = Vec::new();
        for from in breaks(register, api, grants) {
            let (ever, known) = (any(from, RecordedBy::Ever), any(from, RecordedBy::Instant(from)));
            if changes.last().is_none_or(|(_, e, k)| (*e, *k) != (ever, known)) {
                changes.push((from, ever, known));
            }
        }
        LiveGrants { changes }
    }

    /// Whether one is live at `at`, which `by` is too if it is an instant.
    fn any(&self, at: Instant, by: RecordedBy) -> bool {
        let next = self.changes.partition_point(|(from, ..)| *from <= at);
        let Some((_, ever, known)) = next.checked_sub(1).map(|index| self.changes[index]) else {
            return false;
        };
        match by {
            RecordedBy::Ever => ever,
            RecordedBy::Instant(_) => known,
        }
    }
}

/// The timeline of any partner without a grant on the api.
fn ungranted(register: &Register, api: ApiId) -> Timeline {
    let nobody = PartnerId(u32::MAX);
    let steps = steps(&breaks(register, api, &[]), |at, by| {
        verdict::axes_of(register, std::iter::empty(), nobody, api, None, at, by)
    });
    Timeline { partner: None, api, operation: None, steps }
}

/// The operations that any version of these grants names for the pair, sorted.
fn named_operations<'r>(
    register: &'r Register,
    partner: PartnerId,
    api: ApiId,
    grants: &[GrantId],
) -> Vec<&'r str> {
    let rows = grants
        .iter()
        .flat_map(|id| &register.grants[id.0 as usize].versions)
        .map(|version| &version.row)
        .filter(|row| row.partner == partner && row.api == api);
    let mut names: Vec<&str> = rows
        .flat_map(|row| match &row.operations {
            Operations::All => &[][..],
            Operations::Named(names) => names.as_slice(),
        })
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Every instant at which the axes can change, sorted, the beginning of time first.
fn breaks(register: &Register, api: ApiId, grants: &[GrantId]) -> Vec<Instant> {
    let mut breaks = vec![Instant::MIN];
    let versions = &register.apis[api.0 as usize].versions;
    for version in versions {
        breaks.extend(version.recorded_at);
        breaks.extend(version.row.dormant_since);
    }
    let propagation_s =
        verdict::propagation_s(register, versions.last().map(|version| &version.row));
    for grant in grants.iter().map(|id| &register.grants[id.0 as usize]) {
        for version in &grant.versions {
            let row = &version.row;
            breaks.extend(version.recorded_at);
            breaks.extend(row.granted_at);
            breaks.extend(row.certified_until);
            for end in row.expires_at.into_iter().chain(row.revoked_at) {
                breaks.extend([end, end.saturating_add_s(propagation_s)]);
            }
            for purpose in row.purpose.map(|id| &register.purposes[id.0 as usize]).into_iter() {
                for version in &purpose.versions {
                    breaks.extend(version.recorded_at);
                    breaks.extend(version.row.ended_at);
                }
            }
        }
    }
    breaks.sort_unstable();
    breaks.dedup();
    breaks
}

/// Evaluates at each of `breaks` and merges equal neighbours.
fn steps(breaks: &[Instant], evaluate: impl Fn(Instant, RecordedBy) -> Axes) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut lapsed_at = None;
    let mut was_in_order = false;
    for &from in breaks {
        let axes = evaluate(from, RecordedBy::Ever);
        let in_order = axes.active_and_granted();
        let known = evaluate(from, RecordedBy::Instant(from)).active_and_granted();
        if in_order {
            lapsed_at = None;
        } else if was_in_order {
            lapsed_at = Some(from);
        }
        was_in_order = in_order;
        let step = Step { from, axes, hindsight: in_order != known, lapsed_at };
        if steps.last().is_none_or(|last| Step { from, ..*last } != step) {
            steps.push(step);
        }
    }
    steps
}
