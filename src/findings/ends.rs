//! The instants at which access ended, and how each went. They fall out of the timelines.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::collect::Row;
use crate::call::Outcome;
use crate::judge::{Judge, TimelineId, Verdict};
use crate::register::{ApiId, GrantId, Operations, PartnerId, Register};
use crate::time::Instant;

/// The time a report is about, for what is judged at its edges.
#[derive(Clone, Copy, Debug)]
pub struct Edges {
    /// `--since`, else the first call.
    pub start: Instant,
    /// `--until` (exclusive), else just after the last call.
    pub end: Instant,
}

/// An instant at which access stopped being in order, and what came after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Whose.
    pub partner: PartnerId,
    /// To what.
    pub api: ApiId,
    /// The grant that covered it until then.
    pub grant: GrantId,
    /// When.
    pub ended_at: Instant,
    /// What it turned into.
    pub reason: Verdict,
    /// For which operations; `*` stands for all that no grant names.
    pub operations: BTreeSet<String>,
    /// The last call served (or unknown) since.
    pub last_served: Option<Instant>,
    /// The first call denied since.
    pub first_denied: Option<Instant>,
    /// Whether any call came since.
    called: bool,
}

impl End {
    /// Whether calls were served (or may have been) later than caches may.
    pub fn is_open(&self, propagation_s: u64) -> bool {
        let allowed_until = self.ended_at.saturating_add_s(propagation_s);
        self.last_served.is_some_and(|last_served| last_served >= allowed_until)
    }
}

/// What the calls of one step add up to.
#[derive(Clone, Copy, Default)]
struct Sums {
    last_served: Option<Instant>,
    first_denied: Option<Instant>,
    called: bool,
}

impl Sums {
    fn merge(&mut self, other: Sums) {
        self.last_served = self.last_served.max(other.last_served);
        self.first_denied = match (self.first_denied, other.first_denied) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.called |= other.called;
    }
}

/// All ends within the window, and those before it that a call in the window came after;
/// by partner, api, grant and instant.
pub fn ends(judge: &Judge<'_>, rows: &[Row], edges: Option<Edges>) -> Vec<End> {
    let Some(edges) = edges else { return Vec::new() };
    let mut sums: BTreeMap<(TimelineId, u32), Sums> = BTreeMap::new();
    for row in rows {
        let Some(step) = row.key.step else { continue };
        sums.entry(step).or_default().merge(Sums {
            last_served: row.served().then_some(row.cell.latest.at),
            first_denied: (row.key.outcome == Outcome::Denied).then_some(row.cell.first),
            called: true,
        });
    }
    let named = named_operations(judge.register);
    let mut ends: BTreeMap<(PartnerId, ApiId, GrantId, Instant), End> = BTreeMap::new();
    for (timeline, id) in judge.timelines.all.iter().zip(0..) {
        let Some(partner) = timeline.partner else { continue };
        // What is open to all stays in order whatever becomes of a grant.
        if judge.is_open(timeline.api) {
            continue;
        }
        for (index, pair) in timeline.steps.windows(2).enumerate() {
            let (before, after) = (&pair[0], &pair[1]);
            let Some(grant) = before.axes.grant else { continue };
            if !before.axes.active_and_granted() || after.axes.active_and_granted() {
                continue;
            }
            let mut since = Sums::default();
            let out_of_order = timeline.steps.iter().enumerate().skip(index + 1);
            for (step, _) in out_of_order.take_while(|(_, step)| !step.axes.active_and_granted()) {
                let step = (TimelineId(id), step as u32);
                since.merge(sums.get(&step).copied().unwrap_or_default());
            }
            let reason = match after.axes.dormant_since {
                Some(_) => Verdict::DormantApi,
                None => after.axes.axis,
            };
            let key = (partner, timeline.api, grant, after.from);
            let end = ends.entry(key).or_insert_with(|| End {
                partner,
                api: timeline.api,
                grant,
                ended_at: after.from,
                reason,
                operations: BTreeSet::new(),
                last_served: None,
                first_denied: None,
                called: false,
            });
            end.reason = end.reason.min(reason);
            let name = timeline.operation.as_deref();
            let name = name.filter(|name| named.contains(&(partner, timeline.api, name)));
            end.operations.insert(name.unwrap_or("*").to_owned());
            let mut all = Sums {
                last_served: end.last_served,
                first_denied: end.first_denied,
                called: end.called,
            };
            all.merge(since);
            (end.last_served, end.first_denied, end.called) =
                (all.last_served, all.first_denied, all.called);
        }
    }
    let listed =
        |end: &End| end.ended_at < edges.end && (end.ended_at >= edges.start || end.called);
    ends.into_values().filter(listed).collect()
}

/// The operations that grants name, by the versions that count: one that only an older version
/// names has a timeline of its own for the sake of hindsight, but is one of `*` here.
fn named_operations(register: &Register) -> HashSet<(PartnerId, ApiId, &str)> {
    let rows = register.grants.iter().filter_map(|grant| grant.versions.last());
    rows.flat_map(|version| {
        let row = &version.row;
        let names = match &row.operations {
            Operations::All => &[][..],
            Operations::Named(names) => names.as_slice(),
        };
        names.iter().map(|name| (row.partner, row.api, name.as_str()))
    })
    .collect()
}
