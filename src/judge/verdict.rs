//! The api and grant axes as a pure function of the register and an instant: the specification in code.
//!
//! It looks at every row each time it is asked. The program asks it only while compiling
//! [`super::timeline`]; the properties that hold the two together ask it for every call.

use super::Verdict;
use crate::register::{ApiId, ApiRow, GrantId, GrantRow, PartnerId, PurposeRow, Register, Version};
use crate::time::Instant;

/// What the register says of (partner, api, operation) at an instant, consent and credential left aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axes {
    /// The api axis: since when the api is dormant, if it is at that instant.
    pub dormant_since: Option<Instant>,
    /// The grant axis: [`Verdict::Granted`] or the first that applies from [`Verdict::Uncertified`]
    /// to [`Verdict::NeverGranted`]; never one about consent.
    pub axis: Verdict,
    /// The grant it names.
    pub grant: Option<GrantId>,
    /// Since when the value applies.
    pub since: Option<Instant>,
    /// Of the live grants in order, the earliest that overrides missing consent. Only with `Granted`.
    pub overriding: Option<GrantId>,
}

impl Axes {
    /// The api is not dormant and the grant axis is `granted`.
    pub fn active_and_granted(&self) -> bool {
        self.dormant_since.is_none() && self.axis == Verdict::Granted
    }
}

/// Which versions of a row exist: all that are known, or those recorded by some instant.
#[derive(Clone, Copy, Debug)]
pub enum RecordedBy {
    /// All that the register holds.
    Ever,
    /// Those recorded at or before it.
    Instant(Instant),
}

impl RecordedBy {
    /// The version that counts, if one exists. `versions` are sorted by `recorded_at`, none first.
    fn row<T>(self, versions: &[Version<T>]) -> Option<&T> {
        let exists = |version: &&Version<T>| match (self, version.recorded_at) {
            (RecordedBy::Ever, _) | (_, None) => true,
            (RecordedBy::Instant(t), Some(recorded_at)) => recorded_at <= t,
        };
        versions.iter().rfind(exists).map(|version| &version.row)
    }
}

/// A grant's row that counts, with its purpose's.
struct Live<'r> {
    id: GrantId,
    row: &'r GrantRow,
    purpose: Option<&'r PurposeRow>,
}

impl Live<'_> {
    /// When its purpose ended, if it has by `at`.
    fn purpose_ended(&self, at: Instant) -> Option<Instant> {
        self.purpose.and_then(|purpose| purpose.ended_at).filter(|&ended_at| ended_at <= at)
    }

    /// When its certification lapsed, if it has by `at`.
    fn lapsed(&self, at: Instant) -> Option<Instant> {
        self.row.certified_until.filter(|&certified_until| certified_until <= at)
    }

    /// Earlier grants first; of those equal, the smaller id. Ids are indexes in byte order.
    fn by_start(&self) -> (Option<Instant>, GrantId) {
        (self.row.granted_at, self.id)
    }
}

/// Evaluates both axes at `at`, with the versions that exist `by` then.
///
/// `operation` is `None` for one that no grant names.
pub fn axes(
    register: &Register,
    partner: PartnerId,
    api: ApiId,
    operation: Option<&str>,
    at: Instant,
    by: RecordedBy,
) -> Axes {
    let all = (0..register.grants.len() as u32).map(GrantId);
    axes_of(register, all, partner, api, operation, at, by)
}

/// [`axes`], given the only grants that can concern the partner and the api.
pub(super) fn axes_of(
    register: &Register,
    grants: impl Iterator<Item = GrantId>,
    partner: PartnerId,
    api: ApiId,
    operation: Option<&str>,
    at: Instant,
    by: RecordedBy,
) -> Axes {
    let api_row = by.row(&register.apis[api.0 as usize].versions);
    let of_pair: Vec<Live<'_>> = of_pair(register, grants, partner, api, by).collect();
    let covering: Vec<&Live<'_>> =
        of_pair.iter().filter(|grant| grant.row.operations.covers(operation)).collect();
    Axes {
        dormant_since: api_row.and_then(|row| row.dormant_since).filter(|&since| since <= at),
        ..grant_axis(&of_pair, &covering, at, propagation_s(register, api_row))
    }
}

