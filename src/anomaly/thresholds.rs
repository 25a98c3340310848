//! What must be reached for an hour to be an anomaly: every number that may be set, with its unit and its reason.

/// The most days that [`Thresholds::history_days`] may be: what a judgement holds of them lies on the stack.
pub const HISTORY_DAYS_MAX: u32 = 112;

/// What must be reached. All of it must be: the counts, the ratio and the score.
///
/// The defaults were settled on made months of traffic (`docs/anomalies.md`) whose seeds were set aside for that, before those that the
/// figures there are of were drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// Days before the one judged that are looked at, at most [`HISTORY_DAYS_MAX`]. Eight weeks: eight times the same hour of the week
    /// make a median that two odd ones do not move, and what is older says little of today.
    pub history_days: u32,
    /// Days that must be known before anything is said: every day of the week twice.
    pub history_days_min: u32,
    /// Calls in an hour, at least, for a spike. Below that no one needs to be woken, whatever was expected.
    pub spike_calls_min: u32,
    /// Calls in an hour for each one expected, at least, for a spike.
    pub spike_ratio_min: f64,
    /// Distinct persons in an hour, at least, for a subject sweep.
    pub sweep_subjects_min: u32,
    /// Persons in an hour for each one expected, at least, for a subject sweep.
    pub sweep_ratio_min: f64,
    /// Denied calls in an hour, at least, for a denied burst.
    pub burst_denied_min: u32,
    /// Denied calls in an hour for each one expected, at least, for a denied burst.
    pub burst_ratio_min: f64,
    /// Calls an hour that must have been expected for a drop: where few are expected, none is nothing odd.
    pub drop_expected_min: f64,
    /// Calls for each one expected, at most, for a drop.
    pub drop_ratio_max: f64,
    /// Hours on end, at least, for a drop, from 1 to 3: a single one is a deployment.
    pub drop_hours_min: u32,
    /// The least score, in steps of the spread that is usual for this partner on this api. What was as far away on three
    /// days of the history scores about 3, however wide the spread: so a partner with a batch at random hours has
    /// none of its batches told.
    pub score_min: f64,
    /// The same of a drop. It is less, since nothing is farther below what is expected than none at all.
    pub drop_score_min: f64,
    /// How much busier (or, as a fraction, quieter) a whole day may be for its hours to be held against that day's own level: a
    /// holiday halves or doubles. Beyond it the day itself is odd, and its hours are held against the history.
    pub day_ratio_max: f64,
    /// Calls of all other partners for each one expected of them, at least, for a drop to be the partner's own. Below it,
    /// logs are missing.
    pub tide_ratio_min: f64,
}

impl Default for Thresholds {
    fn default() -> Thresholds {
        Thresholds {
            history_days: 56,
            history_days_min: 14,
            spike_calls_min: 50,
            spike_ratio_min: 3.0,
            sweep_subjects_min: 50,
            sweep_ratio_min: 3.0,
            burst_denied_min: 50,
            burst_ratio_min: 3.0,
            drop_expected_min: 50.0,
            drop_ratio_max: 0.35,
            drop_hours_min: 3,
            score_min: 5.3,
            drop_score_min: 3.0,
            day_ratio_max: 3.3,
            tide_ratio_min: 0.6,
        }
    }
}
