//! Other ways to tell what is far from the same hour of the week, held against the same worlds. They live here, not in `src/`.
//!
//! Each gives an hour a score from the counts of the same hour of the week in the eight weeks before; what a night scores is
//! its greatest hour (of a drop, its least of three on end). Each is told what the detector is not: which hours were lost on the way.

use overstay::anomaly::{Hour, Kind};

use crate::score::CHANGE_NIGHTS;
use crate::world::{DAYS, WARM_UP, World};

pub(crate) const RIVALS: [(&str, Score); 6] = [
    ("mean and standard deviation", plain),
    ("median and MAD", mad),
    ("the same of square roots (Anscombe)", anscombe),
    ("negative binomial tail", tail),
    ("exponentially weighted mean (EWMA)", ewma),
    ("ratio to the median", ratio),
];

/// How far a count is above the counts of the weeks before, the last week first; negative: below.
type Score = fn(f64, &[f64]) -> f64;

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn variance(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() as f64 - 1.0)
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]) / 2.0
}

fn plain(value: f64, before: &[f64]) -> f64 {
    (value - mean(before)) / variance(before).sqrt().max(1.0)
}

fn mad(value: f64, before: &[f64]) -> f64 {
    let middle = median(before);
    let far: Vec<f64> = before.iter().map(|value| (value - middle).abs()).collect();
    (value - middle) / (1.4826 * median(&far)).max(1.0)
}

fn anscombe(value: f64, before: &[f64]) -> f64 {
    let root = |value: f64| 2.0 * (value + 0.375).sqrt();
    mad(root(value), &before.iter().map(|&value| root(value)).collect::<Vec<_>>())
}

/// −log10 of the chance of as many or more (as few or fewer: negative), by moments.
fn tail(value: f64, before: &[f64]) -> f64 {
    let mean = mean(before).max(0.1);
    let over = ((variance(before) - mean) / (mean * mean)).max(0.01);
    // The cube root of a gamma is near to normal (E. B. Wilson, M. M. Hilferty, 1931); counts add their own chance to its spread.
    let spread = over + 1.0 / mean;
    let z = ((value / mean).cbrt() - (1.0 - spread / 9.0)) / (spread / 9.0).sqrt();
    let chance = 0.5 * (-0.717 * z.abs() - 0.416 * z * z).exp();
    -chance.log10() * z.signum()
}

fn ewma(value: f64, before: &[f64]) -> f64 {
    let (mut level, mut spread) = (before[before.len() - 1], 1.0 + before[before.len() - 1]);
    for &earlier in before.iter().rev().skip(1) {
        let far = earlier - level;
        level += 0.3 * far;
        spread = 0.7 * (spread + 0.3 * far * far);
    }
    (value - level) / spread.sqrt().max(1.0)
}

fn ratio(value: f64, before: &[f64]) -> f64 {
    let middle = median(before);
    if value >= middle { (value + 1.0) / (middle + 1.0) } else { -(middle + 1.0) / (value + 1.0) }
}

/// Scores of nights on which an anomaly of the target's effect was, and of nights on which none was: by kind.
#[derive(Default)]
pub(crate) struct Scores {
    pub(crate) injected: [Vec<f64>; 4],
    pub(crate) quiet: [Vec<f64>; 4],
}

pub(crate) fn scores(world: &World, score: Score) -> Scores {
    let mut scores = Scores::default();
    let of: [fn(&Hour) -> u32; 4] =
        [|hour| hour.calls, |hour| hour.calls, |hour| hour.subjects, |hour| hour.denied];
    for (n, pair) in world.pairs.iter().enumerate() {
        let read = |day: usize, hour: usize| {
            (world.heard[pair.source][day] & !world.lost[pair.source][day]) >> hour & 1 == 1
        };
        for day in WARM_UP.max(pair.since + 14)..DAYS {
            let injected = world.injected.iter().find(|it| it.pair == n && it.day == day);
            let changed =
                pair.changes.iter().any(|(from, _)| (*from..from + CHANGE_NIGHTS).contains(&day));
            for (kind, name) in Kind::ALL.into_iter().enumerate() {
                match injected {
                    Some(it) if !(it.target && it.kind == name) => continue,
                    None if changed => continue,
                    _ => {}
                }
                let hours: Vec<f64> = (0..24)
                    .map(|hour| {
                        let value = f64::from(of[kind](&pair.days[day][hour]));
                        let weeks = (1..=8).filter_map(|week| {
                            day.checked_sub(7 * week).filter(|&day| day >= pair.since)
                        });
                        let before: Vec<f64> = weeks
                            .filter(|&day| read(day, hour))
                            .map(|day| f64::from(of[kind](&pair.days[day][hour])))
                            .collect();
                        let drop = name == Kind::Drop;
                        let counts = if drop {
                            before.len() >= 2 && median(&before) >= 50.0
                        } else {
                            value >= 50.0
                        };
                        if before.len() < 2 || !read(day, hour) || !counts {
                            return f64::NEG_INFINITY;
                        }
                        if drop { -score(value, &before) } else { score(value, &before) }
                    })
                    .collect();
                let greatest = if name == Kind::Drop {
                    let least = hours
                        .windows(3)
                        .map(|hours| hours.iter().copied().fold(f64::INFINITY, f64::min));
                    least.fold(f64::NEG_INFINITY, f64::max)
                } else {
                    hours.into_iter().fold(f64::NEG_INFINITY, f64::max)
                };
                let list =
                    if injected.is_some() { &mut scores.injected } else { &mut scores.quiet };
                list[kind].push(greatest);
            }
        }
    }
    scores
}
