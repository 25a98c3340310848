//! The volume detector over the labelled series of the Numenta Anomaly Benchmark, by its own rule (A. Lavin, S. Ahmad, "Evaluating
//! Real-time Anomaly Detection Algorithms", 2015), standard profile.
//!
//! The series are no hourly counts, and most are two weeks long. So they are *read as* counts: each value is made a whole number by
//! one factor of its series, such that the mean of its first 15 % is 1,000. Where values come every half an hour or less often, an hour is
//! an hour. Where they come more often, a day is cut into 168 parts, each of which is taken for an hour of a week: then a season is a
//! day, and the history eight of them. An hour is the mean of its values, and what it scores is told at its last one; nothing ahead of it
//! counts.

use std::fs;
use std::path::Path;

use overstay::anomaly::{DayOf, Hour, Kind, Thresholds, judge};
use serde_json::Value;

const PROBATION: f64 = 0.15;
const FALSE_POSITIVE: f64 = 0.11;

/// One series: what each step scores, above and below, and the windows of steps that are labelled.
pub(crate) struct Series {
    pub(crate) name: String,
    scores: Vec<f64>,
    windows: Vec<(usize, usize)>,
}

/// All series below a folder, scored; in the order of their names.
pub(crate) fn read(folder: &Path) -> Option<Vec<Series>> {
    let labels: Value =
        serde_json::from_slice(&fs::read(folder.join("labels/combined_windows.json")).ok()?)
            .ok()?;
    let mut names: Vec<&String> = labels.as_object()?.keys().collect();
    names.sort();
    let series = |name: &&String| {
        let text = fs::read_to_string(folder.join(name)).ok()?;
        let rows: Vec<(&str, f64)> = text
            .lines()
            .skip(1)
            .filter_map(|line| {
                line.split_once(',').and_then(|(at, value)| Some((at, value.parse().ok()?)))
            })
            .collect();
        let step = |at: &str| rows.partition_point(|(row, _)| *row < at);
        let windows = labels[name.as_str()].as_array()?.iter().filter_map(|window| {
            let at = |n: usize| window[n].as_str().map(|at| at.split('.').next().unwrap_or(at));
            Some((step(at(0)?), step(at(1)?)))
        });
        let values: Vec<f64> = rows.iter().map(|(_, value)| *value).collect();
        let times: Vec<i64> = rows.iter().filter_map(|(at, _)| seconds(at)).collect();
        Some(Series {
            name: (*name).clone(),
            scores: scored(&times, &values),
            windows: windows.collect(),
        })
    };
    names.iter().map(series).collect()
}

/// Seconds since some Monday, of `2014-04-01 00:05:00`.
fn seconds(at: &str) -> Option<i64> {
    let mut parts = at.split(['-', ' ', ':']).map(|part| part.parse::<i64>());
    let mut next = || parts.next()?.ok();
    let (year, month, day, hour, minute, second) =
        (next()?, next()?, next()?, next()?, next()?, next()?);
    // Days from March on, so that leap days come last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day;
    Some((((days + 1) * 24 + hour) * 60 + minute) * 60 + second)
}

fn scored(times: &[i64], values: &[f64]) -> Vec<f64> {
    let first = &values[..(values.len() as f64 * PROBATION) as usize];
    let mean = first.iter().map(|value| value.abs()).sum::<f64>() / first.len().max(1) as f64;
    let factor = 1_000.0 / if mean > 0.0 { mean } else { 1.0 };
    let mut steps: Vec<i64> = times.windows(2).map(|two| two[1] - two[0]).collect();
    steps.sort_unstable();
    let finer = steps[steps.len() / 2] < 1_800;
    let hour_of = |time: i64| if finer { time * 168 / 86_400 } else { time / 3_600 };

    // By hour: the sum of its values, their number, and the last of them.
    let start = hour_of(times[0]) / 24 * 24;
    let hours = (hour_of(times[times.len() - 1]) - start + 1) as usize;
    let mut sums = vec![(0.0, 0u32, 0usize); hours.next_multiple_of(24)];
    for (at, (time, value)) in times.iter().zip(values).enumerate() {
        let of_hour = &mut sums[(hour_of(*time) - start) as usize];
        *of_hour = (of_hour.0 + value.max(0.0) * factor, of_hour.1 + 1, at);
    }
    let days: Vec<([Hour; 24], u32)> = sums
        .chunks(24)
        .map(|hours| {
            let calls = |(sum, count, _): (f64, u32, usize)| {
                (sum / f64::from(count.max(1))).round().min(4e9) as u32
            };
            let counts =
                std::array::from_fn(|at| Hour { calls: calls(hours[at]), ..Hour::default() });
            (counts, (0..24).filter(|&at| hours[at].1 > 0).fold(0, |heard, at| heard | 1 << at))
        })
        .collect();
    let days: Vec<DayOf<'_>> = days
        .iter()
        .enumerate()
        .map(|(day, (hours, heard))| DayOf { day: day as i64, heard: *heard, hours: Some(hours) })
        .collect();
    // Whatever is above or below at all, with its score.
    let all = Thresholds {
        spike_ratio_min: 1.0,
        drop_ratio_max: 1.0,
        drop_hours_min: 1,
        drop_expected_min: 1.0,
        score_min: 0.0,
        drop_score_min: 0.0,
        day_ratio_max: 1.0,
        ..Thresholds::default()
    };
    let mut scores = vec![0.0; values.len()];
    for (n, day) in days.iter().enumerate() {
        // A run is told by its worst hour: each hour is judged alone, the others taken for not read.
        for hour in (0..24).filter(|hour| day.heard >> hour & 1 == 1) {
            let alone = DayOf { heard: 1 << hour, ..*day };
            let judged = judge(&days[n.saturating_sub(56)..n], &alone, None, &all);
            let last = (n * 24 + hour) as i64;
            let kinds = judged
                .anomalies()
                .iter()
                .filter(|anomaly| matches!(anomaly.kind, Kind::Spike | Kind::Drop));
            let of_hour =
                kinds.filter(|anomaly| anomaly.last_hour == last).map(|anomaly| anomaly.score);
            scores[sums[n * 24 + hour].2] = of_hour.fold(0.0, f64::max);
        }
    }
    scores
}

