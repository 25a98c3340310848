use proptest::prelude::*;

use super::*;

/// A Monday.
const MONDAY: i64 = 19_723;
const ALL: u32 = (1 << 24) - 1;

/// Days of one (partner, api): what was counted, and which hours were read.
#[derive(Debug)]
struct Days(Vec<([Hour; 24], u32)>);

impl Days {
    /// So many days before the one judged, and that one, of so many calls in each hour: `calls(days before it, hour)`. A tenth
    /// of them are denied, half of them about persons of their own. Around that, a spread of a tenth that repeats nowhere soon.
    fn of(before: usize, calls: impl Fn(usize, usize) -> u32) -> Days {
        let hour = |age: usize, hour: usize| {
            let wave = ((age * 7 + hour * 11) * 13 % 41) as i64 - 20;
            let calls = (i64::from(calls(age, hour)) * (200 + wave) / 200) as u32;
            Hour { calls, denied: calls / 10, subjects: calls / 2 }
        };
        let day = |age: usize| (std::array::from_fn(|at| hour(age, at)), ALL);
        Days((0..=before).rev().map(day).collect())
    }

    /// The hour of the day judged.
    fn today(&mut self, hour: usize) -> &mut Hour {
        let last = self.0.len() - 1;
        &mut self.0[last].0[hour]
    }

    fn judge_with(&self, tide: Option<&Tide>) -> Judged {
        let days = self.days();
        let (day, history) = days.split_last().unwrap();
        judge(history, day, tide, &Thresholds::default())
    }

    fn judge(&self) -> Judged {
        self.judge_with(None)
    }

    /// Each anomaly as its kind and the first and last of its hours, counted from midnight of the day judged.
    fn told(&self) -> Vec<(Kind, i64, i64)> {
        let midnight = (MONDAY + self.0.len() as i64 - 1) * 24;
        let hours = |anomaly: &Anomaly| {
            (anomaly.kind, anomaly.first_hour - midnight, anomaly.last_hour - midnight)
        };
        self.judge().anomalies().iter().map(hours).collect()
    }

    fn days(&self) -> Vec<DayOf<'_>> {
        let day = |(n, (hours, heard)): (usize, &'_ ([Hour; 24], u32))| {
            // A day without calls is told as one in the state, too.
            let called = hours.iter().any(|hour| hour.calls > 0);
            (MONDAY + n as i64, *heard, called)
        };
        let days = self.0.iter().enumerate();
        days.map(|(n, known)| {
            let (day, heard, called) = day((n, known));
            DayOf { day, heard, hours: called.then_some(&known.0) }
        })
        .collect()
    }
}

fn steady(calls: u32) -> Days {
    Days::of(56, move |_, _| calls)
}

#[test]
fn a_usual_day_has_no_anomaly() {
    assert_eq!(steady(200).judge(), Judged::Anomalies(vec![]));
}

#[test]
fn four_times_the_calls_are_a_spike_and_twice_are_not() {
    let mut days = steady(200);
    days.today(9).calls = 800;
    days.today(10).calls = 900;
    assert_eq!(days.told(), [(Kind::Spike, 9, 10)]);
    let Judged::Anomalies(anomalies) = days.judge() else { panic!("there are 56 days") };
    assert_eq!((anomalies[0].observed, anomalies[0].worst_hour % 24), (900, 10));
    assert!((180.0..220.0).contains(&anomalies[0].expected), "{anomalies:?}");
    assert_eq!((anomalies[0].basis.history_days, anomalies[0].basis.same_hours), (56, 8));

    days.today(9).calls = 400;
    days.today(10).calls = 400;
    assert_eq!(days.told(), []);
}

#[test]
fn a_partner_with_three_calls_an_hour_does_not_spike_at_seven_nor_at_forty_nine() {
    for (calls, told) in [(7, vec![]), (49, vec![]), (50, vec![(Kind::Spike, 3, 3)])] {
        let mut days = steady(3);
        days.today(3).calls = calls;
        assert_eq!(days.told(), told, "{calls} calls");
    }
}

