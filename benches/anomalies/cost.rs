//! What a night costs: 3,500 (partner, api) with 56 days of history, all of them large enough to be looked at.

use std::hint::black_box;
use std::time::{Duration, Instant};

use overstay::anomaly::{DayOf, Hour, Judged, Thresholds, judge};

use crate::chance::Chance;

const PAIRS: usize = 3_500;
const HISTORY: usize = 56;

/// Prints the fastest and the median of 15 nights, on one core.
pub(crate) fn night() {
    let mut chance = Chance::of(7, 7);
    let pairs: Vec<Vec<[Hour; 24]>> = (0..PAIRS)
        .map(|_| {
            let rate = chance.log_within(60.0, 5_000.0);
            let day = |chance: &mut Chance| {
                std::array::from_fn(|hour| {
                    let shape = 1.0 + (hour as f64 / 24.0 * std::f64::consts::TAU).sin() / 2.0;
                    let calls = chance.poisson(rate * shape * chance.clone().gamma(30.0));
                    Hour { calls, denied: calls / 50, subjects: calls - calls / 10 }
                })
            };
            (0..=HISTORY).map(|_| day(&mut chance)).collect()
        })
        .collect();
    let days: Vec<Vec<DayOf<'_>>> = pairs
        .iter()
        .map(|days| {
            let day =
                |(day, hours)| DayOf { day: day as i64, heard: (1 << 24) - 1, hours: Some(hours) };
            days.iter().enumerate().map(day).collect()
        })
        .collect();
    let thresholds = Thresholds::default();
    let mut times: Vec<Duration> = (0..15)
        .map(|_| {
            let (began, on_core) = (Instant::now(), on_core());
            let judged =
                days.iter().map(|days| judge(&days[..HISTORY], &days[HISTORY], None, &thresholds));
            let verdicts =
                judged.filter(|judged| matches!(black_box(judged), Judged::Anomalies(_))).count();
            assert_eq!(verdicts, PAIRS);
            // Of a machine that is shared, what the core was used for; elsewhere, what the clock says.
            on_core
                .and_then(|before| Some(self::on_core()? - before))
                .unwrap_or_else(|| began.elapsed())
        })
        .collect();
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "{PAIRS} (partner, api), 24 hours, 3 counts, {HISTORY} days: fastest {:.1} ms, median {:.1} ms",
        ms(times[0]),
        ms(times[7])
    );
}

/// How long this thread has run on a core, where the kernel tells (Linux).
fn on_core() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split_whitespace().next()?.parse().ok()?))
}
