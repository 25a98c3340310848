//! On which days calls were served, by grant and by api: what shows that one was used again after a long time.

use std::collections::BTreeSet;

use hashbrown::HashMap;

use crate::limits::SERVED_DAYS_MAX;
use crate::register::{ApiId, GrantId};

/// Days of served calls, by their numbers since 1970: of each the latest, as many as [`SERVED_DAYS_MAX`].
#[derive(Clone, Debug, Default)]
pub struct ServedDays {
    /// By the grant that calls were judged by.
    pub grants: HashMap<GrantId, BTreeSet<i64>>,
    /// By api.
    pub apis: HashMap<ApiId, BTreeSet<i64>>,
}

impl ServedDays {
    /// Notes a served call.
    pub fn add(&mut self, grant: Option<GrantId>, api: Option<ApiId>, day: i64) {
        if let Some(grant) = grant {
            insert(self.grants.entry(grant).or_default(), day);
        }
        if let Some(api) = api {
            insert(self.apis.entry(api).or_default(), day);
        }
    }

    /// Adds all of `other`.
    // Sets do not depend on the order.
    #[allow(clippy::iter_over_hash_type)]
    pub fn merge(&mut self, other: ServedDays) {
        for (grant, days) in other.grants {
            let ours = self.grants.entry(grant).or_default();
            days.into_iter().for_each(|day| insert(ours, day));
        }
        for (api, days) in other.apis {
            let ours = self.apis.entry(api).or_default();
            days.into_iter().for_each(|day| insert(ours, day));
        }
    }
}

fn insert(days: &mut BTreeSet<i64>, day: i64) {
    if days.insert(day) && days.len() > SERVED_DAYS_MAX {
        days.pop_first();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_the_latest_days_are_kept() {
        let mut ours = ServedDays::default();
        let mut theirs = ServedDays::default();
        let count = SERVED_DAYS_MAX as i64 + 10;
        for day in 0..count {
            let half = if day % 2 == 0 { &mut ours } else { &mut theirs };
            half.add(Some(GrantId(1)), Some(ApiId(2)), day);
        }
        ours.merge(theirs);
        let days = &ours.grants[&GrantId(1)];
        assert_eq!((days.len(), days.first()), (SERVED_DAYS_MAX, Some(&10)));
        assert_eq!(&ours.apis[&ApiId(2)], days);
    }
}