fn sigmoid(position: f64) -> f64 {
    if position > 3.0 { -1.0 } else { 2.0 / (1.0 + (5.0 * position).exp()) - 1.0 }
}

/// What all series come to with one threshold: 0 is a detector that says nothing, 100 one that is perfect.
pub(crate) fn score(all: &[Series], threshold: f64) -> f64 {
    let (mut raw, mut perfect) = (0.0, 0.0);
    for series in all {
        let count = series.scores.len();
        let probation = (PROBATION * count.min(5_000) as f64) as usize;
        let windows = series.windows.iter().filter(|(_, last)| *last >= probation);
        let mut best: Vec<(usize, usize, Option<f64>)> =
            windows.map(|&(first, last)| (first, last, None)).collect();
        perfect += best.len() as f64;
        for (at, &score) in series.scores.iter().enumerate().skip(probation) {
            if score < threshold {
                continue;
            }
            if let Some((first, last, best)) =
                best.iter_mut().find(|(first, last, _)| (*first..=*last).contains(&at))
            {
                let width = (*last - *first + 1) as f64;
                let worth = sigmoid(-((*last - at + 1) as f64) / width) / sigmoid(-1.0);
                *best = Some(best.map_or(worth, |best: f64| best.max(worth)));
            } else {
                let before = series.windows.iter().rfind(|(_, last)| *last < at);
                let position = before.map_or(f64::INFINITY, |(first, last)| {
                    (at - last) as f64 / (last - first).max(1) as f64
                });
                raw += FALSE_POSITIVE * sigmoid(position);
            }
        }
        raw += best.iter().map(|(.., worth)| worth.unwrap_or(-1.0)).sum::<f64>();
    }
    // Saying nothing is worth -1 for each window.
    100.0 * (raw + perfect) / (2.0 * perfect)
}

/// The threshold that does best, and what it comes to: the benchmark lets each detector have one for all series.
pub(crate) fn best(all: &[Series]) -> (f64, f64) {
    let mut thresholds: Vec<f64> =
        all.iter().flat_map(|series| series.scores.iter().copied()).filter(|&s| s > 0.0).collect();
    thresholds.sort_by(f64::total_cmp);
    let steps = (0..400).map(|n| thresholds[(thresholds.len() - 1) * n / 400]).chain(
        // The greatest scores matter most: all of the last percent.
        thresholds.iter().rev().take(thresholds.len() / 100).step_by(3).copied(),
    );
    steps
        .map(|threshold| (threshold, score(all, threshold)))
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .unwrap_or((0.0, 0.0))
}

/// How the series of one folder do at a threshold.
pub(crate) fn of_folder(all: &[Series], folder: &str, threshold: f64) -> String {
    let (mut found, mut windows, mut wrong, mut count) = (0, 0, 0, 0);
    for series in all.iter().filter(|series| series.name.starts_with(folder)) {
        count += 1;
        let probation = (PROBATION * series.scores.len().min(5_000) as f64) as usize;
        let told: Vec<usize> =
            (probation..series.scores.len()).filter(|&at| series.scores[at] >= threshold).collect();
        let inside =
            |at: usize| series.windows.iter().any(|(first, last)| (*first..=*last).contains(&at));
        wrong += told.iter().filter(|&&at| !inside(at)).count();
        windows += series.windows.len();
        found += series
            .windows
            .iter()
            .filter(|(first, last)| told.iter().any(|at| (*first..=*last).contains(at)))
            .count();
    }
    format!(
        "{count} series, {found} of {windows} windows found, {wrong} steps told outside of them"
    )
}
