//! All partners' days one after the other, each judged by those before it.

use std::collections::{BTreeMap, VecDeque};

use hashbrown::HashMap;
use rayon::prelude::*;

use super::{Anomaly, DayOf, Hour, Judged, Kind, Thresholds, Tide, judge};

/// The hours of a day, in UTC.
pub type HoursOfDay = Box<[Hour; 24]>;

/// A day of all (partner, api).
#[derive(Clone, Debug, Default)]
pub struct Everyone {
    /// Days since 1970-01-01, in UTC.
    pub day: i64,
    /// Of each source that had calls, by whatever number it has, a bit for each hour in which it had one.
    pub sources: Vec<(u32, u32)>,
    /// By the number of the (partner, api): its hours, if it made a call.
    pub pairs: HashMap<usize, HoursOfDay>,
}

impl Everyone {
    /// The hours of a (partner, api), to be counted in.
    pub fn hours_of(&mut self, pair: usize) -> &mut [Hour; 24] {
        self.pairs.entry(pair).or_insert_with(|| Box::new([Hour::default(); 24]))
    }
}

/// What was judged of a day.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DayJudged {
    /// The anomalies, by the number of their (partner, api).
    pub anomalies: Vec<(usize, Anomaly)>,
    /// The (partner, api) that were judged, by number.
    pub judged: Vec<usize>,
    /// Those that were not, for too little is known of them.
    pub too_little: Vec<usize>,
    /// How many days before it are known.
    pub history_days: u32,
}

/// Days, as many as are looked at, the latest last.
#[derive(Debug)]
pub struct Window {
    thresholds: Thresholds,
    days: VecDeque<Everyone>,
    /// The calls of all, of each day.
    totals: VecDeque<[Hour; 24]>,
}

/// A source of which calls come in so many of all hours is regular: where it is silent, it is the logs that are short.
const REGULAR_RATIO_MIN: f64 = 0.9;
/// Days from its first call on that it takes to tell.
const REGULAR_DAYS_MIN: i64 = 7;

impl Window {
    /// An empty one.
    pub fn new(thresholds: Thresholds) -> Window {
        Window { thresholds, days: VecDeque::new(), totals: VecDeque::new() }
    }

    /// Adds a day, which is later than all before, and lets go of those that are too long ago for it.
    pub fn push(&mut self, day: Everyone) {
        let first = day.day.saturating_sub(i64::from(self.thresholds.history_days));
        while self.days.front().is_some_and(|earliest| earliest.day < first) {
            self.days.pop_front();
            self.totals.pop_front();
        }
        self.totals.push_back(total(&day));
        self.days.push_back(day);
    }

    /// The last day that was added.
    pub fn last_day(&self) -> Option<i64> {
        self.days.back().map(|day| day.day)
    }

    /// Judges the last day. Of hours from `complete_until` on (hours since 1970) not all calls may have been read yet, so that
    /// nothing can be said to be missing.
    ///
    /// Pairs are judged side by side on the current thread pool; the result does not depend on how.
    pub fn judge_last<'d>(&'d self, complete_until: i64) -> DayJudged {
        let Some(before) = self.days.len().checked_sub(1) else { return DayJudged::default() };
        let any: Vec<u32> = self.days.iter().map(|day| any_heard(&day.sources)).collect();
        let strict = self.strictly_heard(complete_until);
        let thresholds = &self.thresholds;
        let day_of = |age: usize, pair: usize, heard: u32| -> DayOf<'d> {
            let day = &self.days[age];
            let hours = day.pairs.get(&pair).map(|hours| &**hours);
            DayOf { day: day.day, heard, hours }
        };
        let all: Vec<DayOf<'_>> = (0..=before)
            .map(|age| DayOf {
                day: self.days[age].day,
                heard: any[age],
                hours: Some(&self.totals[age]),
            })
            .collect();
        let (history, today) = all.split_at(before);
        let tide = Tide::new(history, &today[0], thresholds);

        let mut pairs: Vec<usize> =
            self.days.iter().flat_map(|day| day.pairs.keys().copied()).collect();
        pairs.sort_unstable();
        pairs.dedup();
        let judged = pairs.into_par_iter().map_init(Vec::new, |history, pair| {
            let has_calls = |age: &usize| day_of(*age, pair, 0).hours.is_some();
            // Before its first call there is no history.
            let first = (0..=before).find(has_calls)?;
            let judge_with = |history: &mut Vec<DayOf<'d>>, heard: &[u32]| {
                history.clear();
                history.extend((first..before).map(|age| day_of(age, pair, strict[age])));
                judge(history, &day_of(before, pair, heard[before]), tide.as_ref(), thresholds)
            };
            let mut result = judge_with(history, &strict);
            if strict[before] != any[before]
                && let Judged::Anomalies(found) = &mut result
            {
                // What is too much is too much, whatever else is missing.
                found.retain(|anomaly| anomaly.kind == Kind::Drop);
                let rises = judge_with(history, &any);
                let rises = rises.anomalies().iter().filter(|one| one.kind != Kind::Drop);
                found.extend(rises.copied());
            }
            Some((pair, result))
        });
        let judged: Vec<_> = judged.collect();
        let mut result = DayJudged {
            history_days: strict[..before].iter().filter(|heard| **heard != 0).count() as u32,
            ..DayJudged::default()
        };
        for (pair, judged) in judged.into_iter().flatten() {
            match judged {
                Judged::TooLittle { .. } => result.too_little.push(pair),
                Judged::Anomalies(anomalies) => {
                    result.judged.push(pair);
                    result.anomalies.extend(anomalies.into_iter().map(|anomaly| (pair, anomaly)));
                }
            }
        }
        result
    }

    /// The hours of each day in which all regular sources were heard, and any at all.
    fn strictly_heard(&self, complete_until: i64) -> Vec<u32> {
        let Some(last) = self.days.back().map(|day| day.day) else { return Vec::new() };
        // The first day of each source, and hours with calls before the last day.
        let mut known: BTreeMap<u32, (i64, u32)> = BTreeMap::new();
        for day in &self.days {
            for (source, hours) in &day.sources {
                let (_, heard) = known.entry(*source).or_insert((day.day, 0));
                if day.day < last {
                    *heard += hours.count_ones();
                }
            }
        }
        known.retain(|_, (first, heard)| {
            let days = last - *first;
            days >= REGULAR_DAYS_MIN && f64::from(*heard) >= REGULAR_RATIO_MIN * 24.0 * days as f64
        });
        let heard = self.days.iter().map(|day| {
            let of = |source: &u32| {
                day.sources.iter().find(|(one, _)| one == source).map_or(0, |(_, hours)| *hours)
            };
            let regular = known.iter().filter(|(_, (first, _))| *first <= day.day);
            let heard =
                regular.fold(any_heard(&day.sources), |heard, (source, _)| heard & of(source));
            let complete = complete_until.saturating_sub(day.day.saturating_mul(24)).clamp(0, 24);
            heard & ((1u32 << complete) - 1)
        });
        heard.collect()
    }
}

