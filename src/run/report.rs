//! `overstay report`: any span of the days that are kept.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write;

use super::audit::{ambiguous, status, write};
use super::lives;
use super::nightly::{DAYS_TOLD, day_report, facts_of, kept_register, key_of, refused_told};
use super::odd::{all_odd, odd_days, odd_firsts, scope_of};
use super::output::{Folders, check_place};
use super::read::pool;
use super::uses::mentioned;
use super::{Ended, load_register, partner_id};
use crate::error::{Error, Result};
use crate::findings::hex;
use crate::judge::Judge;
use crate::plan::{Output, ReportPlan};
use crate::register::extended;
use crate::report::text::{counted, first_of};
use crate::report::{Facts, Nightly, NightlyDay, Ungranted};
use crate::state::{Disk, Folder, JudgedBy, Segment, Tables};
use crate::tally::{By, Tally};
use crate::time::{Instant, day_name};

/// Reports on the days of the plan, `stdout` being standard output.
///
/// # Errors
///
/// If there is no state, none of those days is kept, or no report can be made or written.
pub fn report(plan: &ReportPlan, stdout: &mut (dyn Write + Send)) -> Result<Ended> {
    let made = Folders::make(plan.outputs.iter().flat_map(Output::folders))?;
    let outputs = plan.outputs.iter().flat_map(Output::files).collect::<Vec<_>>();
    outputs.iter().try_for_each(|path| check_place(path))?;
    let ended = pool(&plan.read)?.install(|| of_state(plan, stdout))?;
    made.keep();
    Ok(ended)
}

