//! How well `src/anomaly` does: on worlds whose truth is known, beside other ways, on labelled series; and what a night costs.
//!
//! `scripts/evaluate-anomalies` runs it and says with which arguments; `docs/anomalies.md` has what came out.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]
#![allow(clippy::needless_range_loop)] // days and hours are the names of what is indexed, in several tables at once

mod chance;
mod cost;
mod nab;
mod plot;
mod rivals;
mod score;
mod world;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use overstay::anomaly::{Kind, Thresholds};

use rivals::{RIVALS, Scores};
use score::{Tally, evaluate, garwood, over_seeds, wilson};
use world::{FALLS, NIGHTS, RISES, ROUGH, Temper, USUAL, World};

/// Seeds on which thresholds were settled, those of the detector and of its rivals: never those of an evaluation.
const TUNING: std::ops::RangeInclusive<u64> = 1..=16;
/// False alarms for 1,000 partner-nights that a rival's threshold may give of each kind, so that the four come to one.
const RIVAL_ALARMS: f64 = 0.25;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let value = |name: &str| {
        arguments.iter().position(|argument| argument == name).and_then(|at| arguments.get(at + 1))
    };
    if has("--evaluate") {
        let count = value("--count").map_or(50, |count| count.parse().unwrap());
        let seeds: Vec<u64> = match value("--seeds") {
            Some(seeds) if seeds == "tuning" => TUNING.collect(),
            Some(seeds) => seeds.split(',').map(|seed| seed.parse().unwrap()).collect(),
            None => (0..count).map(|_| getrandom::u64().unwrap() | 1 << 63).collect(),
        };
        println!("{:?}\n", Thresholds::default());
        println!("seeds: {}\n", seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(","));
        let usual = told("Usual worlds", &seeds, &USUAL);
        told("Rough worlds", &seeds[..seeds.len().min(10)], &ROUGH);
        beside_rivals(&seeds[..seeds.len().min(8)]);
        if let Some(path) = value("--plot") {
            std::fs::write(path, plot::recall(&usual)).unwrap();
        }
    }
    if has("--evaluate") || has("--nab") {
        let fallback = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/real-logs");
        let folder = std::env::var("OVERSTAY_REAL_LOGS").unwrap_or_else(|_| fallback.to_owned());
        labelled_series(&Path::new(&folder).join("nab"));
    }
    if !has("--evaluate") && !has("--nab") {
        cost::night();
    }
}

/// What is made of each seed, in their order, on two threads.
fn each<T: Send>(seeds: &[u64], make: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut made = Vec::new();
        while let Some((at, &seed)) = {
            let at = next.fetch_add(1, Ordering::Relaxed);
            seeds.get(at).map(|seed| (at, seed))
        } {
            made.push((at, make(seed)));
        }
        made
    };
    let mut made: Vec<(usize, T)> = thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    made.sort_by_key(|(at, _)| *at);
    made.into_iter().map(|(_, made)| made).collect()
}

fn share(count: u64, of: u64) -> String {
    let (low, high) = wilson(of, count);
    format!("{:.3} [{low:.3}, {high:.3}]", count as f64 / of.max(1) as f64)
}

fn told(title: &str, seeds: &[u64], temper: &Temper) -> Tally {
    let tallies = each(seeds, |seed| evaluate(&World::new(seed, temper), &Thresholds::default()));
    let mut all = Tally::default();
    tallies.iter().for_each(|tally| all.add(tally));
    println!("## {title}: {} seeds of {NIGHTS} nights\n", seeds.len());
    println!(
        "{} partner-nights, {} nights of (partner, api)\n",
        all.partner_nights, all.pair_nights
    );
    println!(
        "| kind | recall (Wilson 95 %) | injected | precision (Wilson 95 %) | false alarms | for 1,000 partner-nights (Garwood 95 %) |"
    );
    println!("| --- | --- | --: | --- | --: | --- |");
    let thousands = all.partner_nights as f64 / 1_000.0;
    let rate = |count: u64| {
        let (low, high) = garwood(count);
        format!("{:.3} [{:.3}, {:.3}]", count as f64 / thousands, low / thousands, high / thousands)
    };
    for (n, kind) in Kind::ALL.iter().enumerate() {
        let ((of, found), right, wrong) = (all.target[n], all.right[n], all.wrong[n]);
        let (recall, precision) = (share(found, of), share(right, right + wrong));
        println!(
            "| `{}` | {recall} | {of} | {precision} | {wrong} | {} |",
            kind.as_str(),
            rate(wrong)
        );
    }
    println!("| all | | | | {} | {} |\n", all.all_wrong(), rate(all.all_wrong()));
    let counts: Vec<(u64, u64)> =
        tallies.iter().map(|tally| (tally.all_wrong(), tally.partner_nights)).collect();
    let (low, high) = over_seeds(&counts);
    println!("All, bootstrap over seeds: [{:.3}, {:.3}]", 1_000.0 * low, 1_000.0 * high);
    println!("On holidays: {} of {} nights of (partner, api)", all.holiday, all.holiday_nights);
    println!("Beside an injected anomaly of another kind, in its hours: {:?}", all.beside);
    println!(
        "On the first nights of a changed level: {:?}; changes by 3 or to a fifth that were told: {} of {}\n",
        all.change, all.changes.1, all.changes.0
    );
    println!("Recall by effect:\n");
    println!("| kind | {} |", RISES.map(|effect| format!("{effect} ×")).join(" | "));
    println!("| --- |{}", " --: |".repeat(RISES.len()));
    for (n, kind) in Kind::ALL.iter().enumerate().filter(|(_, kind)| **kind != Kind::Drop) {
        let recalls =
            all.by_effect[n].map(|(of, found)| format!("{:.2}", found as f64 / of.max(1) as f64));
        println!("| `{}` | {} |", kind.as_str(), recalls.join(" | "));
    }
    let falls = FALLS.iter().zip(&all.by_effect[1]);
    let falls = falls.map(|(effect, (of, found))| {
        format!("to {effect}: {:.2}", *found as f64 / (*of).max(1) as f64)
    });
    println!("| `drop` | {} | |\n", falls.collect::<Vec<_>>().join(" | "));
    all
}