#[test]
fn many_more_persons_are_a_sweep_and_twice_as_many_are_not() {
    let mut days = steady(200);
    days.today(4).subjects = 400;
    assert_eq!(days.told(), [(Kind::SubjectSweep, 4, 4)]);
    days.today(4).subjects = 200;
    assert_eq!(days.told(), []);
}

#[test]
fn denied_calls_on_top_are_a_burst_and_those_that_go_with_more_calls_are_not() {
    let mut days = steady(1_000);
    *days.today(4) = Hour { calls: 1_300, denied: 400, subjects: 500 };
    let Judged::Anomalies(anomalies) = days.judge() else { panic!("there are 56 days") };
    assert_eq!(days.told(), [(Kind::DeniedBurst, 4, 4)]);
    let ratio = anomalies[0].denied_ratio.unwrap();
    assert!(
        (ratio.observed - 400.0 / 1_300.0).abs() < 1e-9 && (ratio.usual - 0.1).abs() < 0.005,
        "{ratio:?}"
    );

    // Four times the calls, with four times the denied ones among them, are a spike.
    *days.today(4) = Hour { calls: 4_000, denied: 400, subjects: 500 };
    assert_eq!(days.told(), [(Kind::Spike, 4, 4)]);
}

#[test]
fn three_hours_of_next_to_nothing_are_a_drop_and_two_are_not() {
    let mut days = steady(200);
    for hour in 9..12 {
        days.today(hour).calls = 20;
    }
    assert_eq!(days.told(), [(Kind::Drop, 9, 11)]);
    let Judged::Anomalies(anomalies) = days.judge() else { panic!("there are 56 days") };
    assert_eq!(anomalies[0].observed, 60);
    assert!((560.0..640.0).contains(&anomalies[0].expected), "{anomalies:?}");

    days.today(11).calls = 200;
    assert_eq!(days.told(), []);
    (9..11).for_each(|hour| days.today(hour).calls = 0);
    assert_eq!(days.told(), []);
}

#[test]
fn a_drop_across_midnight_is_told_by_the_second_day() {
    let mut days = steady(200);
    let before = days.0.len() - 2;
    days.0[before].0[23].calls = 0;
    days.today(0).calls = 0;
    days.today(1).calls = 0;
    assert_eq!(days.told(), [(Kind::Drop, -1, 1)]);
}

#[test]
fn where_few_calls_are_expected_none_is_no_drop() {
    let mut days = steady(45);
    (0..24).for_each(|hour| *days.today(hour) = Hour::default());
    assert_eq!(days.told(), []);
    let mut days = steady(60);
    (0..24).for_each(|hour| *days.today(hour) = Hour::default());
    assert_eq!(days.told(), [(Kind::Drop, 0, 23)]);
}

#[test]
fn hours_that_were_not_read_are_no_drop_and_no_history() {
    let mut days = steady(200);
    let last = days.0.len() - 1;
    for hour in 9..15 {
        *days.today(hour) = Hour::default();
        days.0[last].1 &= !(1 << hour);
    }
    assert_eq!(days.told(), []);
    // Nor do half of the days with nothing read in them make the rest a spike.
    for day in (0..last).step_by(2) {
        days.0[day] = ([Hour::default(); 24], 0);
    }
    assert_eq!(days.told(), []);
}

#[test]
fn where_all_partners_fall_it_is_the_logs() {
    let mut all = steady(5_000);
    let mut days = steady(200);
    for hour in 9..12 {
        all.today(hour).calls = 400;
        days.today(hour).calls = 20;
    }
    let tide = |days: &Days| {
        let days = days.days();
        let (day, history) = days.split_last().unwrap();
        Tide::new(history, day, &Thresholds::default()).unwrap()
    };
    assert_eq!(days.judge_with(Some(&tide(&all))), Judged::Anomalies(vec![]));
    // It is the partner's own where the others are there, and where the partner is nearly all there is.
    assert_eq!(days.judge_with(Some(&tide(&steady(5_000)))).anomalies().len(), 1);
    assert_eq!(days.judge_with(Some(&tide(&days))).anomalies().len(), 1);
}