fn of_state(plan: &ReportPlan, stdout: &mut (dyn Write + Send)) -> Result<Ended> {
    let folder = Folder::look(&plan.state.state, &plan.state.reports, &Disk);
    let Some(ledger) = folder.ledger()? else {
        return Err(Error::new(format!(
            "{}: there is no state, so there is nothing to report on",
            plan.state.state.display()
        ))
        .hint("`overstay nightly` makes it; `overstay audit` reports on logs without one"));
    };
    let key = key_of(&plan.state, &ledger)?;
    let Some(of_plan) = &plan.read.register else {
        return Err(Error::new("there is no register, and nothing to judge by"));
    };
    let mut warnings = plan.read.unused.clone();
    let register = match (load_register(of_plan), ledger.judged_by) {
        (Ok(register), _) => register,
        (Err(error), None) => return Err(error),
        // What was counted was judged already.
        (Err(error), Some(judged_by)) => {
            warnings.push(refused_told(&error));
            kept_register(&folder, of_plan, judged_by.register, &key)?
        }
    };
    if let Some(judged_by) = ledger.judged_by.filter(|by| *by != JudgedBy::of(&register)) {
        let what = match judged_by.register == register.digest {
            true => "propagation_s",
            false => "the register",
        };
        warnings.push(format!(
            "{what} has changed since the last run: verdicts are those of the registers that calls were judged by"
        ));
    }
    let since = plan.since_day.unwrap_or(i64::MIN);
    let until = plan.until_day.unwrap_or(i64::MAX);
    let days: Vec<_> = ledger.days.range(since..until).collect();
    let is_span = plan.since_day.is_some() || plan.until_day.is_some();
    if days.is_empty() && is_span {
        let kept = match (ledger.days.first_key_value(), ledger.days.last_key_value()) {
            (Some((first, _)), Some((last, _))) => {
                format!("the state keeps {} to {}", day_name(*first), day_name(*last))
            }
            _ => "the state keeps no day".to_owned(),
        };
        return Err(Error::new(format!("none of these days is kept: {kept}")));
    }
    let touched = days.iter().filter(|(_, known)| known.is_touched).map(|(day, _)| day_name(**day));
    let touched: Vec<String> = touched.collect();
    if !touched.is_empty() {
        warnings.push(format!(
            "calls of {} of this time were judged by an earlier register or propagation_s, and what run {} judged by may say otherwise of them: {} (`overstay nightly --rebuild` judges them anew, if their logs are still there)",
            counted(touched.len() as u64, "day", "days"),
            ledger.run,
            first_of(touched.into_iter(), DAYS_TOLD)
        ));
    }
    // Of days that were kept once only the number of their reports is known.
    let dropped =
        ledger.revisions.range(since..until).filter(|(day, _)| !ledger.days.contains_key(day));
    let dropped: Vec<i64> = dropped.map(|(day, _)| *day).collect();
    if let (Some(first), Some(last)) = (dropped.first(), dropped.last()) {
        warnings.push(format!(
            "{} of this time, {} to {}, are no longer kept (keep_days under [state], or --rebuild without their logs); their reports are",
            counted(dropped.len() as u64, "day", "days"),
            day_name(*first),
            day_name(*last)
        ));
    }

    let mut segments = Vec::new();
    for (_, day) in &days {
        let (shown, bytes) = folder.read(&day.segment)?;
        segments.push((Segment::decode(&shown, &bytes)?, shown));
    }
    let sources = plan.read.sources.iter().map(|(name, _)| name.clone());
    let tables = Tables::new(segments.iter().map(|(segment, _)| segment), sources);
    let wide = extended(&register, &mentioned(&ledger));
    let judge = Judge::new(wide.as_ref().unwrap_or(&register));
    let partner =
        plan.partner.as_ref().map(|partner| partner_id(judge.register, partner)).transpose()?;
    let mut tally = Tally::default();
    for (segment, shown) in &segments {
        let mut of_day = segment.tally(&judge, &tables, &key, shown)?;
        partner.iter().for_each(|partner| of_day.keep_only(*partner));
        tally.merge(of_day);
    }
    let facts = Facts { partner, ..facts_of(&plan.read, &tables) };
    let nightly = Nightly {
        run: ledger.run,
        run_at: Some(Instant::from_ns(ledger.run_at_ns)),
        is_committed: true,
        days: days
            .iter()
            .map(|(day, known)| NightlyDay {
                day: day_name(**day),
                revision: known.revision,
                calls: Some(known.calls),
                added: 0,
            })
            .collect(),
        previous: ledger.head.map(|head| hex(&head)),
        ..Nightly::default()
    };
    // What is told of logs and of the register is none of a partner's business.
    let told = match partner {
        None => lives::told(&ledger, plan.since_day.map(|day| By::Day.span(day).start)),
        Some(_) => Vec::new(),
    };
    let mut hours = BTreeMap::new();
    for (day, known) in &days {
        hours.insert(**day, Cow::from(folder.read(&known.hours)?.1));
    }
    let run_at = Instant::from_ns(ledger.run_at_ns);
    let is_asked_for = |of: &str, api: &str| {
        let is_listed = register.partner_id(of).is_some() && register.api_id(api).is_some();
        is_listed && plan.partner.as_ref().is_none_or(|partner| partner == of)
    };
    let thresholds = &plan.read.thresholds;
    let mut odd = odd_days(&folder, &ledger, &hours, thresholds, run_at, &is_asked_for)?;
    let with_networks = plan.read.notes_networks;
    let firsts = odd_firsts(&ledger, with_networks, |day| hours.contains_key(&day));
    let mut odd = all_odd(&mut odd, firsts, &register);
    if let Some(partner) = &plan.partner {
        odd.of_partner(partner, &register);
    }
    odd.scope.networks =
        with_networks.then(|| scope_of(&ledger, judge.register, &tally.networks, partner));
    let mut report = day_report(&judge, tally, facts, (nightly, told, Some(odd)), since..until);
    lives::tell(&ledger, &mut report);
    report.check()?;
    write(&report, &plan.outputs, plan.display, stdout)?;
    warnings.extend(ambiguous(&report));
    let ungranted = report.ungranted.iter().map(Ungranted::told).collect();
    Ok(Ended { warnings, notes: ungranted, ..Ended::new(status(&report, plan.fail_on)) })
}
