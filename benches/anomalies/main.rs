//! How well `src/anomaly` does: on worlds whose truth is known, beside other ways, on labelled series; and what a night costs.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

mod chance;
mod score;
mod world;

use std::time::Instant;

use overstay::anomaly::{Kind, Thresholds};

use score::{Tally, evaluate};
use world::World;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let seeds: u64 = arguments.iter().position(|a| a == "--tune").and_then(|at| arguments[at + 1].parse().ok()).unwrap_or(4);
    let explain = arguments.iter().any(|a| a == "--explain");
    let began = Instant::now();
    let mut thresholds = Thresholds::default();
    for a in &arguments {
        if let Some((name, value)) = a.split_once('=') {
            let value: f64 = value.parse().unwrap();
            match name { "dscore" => thresholds.drop_score_min = value, "score" => thresholds.score_min = value, "ratio" => { thresholds.spike_ratio_min = value; thresholds.sweep_ratio_min = value; thresholds.burst_ratio_min = value }
                "drop" => thresholds.drop_ratio_max = value, "day" => thresholds.day_ratio_max = value, "tide" => thresholds.tide_ratio_min = value, "exp" => thresholds.drop_expected_min = value, _ => panic!() }
        }
    }
    let all_seeds: Vec<u64> = (if seeds > 100 { seeds - 100..=seeds - 100 } else { 1..=seeds }).collect();
    let tallies: Vec<Tally> = each(&all_seeds, |seed| {
            let world = World::new(seed, if arguments.iter().any(|a| a == "--rough") { &world::ROUGH } else { &world::USUAL });
            if let Some(at) = arguments.iter().position(|a| a == "--show") {
                let pair: usize = arguments[at + 1].parse().unwrap();
                let p = &world.pairs[pair];
                println!("{seed} {} holidays {:?}", p.manner, p.holidays);
                for (day, hours) in p.days.iter().enumerate() { print!("{day}:{} ", hours.iter().map(|h| h.calls).sum::<u32>()); }
                println!();
            }
            let tally = evaluate(&world, &thresholds, |pair, day, anomaly, word| {
                if explain {
                    println!("{seed} {pair} {day} {word} {} h{}-{} obs {} exp {:.1} med {:.1} score {:.2} same {} busy {:.2} days {} changes {:?} since {} {}",
                        anomaly.kind.as_str(), anomaly.first_hour.rem_euclid(24), anomaly.last_hour.rem_euclid(24), anomaly.observed, anomaly.expected, anomaly.basis.median, anomaly.score,
                        anomaly.basis.same_hours, anomaly.basis.day_ratio, anomaly.basis.history_days, world.pairs[pair].changes, world.pairs[pair].since, world.pairs[pair].manner);
                }
            });
            tally
    });
    let mut all = Tally::default();
    tallies.iter().for_each(|tally| all.add(tally));
    println!("{} partner-nights, {} pair-nights, {:.1} s", all.partner_nights, all.pair_nights, began.elapsed().as_secs_f64());
    for (n, kind) in Kind::ALL.iter().enumerate() {
        let (of, found) = all.target[n];
        println!("{:14} recall {:.3} of {of}; wrong {} right {} beside {} change {}; per 1000 {:.3}; by effect {:?}", kind.as_str(), found as f64 / of as f64,
            all.wrong[n], all.right[n], all.beside[n], all.change[n], 1000.0 * all.wrong[n] as f64 / all.partner_nights as f64,
            all.by_effect[n].map(|(of, found)| (100 * found / of.max(1))));
    }
    println!("per 1000: {:.3}; holiday wrong {} of {} nights; changes {:?}", 1000.0 * all.all_wrong() as f64 / all.partner_nights as f64, all.holiday, all.holiday_nights, all.changes);
}

/// What is made of each seed, in their order, on two threads.
fn each<T: Send>(seeds: &[u64], make: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let mut made: Vec<(usize, T)> = std::thread::scope(|scope| {
        let work = || {
            let mut mine = Vec::new();
            loop {
                let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let Some(&seed) = seeds.get(at) else { return mine };
                mine.push((at, make(seed)));
            }
        };
        let threads = [scope.spawn(work), scope.spawn(work)];
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    made.sort_by_key(|(at, _)| *at);
    made.into_iter().map(|(_, made)| made).collect()
}