#[test]
fn thirteen_days_are_too_little_and_fourteen_are_enough() {
    for (before, enough) in [(0, false), (13, false), (14, true)] {
        let mut days = Days::of(before, |_, _| 200);
        days.today(9).calls = 2_000;
        let judged = days.judge();
        if enough {
            assert_eq!(days.told(), [(Kind::Spike, 9, 9)]);
        } else {
            assert_eq!(judged, Judged::TooLittle { days: before as u32 });
        }
    }
}

#[test]
fn days_of_which_nothing_was_read_do_not_count_as_history() {
    let mut days = Days::of(20, |_, _| 200);
    for day in &mut days.0[..7] {
        day.1 = 0;
    }
    assert_eq!(days.judge(), Judged::TooLittle { days: 13 });
}

#[test]
fn nights_and_weekends_are_expected_to_be_what_they_are() {
    // The day judged is day 56 from a Monday: a Monday. Weekends have a tenth, nights a twentieth.
    let calls = |age: usize, hour: usize| {
        let weekend = matches!(age % 7, 1 | 2);
        if (8..18).contains(&hour) { if weekend { 100 } else { 1_000 } } else { 50 }
    };
    assert_eq!(Days::of(56, calls).told(), []);
    let mut night = Days::of(56, calls);
    night.today(3).calls = 400;
    assert_eq!(night.told(), [(Kind::Spike, 3, 3)]);
    // A Sunday that is as busy as a Monday, for some hours of it.
    let sunday = |age: usize, hour: usize| calls(age + 1, hour);
    let mut days = Days::of(55, sunday);
    (10..13).for_each(|hour| days.today(hour).calls = 1_000);
    assert_eq!(days.told(), [(Kind::Spike, 10, 12)]);
}

#[test]
fn a_holiday_that_halves_or_doubles_is_no_anomaly_and_hides_none() {
    let shape = |hour: usize| 100 + 30 * hour as u32;
    assert_eq!(Days::of(56, |age, hour| shape(hour) * if age == 0 { 2 } else { 1 }).told(), []);
    let mut quiet = Days::of(56, |age, hour| shape(hour) / if age == 0 { 2 } else { 1 });
    assert_eq!(quiet.told(), []);
    quiet.today(10).calls = 4 * shape(10) / 2;
    assert_eq!(quiet.told(), [(Kind::Spike, 10, 10)]);
}

#[test]
fn a_launch_is_told_on_its_first_three_nights_and_is_usual_then() {
    for (night, told) in [(1, true), (2, true), (3, true), (4, false), (30, false)] {
        let days = Days::of(56, |age, _| if age < night { 1_000 } else { 200 });
        assert_eq!(!days.told().is_empty(), told, "night {night}");
    }
    // And it is the new level that a drop is measured against.
    let mut days = Days::of(56, |age, _| if age < 10 { 1_000 } else { 200 });
    (9..12).for_each(|hour| days.today(hour).calls = 190);
    assert_eq!(days.told(), [(Kind::Drop, 9, 11)]);
}

#[test]
fn growth_is_no_anomaly() {
    assert_eq!(Days::of(56, |age, _| 2_000 - 30 * age as u32).told(), []);
}

#[test]
fn a_batch_at_random_hours_is_no_anomaly_and_ten_times_as_much_is() {
    let batch = |age: usize, hour: usize| if hour == age * 5 % 24 { 120 } else { 0 };
    assert_eq!(Days::of(56, batch).told(), []);
    let mut days = Days::of(56, batch);
    days.today(13).calls = 1_200;
    assert_eq!(days.told(), [(Kind::Spike, 13, 13)]);
}

#[test]
fn an_anomaly_three_weeks_ago_hides_none_of_today() {
    let mut days = steady(200);
    let then = days.0.len() - 22;
    days.0[then].0[9].calls = 1_600;
    days.today(9).calls = 800;
    assert_eq!(days.told(), [(Kind::Spike, 9, 9)]);
}

fn any_hour() -> impl Strategy<Value = Hour> {
    let count = || prop_oneof![4 => 0u32..300, 1 => Just(0u32), 1 => any::<u32>()];
    (count(), count(), count()).prop_map(|(calls, denied, subjects)| Hour {
        calls,
        denied,
        subjects,
    })
}

