//! Versions: of rows with equal keys, the one recorded last counts.

use std::collections::BTreeMap;

use super::tables::Row;
use crate::time::Instant;

/// The versions of each key's row known at `as_known_at` (`None`: all), by `recorded_at`, none first.
/// Of equal `recorded_at`, which `check` refuses, in the order of the file. No list is empty.
pub(super) fn known<'t, T, K: Ord>(
    rows: &'t [Row<T>],
    as_known_at: Option<Instant>,
    key: impl Fn(&'t T) -> K,
) -> BTreeMap<K, Vec<&'t Row<T>>> {
    let mut known: BTreeMap<K, Vec<&Row<T>>> = BTreeMap::new();
    for row in rows {
        let is_known = match (row.recorded_at, as_known_at) {
            (Some(recorded_at), Some(as_known_at)) => recorded_at <= as_known_at,
            (None, _) | (_, None) => true,
        };
        if is_known {
            known.entry(key(&row.cells)).or_default().push(row);
        }
    }
    for versions in known.values_mut() {
        versions.sort_by_key(|row| row.recorded_at);
    }
    known
}

/// The version of each key's row that counts, in key order.
pub(super) fn counting<'t, T, K: Ord>(
    known: &BTreeMap<K, Vec<&'t Row<T>>>,
) -> impl Iterator<Item = &'t Row<T>> {
    known.values().filter_map(|versions| versions.last().copied())
}