/// Whether any of these grants is live for the pair, whatever operation it covers.
pub(super) fn any_live(
    register: &Register,
    grants: &[GrantId],
    partner: PartnerId,
    api: ApiId,
    at: Instant,
    by: RecordedBy,
) -> bool {
    of_pair(register, grants.iter().copied(), partner, api, by).any(|grant| grant.row.is_live(at))
}

/// The rows of these grants that count and are about the pair.
fn of_pair(
    register: &Register,
    grants: impl Iterator<Item = GrantId>,
    partner: PartnerId,
    api: ApiId,
    by: RecordedBy,
) -> impl Iterator<Item = Live<'_>> {
    grants.filter_map(move |id| {
        let row = by.row(&register.grants[id.0 as usize].versions)?;
        let purpose = row.purpose.and_then(|p| by.row(&register.purposes[p.0 as usize].versions));
        (row.partner == partner && row.api == api).then_some(Live { id, row, purpose })
    })
}

/// How long after an end the api's caches may still serve, in seconds.
pub(super) fn propagation_s(register: &Register, api_row: Option<&ApiRow>) -> u64 {
    api_row.and_then(|row| row.propagation_s).unwrap_or(register.propagation_s)
}

fn grant_axis(
    of_pair: &[Live<'_>],
    covering: &[&Live<'_>],
    at: Instant,
    propagation_s: u64,
) -> Axes {
    let value = |axis, grant: Option<GrantId>, since| Axes {
        dormant_since: None,
        axis,
        grant,
        since,
        overriding: None,
    };
    let live = || covering.iter().filter(|grant| grant.row.is_live(at));
    let in_order =
        || live().filter(|grant| grant.purpose_ended(at).is_none() && grant.lapsed(at).is_none());
    if let Some(earliest) = in_order().min_by_key(|grant| grant.by_start()) {
        let overriding = in_order()
            .filter(|grant| grant.row.overrides_consent)
            .min_by_key(|grant| grant.by_start());
        return Axes {
            overriding: overriding.map(|grant| grant.id),
            ..value(Verdict::Granted, Some(earliest.id), None)
        };
    }
    // The latest comes first; of those equal, the smaller id.
    let uncertified = live()
        .filter(|grant| grant.purpose_ended(at).is_none())
        .min_by_key(|grant| (std::cmp::Reverse(grant.lapsed(at)), grant.id));
    if let Some(grant) = uncertified {
        return value(Verdict::Uncertified, Some(grant.id), grant.lapsed(at));
    }
    let purpose_ended =
        live().min_by_key(|grant| (std::cmp::Reverse(grant.purpose_ended(at)), grant.id));
    if let Some(grant) = purpose_ended {
        return value(Verdict::PurposeEnded, Some(grant.id), grant.purpose_ended(at));
    }
    let ended = covering
        .iter()
        .filter_map(|grant| Some((grant, grant.row.end().filter(|&end| end <= at)?)))
        .min_by_key(|(grant, end)| {
            (std::cmp::Reverse(*end), !grant.row.ended_by_revocation(), grant.id)
        });
    if let Some((grant, end)) = ended {
        let axis = match grant.row.ended_by_revocation() {
            true if at < end.saturating_add_s(propagation_s) => Verdict::Propagating,
            true => Verdict::AfterRevocation,
            false => Verdict::AfterExpiry,
        };
        return value(axis, Some(grant.id), Some(end));
    }
    if let Some(grant) = covering.iter().min_by_key(|grant| grant.by_start()) {
        return value(Verdict::BeforeGrant, Some(grant.id), None);
    }
    match of_pair.iter().any(|grant| grant.row.is_live(at)) {
        true => value(Verdict::OutOfScope, None, None),
        false => value(Verdict::NeverGranted, None, None),
    }
}
