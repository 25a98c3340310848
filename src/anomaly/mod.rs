//! Hours that are far from what a partner's own past leads one to expect: spikes, drops, sweeps over persons, denied bursts.
//!
//! A pure function of counts: [`judge()`] takes one day of one (partner, api), hour by hour, with the days before it, and
//! knows no file, no clock, no chance, and no other partner. Where all partners fall together it is the logs that are
//! short: that is told by a [`Tide`], the same expectation of the calls of all of them.
//!
//! Only sums, products, quotients, square roots and comparisons are done with floats: what IEEE 754 says to the bit, so that the
//! same counts give the same verdict on any machine. `docs/anomalies.md` has the method, its sources and how well it does.

mod thresholds;
mod past;
mod expect;
mod spread;
mod judge;
mod window;
#[cfg(test)]
mod tests;

pub use judge::judge;
pub use thresholds::{HISTORY_DAYS_MAX, Thresholds};
pub use window::{DayJudged, Everyone, HoursOfDay, Window};

use past::Past;

/// What an anomaly is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Many more calls in an hour than expected.
    Spike,
    /// Some hours on end with hardly any of the calls expected.
    Drop,
    /// Calls about many more persons in an hour than expected: enumeration, scraping.
    SubjectSweep,
    /// Many more denied calls in an hour than calls of that number have denied among them.
    DeniedBurst,
}

impl Kind {
    /// All of them, in the order in which [`judge()`] gives them.
    pub const ALL: [Kind; 4] = [Kind::Spike, Kind::Drop, Kind::SubjectSweep, Kind::DeniedBurst];

    /// The word used in every report.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Spike => "spike",
            Kind::Drop => "drop",
            Kind::SubjectSweep => "subject-sweep",
            Kind::DeniedBurst => "denied-burst",
        }
    }
}

/// Counts of one hour of one (partner, api).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hour {
    /// Calls of any outcome.
    pub calls: u32,
    /// Those of them that were denied.
    pub denied: u32,
    /// Distinct persons that they were about: exact, or an estimate with a standard error of at most 9.2 %.
    pub subjects: u32,
}

/// One day of one (partner, api).
#[derive(Clone, Copy, Debug)]
pub struct DayOf<'a> {
    /// Days since 1970-01-01, in UTC.
    pub day: i64,
    /// Bit `h` is set if logs of hour `h` were read. What was not read is not known, whatever `hours` says of it.
    pub heard: u32,
    /// The 24 hours; `None` if the day had no call.
    pub hours: Option<&'a [Hour; 24]>,
}

/// What is to be said of one day.
#[derive(Clone, Debug, PartialEq)]
pub enum Judged {
    /// The anomalies of the day, by [`Kind`], then by hour; none is a verdict too.
    Anomalies(Vec<Anomaly>),
    /// No verdict: so many days are known before it, which is less than [`Thresholds::history_days_min`].
    TooLittle {
        /// Days before it of which any hour was read.
        days: u32,
    },
}

impl Judged {
    /// The anomalies; none where there is no verdict.
    pub fn anomalies(&self) -> &[Anomaly] {
        match self {
            Judged::Anomalies(anomalies) => anomalies,
            Judged::TooLittle { .. } => &[],
        }
    }
}

/// Hours on end that are far from what was expected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Anomaly {
    /// What it is.
    pub kind: Kind,
    /// The first of its hours, in hours since 1970-01-01T00:00Z. A drop may begin up to two hours before the day judged.
    pub first_hour: i64,
    /// The last of its hours, in the day judged.
    pub last_hour: i64,
    /// The one farthest from what was expected.
    pub worst_hour: i64,
    /// What was counted: calls, persons or denied calls, of the worst hour; of a drop, calls of all its hours.
    pub observed: u64,
    /// What was expected in its place.
    pub expected: f64,
    /// How far apart the two are, in steps of the usual spread of this partner on this api: see [`Thresholds::score_min`].
    pub score: f64,
    /// The share of calls denied, in the worst hour and as usual: from 0 to 1. Only of a denied burst.
    pub denied_ratio: Option<DeniedRatio>,
    /// What it rests on.
    pub basis: Basis,
}

/// Shares of calls that were denied, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DeniedRatio {
    /// In the worst hour.
    pub observed: f64,
    /// On a usual day of the history.
    pub usual: f64,
}

/// The history that an expectation rests on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Basis {
    /// Days before it of which any hour was read.
    pub history_days: u32,
    /// How many of them have the worst hour on the same day of the week.
    pub same_hours: u32,
    /// The median of these, at the level of the last days.
    pub median: f64,
    /// What that was multiplied by, since the whole day was busier (above 1) or quieter (below 1) than others; else 1.
    pub day_ratio: f64,
}

/// What all partners together did in the hours of a day, beside what was expected of them. Where these fall, logs are missing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tide {
    /// For each hour calls counted, and calls expected; `None` where nothing is known to expect. The last hours of the day before come first.
    hours: [Option<(f64, f64)>; judge::HOURS_BEFORE + 24],
}

impl Tide {
    /// That of a day, from the calls of all partners of the same logs on that day and the days before it: only
    /// [`Hour::calls`] counts. `None` where the history is too short.
    pub fn new(history: &[DayOf<'_>], day: &DayOf<'_>, thresholds: &Thresholds) -> Option<Tide> {
        let past = Past::new(history, day, thresholds);
        if past.days_known() < thresholds.history_days_min {
            return None;
        }
        let calls = |hour: &Hour| hour.calls;
        let level = expect::Level::new(&past, calls)?;
        let hours = std::array::from_fn(|place| {
            let (age, hour) = judge::age_and_hour(place);
            let counted = past.value(age, hour, calls)?;
            Some((f64::from(counted), level.expected(&past, age, hour, calls)?.median))
        });
        Some(Tide { hours })
    }
}