/// The same worlds by other scores, each with the thresholds that give it as many false alarms as the detector may have.
fn beside_rivals(seeds: &[u64]) {
    println!("## Other ways: {} of the seeds, thresholds from the tuning seeds\n", seeds.len());
    println!(
        "Recall by kind where each may have {RIVAL_ALARMS} false alarms for 1,000 partner-nights on the tuning seeds, and how many it had on these.\n"
    );
    println!(
        "| score | {} | alarms, all kinds |",
        Kind::ALL.map(|kind| format!("`{}`", kind.as_str())).join(" | ")
    );
    println!("| --- |{} --: |", " --: |".repeat(4));
    // Nights of a partner for each of its (partner, api), as the detector's own tally has them.
    let of_detector =
        each(seeds, |seed| evaluate(&World::new(seed, &USUAL), &Thresholds::default()));
    let mut all = Tally::default();
    of_detector.iter().for_each(|tally| all.add(tally));
    let partner_share = all.partner_nights as f64 / all.pair_nights as f64;
    for (name, score) in RIVALS {
        let gather = |seeds: &[u64]| {
            let mut all = Scores::default();
            for scores in each(seeds, |seed| rivals::scores(&World::new(seed, &USUAL), score)) {
                for kind in 0..4 {
                    all.injected[kind].extend(&scores.injected[kind]);
                    all.quiet[kind].extend(&scores.quiet[kind]);
                }
            }
            all
        };
        let tuning: Vec<u64> = TUNING.take(6).collect();
        let (mut tuned, here) = (gather(&tuning), gather(seeds));
        let (mut recalls, mut alarms) = (Vec::new(), 0.0);
        for kind in 0..4 {
            let quiet = &mut tuned.quiet[kind];
            quiet.sort_by(|a, b| b.total_cmp(a));
            let threshold =
                quiet[(quiet.len() as f64 * partner_share * RIVAL_ALARMS / 1_000.0) as usize];
            let above =
                |scores: &[f64]| scores.iter().filter(|&&score| score > threshold).count() as f64;
            recalls.push(format!(
                "{:.2}",
                above(&here.injected[kind]) / here.injected[kind].len() as f64
            ));
            alarms += 1_000.0 * above(&here.quiet[kind])
                / (here.quiet[kind].len() as f64 * partner_share);
        }
        println!("| {name} | {} | {alarms:.2} |", recalls.join(" | "));
    }
    let recalls = all.target.map(|(of, found)| format!("{:.2}", found as f64 / of as f64));
    let alarms = 1_000.0 * all.all_wrong() as f64 / all.partner_nights as f64;
    println!("| **`src/anomaly`** | {} | {alarms:.2} |\n", recalls.join(" | "));
}

fn labelled_series(folder: &Path) {
    println!("## Labelled series\n");
    let Some(all) = nab::read(folder) else {
        println!("skipped: there is no {}\n", folder.display());
        return;
    };
    let (threshold, best) = nab::best(&all);
    let default = nab::score(&all, Thresholds::default().score_min);
    println!("{} series of the Numenta Anomaly Benchmark, standard profile:", all.len());
    println!(
        "best threshold for all series ({threshold:.2}): {best:.1}; score_min as it is: {default:.1}\n"
    );
    println!("By folder, at the best threshold:");
    let mut folders: Vec<&str> =
        all.iter().filter_map(|series| Some(series.name.split_once('/')?.0)).collect();
    folders.dedup();
    for name in folders {
        let of_folder = nab::of_folder(&all, name, threshold);
        println!("  {name}: {of_folder}");
    }
    println!();
}