fn any_days() -> impl Strategy<Value = Days> {
    let heard = prop_oneof![6 => Just(ALL), 1 => any::<u32>(), 1 => Just(0)];
    let day =
        (any_hour(), any_hour(), any::<u32>(), heard).prop_map(|(one, other, which, heard)| {
            (std::array::from_fn(|hour| if which >> hour & 1 == 1 { one } else { other }), heard)
        });
    proptest::collection::vec(day, 1..70).prop_map(Days)
}

proptest! {
    #[test]
    fn whatever_the_counts_nothing_is_claimed_below_what_must_be_reached(days in any_days()) {
        let thresholds = Thresholds::default();
        for anomaly in days.judge().anomalies() {
            let ratio = anomaly.observed as f64 / anomaly.expected;
            match anomaly.kind {
                Kind::Drop => {
                    let hours = (anomaly.last_hour - anomaly.first_hour + 1) as f64;
                    prop_assert!(hours >= 3.0 && anomaly.score >= thresholds.drop_score_min);
                    prop_assert!(anomaly.expected >= 50.0 * hours / 3.0 && (anomaly.observed as f64) < anomaly.expected);
                }
                _ => prop_assert!(anomaly.observed >= 50 && ratio >= 3.0 && anomaly.score >= thresholds.score_min),
            }
            prop_assert!(anomaly.score.is_finite() && anomaly.expected.is_finite());
            prop_assert!((anomaly.first_hour..=anomaly.last_hour).contains(&anomaly.worst_hour));
            prop_assert_eq!(anomaly.last_hour.div_euclid(24), MONDAY + days.0.len() as i64 - 1);
        }
    }

    #[test]
    fn the_order_of_the_history_is_nothing(days in any_days(), seed in any::<u64>()) {
        let known = days.days();
        let (day, history) = known.split_last().unwrap();
        let mut mixed = history.to_vec();
        mixed.sort_by_key(|day| (day.day as u64).wrapping_mul(seed | 1));
        let thresholds = Thresholds::default();
        prop_assert_eq!(judge(history, day, None, &thresholds), judge(&mixed, day, None, &thresholds));
    }

    #[test]
    fn more_calls_in_an_hour_are_no_less_of_a_spike(calls in 100u32..5_000, more in 1u32..100_000) {
        let mut days = steady(calls);
        days.today(9).calls = calls * 5;
        let score = |days: &Days| days.judge().anomalies().iter().find(|a| a.kind == Kind::Spike).map(|a| a.score);
        let fewer = score(&days).unwrap();
        days.today(9).calls += more;
        prop_assert!(score(&days).unwrap() > fewer);
    }
}

#[test]
fn the_median_of_seven_is_the_fourth_of_them_in_whatever_order() {
    // What exchanges do to zeros and ones they do to anything (D. E. Knuth, volume 3, section 5.3.4).
    for bits in 0..128u32 {
        let mut values: [f64; 7] = std::array::from_fn(|at| f64::from(bits >> at & 1));
        assert_eq!(
            past::median(&mut values),
            Some(f64::from(u32::from(bits.count_ones() >= 4))),
            "{bits:b}"
        );
    }
    assert_eq!(past::median(&mut [4.0, 1.0, 3.0, 2.0]), Some(2.5));
    assert_eq!(past::median(&mut [5.0, 1.0, 3.0]), Some(3.0));
    assert_eq!(past::median(&mut []), None);
    let mut many: Vec<f64> = (0..50).map(|n| f64::from(n * 7 % 50)).collect();
    assert_eq!(past::median(&mut many), Some(24.5));
}

#[test]
fn a_day_at_the_ends_of_time_is_judged_too() {
    for day in [i64::MIN, i64::MAX] {
        let hours = [Hour { calls: u32::MAX, denied: u32::MAX, subjects: u32::MAX }; 24];
        let judged = DayOf { day, heard: u32::MAX, hours: Some(&hours) };
        let history: Vec<DayOf<'_>> =
            (0..60).map(|age| DayOf { day: day.wrapping_sub(age), ..judged }).collect();
        judge(&history, &judged, None, &Thresholds::default());
    }
}
