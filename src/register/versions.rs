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
    let is_known = |row: &&Row<T>| match (row.recorded_at, as_known_at) {
        (Some(recorded_at), Some(as_known_at)) => recorded_at <= as_known_at,
        (None, _) | (_, None) => true,
    };
    let mut keyed: Vec<(K, &Row<T>)> =
        rows.iter().filter(is_known).map(|row| (key(&row.cells), row)).collect();
    // Tables are mostly sorted by their keys already, which a stable sort is quick to see.
    keyed.sort_by(|(a, x), (b, y)| (a, x.recorded_at).cmp(&(b, y.recorded_at)));
    let mut known: Vec<(K, Vec<&Row<T>>)> = Vec::new();
    for (key, row) in keyed {
        match known.last_mut() {
            Some((last, versions)) if *last == key => versions.push(row),
            _ => known.push((key, vec![row])),
        }
    }
    known.into_iter().collect()
}

/// The version of each key's row that counts, in key order.
pub(super) fn counting<'t, T, K: Ord>(
    known: &BTreeMap<K, Vec<&'t Row<T>>>,
) -> impl Iterator<Item = &'t Row<T>> {
    known.values().filter_map(|versions| versions.last().copied())
}