fn any_heard(sources: &[(u32, u32)]) -> u32 {
    sources.iter().fold(0, |any, (_, hours)| any | hours)
}

/// The calls of all.
fn total(day: &Everyone) -> [Hour; 24] {
    let mut total = [Hour::default(); 24];
    // Sums do not depend on the order.
    #[allow(clippy::iter_over_hash_type)]
    for hours in day.pairs.values() {
        for (sum, hour) in total.iter_mut().zip(hours.iter()) {
            sum.calls = sum.calls.saturating_add(hour.calls);
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: u32 = (1 << 24) - 1;

    fn hours(calls: u32) -> HoursOfDay {
        Box::new([Hour { calls, denied: 0, subjects: 0 }; 24])
    }

    fn pairs<const N: usize>(hours: [HoursOfDay; N]) -> HashMap<usize, HoursOfDay> {
        hours.into_iter().enumerate().collect()
    }

    /// So many days on which two partners make a hundred calls an hour, by a source of their own each.
    fn steady(days: i64) -> Window {
        let mut window = Window::new(Thresholds::default());
        for day in 0..days {
            let sources = vec![(0, ALL), (1, ALL)];
            window.push(Everyone { day, sources, pairs: pairs([hours(100), hours(100)]) });
        }
        window
    }

    fn kinds(judged: &DayJudged) -> Vec<(usize, Kind)> {
        judged.anomalies.iter().map(|(pair, anomaly)| (*pair, anomaly.kind)).collect()
    }

    #[test]
    fn days_are_judged_by_those_before() {
        let mut window = steady(30);
        let mut spike = hours(100);
        spike[9].calls = 900;
        window.push(Everyone {
            day: 30,
            sources: vec![(0, ALL), (1, ALL)],
            pairs: pairs([spike, hours(100), hours(5000)]),
        });
        let judged = window.judge_last(i64::MAX);
        assert_eq!(kinds(&judged), [(0, Kind::Spike)]);
        assert_eq!(judged.judged, [0, 1]);
        assert_eq!((judged.too_little, judged.history_days), (vec![2], 30));
        assert_eq!(judged.anomalies[0].1.worst_hour, 30 * 24 + 9);
    }

    #[test]
    fn a_silent_source_is_no_drop_and_hides_no_spike() {
        let mut window = steady(30);
        let mut both = hours(100);
        both[3].calls = 900;
        // The second source, of the second partner, is silent all day.
        window.push(Everyone { day: 30, sources: vec![(0, ALL)], pairs: pairs([both]) });
        assert_eq!(kinds(&window.judge_last(i64::MAX)), [(0, Kind::Spike)]);
    }

    #[test]
    fn what_is_not_read_yet_is_no_drop() {
        let of_day = |from: usize| {
            let mut quiet = hours(100);
            quiet[from..].iter_mut().for_each(|hour| hour.calls = 0);
            Everyone {
                day: 30,
                sources: vec![(0, ALL), (1, ALL)],
                pairs: pairs([quiet, hours(100)]),
            }
        };
        let mut window = steady(30);
        window.push(of_day(20));
        assert_eq!(kinds(&window.judge_last(i64::MAX)), [(0, Kind::Drop)]);
        assert_eq!(kinds(&window.judge_last(30 * 24 + 20)), []);
    }

    #[test]
    fn what_is_too_long_ago_is_forgotten() {
        let mut window = steady(10);
        let later = 10 + i64::from(Thresholds::default().history_days);
        window.push(Everyone { day: later, sources: vec![(0, ALL)], pairs: pairs([hours(100)]) });
        let judged = window.judge_last(i64::MAX);
        assert!(judged.judged.is_empty());
        assert_eq!((judged.too_little, judged.history_days), (vec![0], 0));
    }
}
