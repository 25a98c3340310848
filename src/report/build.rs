//! From what was counted to a report: a pure function of tally, register and plan.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::*;
use crate::anomaly::Thresholds;
use crate::call::{Outcome, Reason};
use crate::findings::{
    self, Apart, Days, Edges, Found, Odd, OddUse, Past, Row, Severities, Suppression as Decision,
    Target, Told, Unjudged, UnknownCredentials, Used,
};
use crate::judge::Judge;
use crate::limits;
use crate::register::{CredentialId, GrantId, PartnerId, Shown};
use crate::tally::{
    self, Bounded, Cells, Estimate, FinishedSeries, Group, Latencies, NamedCells, Names, Networks,
    OTHER, Span, Tally, outcome_index,
};

/// How often a source is expected to hold calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// In every hour.
    Hourly,
    /// On every day.
    Daily,
}

/// All that a report is made of beside the tally and the judge.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// `--since`.
    pub since: Option<Instant>,
    /// `--until`.
    pub until: Option<Instant>,
    /// BLAKE3 of the configuration file, hex.
    pub config_digest: Option<String>,
    /// What the inputs' paths are relative to.
    pub paths_from: PathsFrom,
    /// The sources, sorted by name; a tally refers to them by index.
    pub sources: Vec<(String, Option<Expect>)>,
    /// The inputs, sorted by path, then source; a tally refers to them by index.
    pub inputs: Vec<InputFacts>,
    /// What was asked for and not read as it should have been, beside the inputs' own faults.
    pub unread: Vec<Partial>,
    /// Configured severities.
    pub severities: Severities,
    /// Configured suppressions.
    pub suppressions: Vec<Decision>,
    /// What it takes to be an anomaly.
    pub thresholds: Thresholds,
    /// Whether the tally has the networks that calls came from.
    pub notes_networks: bool,
    /// The only partner whose calls the tally holds, beside what it says of inputs and sources.
    pub partner: Option<PartnerId>,
    /// What is known beside the tally, where state is kept.
    pub state: Option<StateFacts>,
}

/// When sources were heard last, for those of which calls are expected.
#[derive(Clone, Debug)]
pub struct Silence {
    /// The last hour with a call that runs before have read, by source.
    pub last_heard: BTreeMap<String, Instant>,
    /// When the run before was: of what was not over then it expected nothing.
    pub since: Option<Instant>,
    /// Until when calls should have come.
    pub until: Instant,
}

/// What is known from run to run.
#[derive(Clone, Debug, Default)]
pub struct StateFacts {
    /// When the last run was: what needs no call to be found is looked for as of then, if the window's end is later. A call
    /// with a wrong date tells nothing of what will have run out by that date.
    pub end_max: Option<Instant>,
    /// When sources were heard last; none: nothing is said of what comes after the report's calls.
    pub silence: Option<Silence>,
    /// What of the register was used in all the time that is kept; none: by what the tally has.
    pub used: Option<Used>,
    /// What became of logs, and of the register.
    pub told: Vec<Told>,
    /// What is odd beside the days that are kept; none: what is within the tally's own days.
    pub odd: Option<Odd>,
    /// Where the report stands.
    pub nightly: Nightly,
}

/// What is known of an input beside its sums.
#[derive(Clone, Debug, Default)]
pub struct InputFacts {
    /// As named by the user or found below it.
    pub path: String,
    /// Its source's name.
    pub source: String,
    /// The format it was read in.
    pub format: Option<String>,
    /// `gzip`, `zstd` or none.
    pub compression: Option<&'static str>,
    /// Decompressed bytes read.
    pub bytes: u64,
    /// Bytes that were left to another time.
    pub pending_bytes: u64,
    /// BLAKE3 of the file as it lies, hex.
    pub digest: Option<String>,
    /// Why it was not read to its end, if so.
    pub fault: Option<String>,
    /// Whether it was not read to its end for a reason that was told before.
    pub ends_early: bool,
    /// Why its rejects are too many, if they are.
    pub rejects_fault: Option<String>,
    /// The path of the input with the same content, which counts instead.
    pub repeats: Option<String>,
    /// Whether not a line of it was read.
    pub unopened: bool,
    /// The shapes of its first lines, where that is because no format could be told.
    pub unknown_shapes: Vec<String>,
    /// Its number among the logs that are known, where state is kept.
    pub id: Option<u64>,
}

/// The findings of a tally.
#[derive(Debug)]
pub struct Judgement {
    /// By id.
    pub found: Vec<Found>,
    /// What of the log they tell apart.
    pub apart: Apart,
}

/// Finds what [`build()`] reports as findings, and nothing else.
pub fn judgement(judge: &Judge<'_>, tally: Tally, facts: &Facts) -> Judgement {
    let past = past(&tally, facts);
    let span = span(&tally);
    let Tally { cells, named, unknown, stale, networks, hourly, served, sources, .. } = tally;
    let (rows, names) = named_rows(Some(judge), cells, named);
    let (served, sources) = (&served, &sources);
    let counted = odd::Counted { hourly, served, sources, span, networks: &networks };
    let odd = odd::within(judge, &rows, counted, facts);
    judged(Some(judge), &rows, names, unknown, stale, (&past, &odd.uses, &networks), facts)
}

/// What is to be known of the time that the logs are about.
fn past(tally: &Tally, facts: &Facts) -> Past {
    // Sums do not depend on the order.
    #[allow(clippy::iter_over_hash_type)]
    let hours: BTreeSet<i64> = tally
        .sources
        .values()
        .flat_map(|source| &source.hours)
        .map(|hour| hour.div_euclid(24))
        .collect();
    let state = facts.state.as_ref();
    let used = state.and_then(|state| state.used.clone());
    let end = match &used {
        Some(used) => used.window_end,
        None => facts.until.or(span(tally).last),
    };
    let end_max = state.and_then(|state| state.end_max).unwrap_or(Instant::MAX);
    let days = Days {
        numbers: hours.into_iter().collect(),
        tell_who: tally.sources.values().any(|source| source.tells_who),
    };
    Past {
        window_end: end.map(|end| end.min(end_max)),
        days: used.as_ref().map_or(days, |used| used.days.clone()),
        partner: facts.partner,
        used,
    }
}

/// The first and the last call counted.
fn span(tally: &Tally) -> Span {
    let mut span = Span::default();
    tally.inputs.values().for_each(|input| span.merge(input.span));
    span
}

/// What is found in a tally's rows: nothing without a judge.
fn judged(
    judge: Option<&Judge<'_>>,
    rows: &[Row],
    names: HashSet<Names>,
    unknown: Bounded<[u8; 32], Group>,
    stale: hashbrown::HashMap<CredentialId, Group>,
    (past, odd, networks): (&Past, &[OddUse], &Networks),
    facts: &Facts,
) -> Judgement {
    let (kept, other) = unknown.finish();
    let unknown = UnknownCredentials::new(kept, other);
    let stale = stale.into_iter().collect();
    let told = facts.state.as_ref().map_or(&[][..], |state| &state.told);
    let found = judge.map_or_else(Vec::new, |judge| {
        let told = (told, odd, networks);
        findings::collect(judge, rows, &stale, &unknown, past, told, &facts.severities)
    });
    let credentials = unknown.top.iter().map(|(digest, _)| *digest).collect();
    Judgement { found, apart: Apart { credentials, names } }
}

/// The cells with their names, and which names are told apart.
fn named_rows(
    judge: Option<&Judge<'_>>,
    cells: Cells,
    named: Bounded<Names, NamedCells>,
) -> (Vec<Row>, HashSet<Names>) {
    let nothing_logged = Names::default();
    let (kept, other) = named.finish();
    let known =
        cells.0.into_iter().map(|(key, cell)| Row::new(judge, key, Some(&nothing_logged), cell));
    let mut rows: Vec<Row> = known.collect();
    let mut apart = HashSet::new();
    for (names, NamedCells { shown, cells }) in kept {
        let credential = names.credential.zip(shown);
        let credential = credential.map(|(digest, shown)| Unjudged::One(digest, shown));
        rows.extend(cells.0.into_iter().map(|(key, cell)| Row {
            credential: credential.clone(),
            ..Row::new(judge, key, Some(&names), cell)
        }));
        apart.insert(names);
    }
    let cut_off = other.into_iter().flat_map(|named| named.cells.0);
    rows.extend(cut_off.map(|(key, cell)| Row::new(judge, key, None, cell)));
    (rows, apart)
}

/// Builds the report, its parts side by side on the current thread pool. Without a judge nothing was judged.
pub fn build(judge: Option<&Judge<'_>>, tally: Tally, facts: &Facts) -> Report {
    let (past, span) = (past(&tally, facts), span(&tally));
    let Tally {
        cells,
        named,
        unknown,
        stale,
        partners,
        apis,
        series,
        sources,
        inputs,
        rejects,
        hourly,
        served,
        networks,
    } = tally;
    let window =
        Window { since: facts.since, until: facts.until, first: span.first, last: span.last };
    let edges = edges(&window);
    let window_end = past.window_end;
    let (rows, names) = named_rows(judge, cells, named);
    let rows = rows.as_slice();

    // Those that take long.
    let findings = || {
        let known = facts.state.as_ref().and_then(|state| state.odd.clone());
        let odd = known.unwrap_or_else(|| match judge {
            Some(judge) => {
                let (served, sources, networks) = (&served, &sources, &networks);
                let counted = odd::Counted { hourly, served, sources, span, networks };
                odd::within(judge, rows, counted, facts)
            }
            None => Odd::default(),
        });
        let scope = odd.scope;
        let Judgement { found, .. } =
            judged(judge, rows, names, unknown, stale, (&past, &odd.uses, &networks), facts);
        let ids = || found.iter().map(|finding| finding.id.as_str());
        let decisions: Vec<Decision> =
            facts.suppressions.iter().map(|decision| decision.among(ids())).collect();
        let suppressions = suppression_rows(judge, &decisions, &found, window_end, facts.partner);
        (suppressions, finding_rows(judge, found, facts, &decisions, window_end), scope)
    };
    let of_hours =
        || (series_rows(judge, series.finish()), end_rows(judge, rows, edges, facts.partner));
    let people = || {
        let mut people = tally::Subjects::default();
        let overstayed = rows.iter().filter(|row| row.key.overstayed());
        overstayed.for_each(|row| people.merge(&row.cell.subjects));
        people.estimate()
    };
    let ((usage, (partners, people)), (apis, ((suppressions, findings, scope), (series, ends)))) =
        rayon::join(
            || {
                rayon::join(
                    || usage_rows(judge, rows),
                    || (partner_rows(judge, rows, &partners, facts.partner), people()),
                )
            },
            || {
                rayon::join(
                    || api_rows(judge, rows, &apis, facts.partner),
                    || rayon::join(findings, of_hours),
                )
            },
        );

    let inputs = input_rows(facts, &inputs);
    let partial = partial(facts);
    let mut report = Report {
        schema: SCHEMA,
        program: PROGRAM.to_owned(),
        status: if partial.is_empty() { Status::Complete } else { Status::Partial },
        partial,
        headline: String::new(),
        partner: partner_name(judge, facts.partner),
        window,
        config: Config { digest: facts.config_digest.clone(), paths_from: facts.paths_from },
        register: register_row(judge),
        accounting: accounting(&inputs),
        rejects: reject_rows(&rejects, facts),
        usage,
        partners,
        apis,
        series,
        ends,
        exceptions: exception_rows(judge, rows, facts.partner),
        suppressions,
        findings,
        anomalies: Anomalies::new(scope, facts.thresholds.history_days_min),
        flipped: Vec::new(),
        nightly: facts.state.as_ref().map(|state| state.nightly.clone()),
        overstayed_people: people.into(),
        ungranted: None,
        coverage: coverage(judge, rows, facts, &sources, &past.days, edges),
        inputs,
    };
    report.ungranted = judge.and_then(|judge| ungranted::ungranted(&report, judge.register));
    report.headline = text::headline(&report, &report.overstayed_people);
    report
}

/// The window that ends and coverage are judged in; none where nothing says.
fn edges(window: &Window) -> Option<Edges> {
    let start = window.since.or(window.first)?;
    let just_after = |last: Instant| Instant::from_ns(last.ns().saturating_add(1));
    let end = window.until.or(window.last.map(just_after))?;
    Some(Edges { start, end })
}

impl From<Estimate> for Subjects {
    fn from(estimate: Estimate) -> Subjects {
        let Estimate { count, exact, low, high } = estimate;
        Subjects { count, exact, low, high }
    }
}

/// Whether a partner is among those a report is about: all of them, or only one.
fn is_of(only: Option<PartnerId>, partner: PartnerId) -> bool {
    only.is_none_or(|only| only == partner)
}

fn partner_ref<'j>(judge: Option<&Judge<'j>>, id: Option<PartnerId>) -> Option<&'j str> {
    Some(&judge?.register.partners[id?.0 as usize].id)
}

fn partner_name(judge: Option<&Judge<'_>>, id: Option<PartnerId>) -> Option<String> {
    partner_ref(judge, id).map(str::to_owned)
}

fn grant_ref<'j>(judge: Option<&Judge<'j>>, id: Option<GrantId>) -> Option<&'j str> {
    Some(&judge?.register.grants[id?.0 as usize].id)
}

fn grant_name(judge: Option<&Judge<'_>>, id: Option<GrantId>) -> Option<String> {
    grant_ref(judge, id).map(str::to_owned)
}

fn partial(facts: &Facts) -> Vec<Partial> {
    let mut partial = facts.unread.clone();
    for input in &facts.inputs {
        let reasons = input.fault.iter().chain(&input.rejects_fault);
        partial.extend(
            reasons.map(|reason| Partial { path: input.path.clone(), reason: reason.clone() }),
        );
    }
    partial.sort();
    partial
}

fn register_row(judge: Option<&Judge<'_>>) -> Register {
    let register = judge.map(|judge| judge.register);
    let counts = register.map(|register| register.counts).unwrap_or_default();
    Register {
        digest: register.map(|register| findings::hex(&register.digest)),
        partners: counts.partners,
        credentials: counts.credentials,
        apis: counts.apis,
        grants: counts.grants,
        as_known_at: register.and_then(|register| register.as_known_at),
    }
}

fn input_rows(facts: &Facts, sums: &hashbrown::HashMap<u32, tally::InputSums>) -> Vec<Input> {
    let empty = tally::InputSums::default();
    let row = |(index, input): (u32, &InputFacts)| {
        let sums = sums.get(&index).unwrap_or(&empty);
        Input {
            path: input.path.clone(),
            source: input.source.clone(),
            format: input.format.clone(),
            compression: input.compression,
            bytes: input.bytes,
            digest: input.digest.clone(),
            lines: sums.lines(),
            blank: sums.blank,
            calls: sums.calls,
            rejected: sums.rejected,
            outside_window: sums.outside_window,
            duplicates: sums.duplicates,
            repeats_unchecked: sums.repeats_unchecked,
            pending_bytes: input.pending_bytes,
            gap_bytes: sums.gap_bytes,
            first: sums.span.first,
            last: sums.span.last,
            complete: input.fault.is_none() && !input.ends_early,
            repeats: input.repeats.clone(),
        }
    };
    (0..).zip(&facts.inputs).map(row).collect()
}

fn accounting(inputs: &[Input]) -> Accounting {
    inputs.iter().fold(Accounting::default(), |sum, input| Accounting {
        lines: sum.lines + input.lines,
        blank: sum.blank + input.blank,
        calls: sum.calls + input.calls,
        rejected: sum.rejected + input.rejected,
        outside_window: sum.outside_window + input.outside_window,
        duplicates: sum.duplicates + input.duplicates,
    })
}

fn reject_rows(rejects: &tally::Rejects, facts: &Facts) -> Rejects {
    let of = |reason: Reason| rejects.counts[reason as usize];
    let mut sample: Vec<Reject> = rejects
        .kept()
        .map(|reject| Reject {
            path: facts.inputs[reject.input as usize].path.clone(),
            line: reject.line,
            offset: reject.offset,
            reason: reject.reason.as_str(),
            shape: reject.shape.clone(),
        })
        .collect();
    sample.sort();
    Rejects {
        by_reason: RejectCounts {
            too_long: of(Reason::TooLong),
            not_utf8: of(Reason::NotUtf8),
            malformed: of(Reason::Malformed),
            no_time: of(Reason::NoTime),
            no_target: of(Reason::NoTarget),
            bad_value: of(Reason::BadValue),
        },
        sample,
    }
}

/// What a usage row's calls have in common, by which rows are sorted. Outcomes go by their names, as all else.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct UsageKey<'a> {
    partner: Option<&'a str>,
    api: Option<&'a str>,
    operation: Option<&'a str>,
    verdict: Option<&'static str>,
    also: Vec<&'static str>,
    grant: Option<&'a str>,
    outcome: &'static str,
    credential: Option<String>,
}

/// How reports tell credentials apart where nothing was judged: by their masks, numbered where
/// several have the same.
fn shown_apart(rows: &[Row]) -> BTreeMap<[u8; 32], String> {
    // One credential may be logged in plain and as its hash.
    let mut shown: BTreeMap<[u8; 32], Option<Shown>> = BTreeMap::new();
    for row in rows {
        if let Some(Unjudged::One(digest, spelled)) = &row.credential {
            spelled.clone().note_in(shown.entry(*digest).or_default());
        }
    }
    let mut of_mask: BTreeMap<String, u64> = BTreeMap::new();
    let apart = shown.into_iter().map(|(digest, shown)| {
        let mask = shown.as_ref().map_or(OTHER, Shown::masked).to_owned();
        let nth = of_mask.entry(mask.clone()).or_default();
        *nth += 1;
        (digest, if *nth == 1 { mask } else { format!("{mask} ({nth})") })
    });
    apart.collect()
}

fn usage_rows(judge: Option<&Judge<'_>>, rows: &[Row]) -> Vec<Usage> {
    let shown = shown_apart(rows);
    let unjudged = |credential: &Unjudged| match credential {
        Unjudged::Other => OTHER.to_owned(),
        Unjudged::One(digest, _) => shown[digest].clone(),
    };
    let keyed = rows.iter().map(|row| {
        let key = UsageKey {
            partner: partner_ref(judge, row.key.partner),
            api: row.api.as_deref(),
            operation: row.operation.as_deref(),
            verdict: row.key.verdict.map(Verdict::as_str),
            also: row.key.also.names(),
            grant: grant_ref(judge, row.key.grant),
            outcome: row.key.outcome.as_str(),
            credential: row.credential.as_ref().map(unjudged),
        };
        (key, row)
    });
    let mut keyed: Vec<(UsageKey<'_>, &Row)> = keyed.collect();
    keyed.sort_by(|(a, _), (b, _)| a.cmp(b));
    let usage = keyed.chunk_by(|(a, _), (b, _)| a == b).filter_map(|alike| {
        let (key, first) = alike.first()?;
        let cells = || alike.iter().map(|(_, row)| &row.cell);
        let subjects = match alike {
            [(_, row)] => row.cell.subjects.estimate(),
            _ => {
                let mut all = tally::Subjects::default();
                cells().for_each(|cell| all.merge(&cell.subjects));
                all.estimate()
            }
        };
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Some(Usage {
            partner: owned(key.partner),
            api: owned(key.api),
            operation: owned(key.operation),
            verdict: first.key.verdict,
            also: key.also.clone(),
            grant: owned(key.grant),
            outcome: key.outcome,
            calls: cells().map(|cell| cell.calls).sum(),
            bytes: cells().fold(0, |sum: u64, cell| sum.saturating_add(cell.bytes)),
            subjects: subjects.count,
            first: cells().map(|cell| cell.first).min()?,
            last: cells().map(|cell| cell.latest.at).max()?,
            credential: key.credential.clone(),
        })
    });
    usage.collect()
}

/// What the rows of one partner or api add up to.
#[derive(Default)]
struct Sums<'a> {
    calls: [u64; 4],
    bytes_served: u64,
    overstayed: u64,
    overstay_s_max: Option<u64>,
    subjects: tally::Subjects,
    span: tally::Span,
    /// The apis of a partner, or the partners of an api.
    others: BTreeSet<&'a str>,
}

impl<'a> Sums<'a> {
    fn add(&mut self, row: &Row, other: Option<&'a str>) {
        self.calls[outcome_index(row.key.outcome)] += row.cell.calls;
        if row.served() {
            self.bytes_served = self.bytes_served.saturating_add(row.cell.bytes);
        }
        if row.key.overstayed() {
            self.overstayed += row.cell.calls;
            self.overstay_s_max = self.overstay_s_max.max(Some(row.cell.overstay_s_max));
        }
        self.subjects.merge(&row.cell.subjects);
        self.span.add(row.cell.first);
        self.span.add(row.cell.latest.at);
        self.others.extend(other);
    }

    fn of(&self, outcome: Outcome) -> u64 {
        self.calls[outcome_index(outcome)]
    }
}

fn latency(latencies: Option<&Latencies>) -> Latency {
    let Some(latencies) = latencies else { return Latency::default() };
    let [p50, p90, p99] = match latencies.quantiles_us([0.5, 0.9, 0.99]) {
        Some(quantiles) => quantiles.map(Some),
        None => [None; 3],
    };
    Latency { count: latencies.count(), p50, p90, p99, max: latencies.max_us() }
}

fn partner_rows(
    judge: Option<&Judge<'_>>,
    rows: &[Row],
    latencies: &hashbrown::HashMap<PartnerId, Latencies>,
    only: Option<PartnerId>,
) -> Vec<Partner> {
    let Some(judge) = judge else { return Vec::new() };
    let mut sums: Vec<Sums<'_>> = judge.register.partners.iter().map(|_| Sums::default()).collect();
    for row in rows {
        if let Some(partner) = row.key.partner {
            sums[partner.0 as usize].add(row, row.api.as_deref());
        }
    }
    let row = |(id, (partner, sums)): (u32, (&crate::register::Partner, Sums<'_>))| Partner {
        partner: partner.id.clone(),
        name: partner.name.clone(),
        calls: sums.calls.iter().sum(),
        served: sums.of(Outcome::Served),
        denied: sums.of(Outcome::Denied),
        failed: sums.of(Outcome::Failed),
        unknown: sums.of(Outcome::Unknown),
        bytes_served: sums.bytes_served,
        subjects: sums.subjects.estimate().count,
        apis: sums.others.len() as u64,
        overstayed_calls: sums.overstayed,
        overstay_s_max: sums.overstay_s_max,
        latency_us: latency(latencies.get(&PartnerId(id))),
        first: sums.span.first,
        last: sums.span.last,
    };
    (0..)
        .zip(judge.register.partners.iter().zip(sums))
        .filter(|(id, _)| is_of(only, PartnerId(*id)))
        // One that the register names but does not list, as known, is listed only for its calls.
        .filter(|(_, (partner, sums))| partner.listed || sums.span.first.is_some())
        .map(row)
        .collect()
}

fn api_rows(
    judge: Option<&Judge<'_>>,
    rows: &[Row],
    latencies: &hashbrown::HashMap<crate::register::ApiId, Latencies>,
    only: Option<PartnerId>,
) -> Vec<Api> {
    let Some(judge) = judge else { return Vec::new() };
    let mut sums: Vec<Sums<'_>> = judge.register.apis.iter().map(|_| Sums::default()).collect();
    let mut judged = vec![false; judge.register.apis.len()];
    let mut without_subject = vec![0; judge.register.apis.len()];
    for row in rows {
        if let Some(api) = row.key.api {
            without_subject[api.0 as usize] += row.cell.without_subject;
            sums[api.0 as usize].add(row, partner_ref(Some(judge), row.key.partner));
            judged[api.0 as usize] |= row.key.verdict != Some(Verdict::UnlistedApi);
        }
    }
    let row = |(id, api): (crate::register::ApiId, &crate::register::Api)| {
        let sums = &sums[id.0 as usize];
        let facts = api.versions.last().map(|version| version.row.clone()).unwrap_or_default();
        Api {
            api: api.id.clone(),
            name: facts.name,
            data_class: facts.data_class,
            dormant_since: facts.dormant_since,
            calls: sums.calls.iter().sum(),
            served: sums.of(Outcome::Served),
            partners: sums.others.len() as u64,
            subjects: sums.subjects.estimate().count,
            calls_without_subject: without_subject[id.0 as usize],
            latency_us: latency(latencies.get(&id)),
            first: sums.span.first,
            last: sums.span.last,
        }
    };
    // One that is no longer listed, but was when calls to it were judged, is listed for these.
    let apis = (0..).map(crate::register::ApiId).zip(&judge.register.apis);
    let rows = apis.filter(|(id, api)| api.is_listed() || judged[id.0 as usize]).map(row);
    // Of one partner: those that it called.
    rows.filter(|row| only.is_none() || row.calls > 0).collect()
}

fn series_rows(judge: Option<&Judge<'_>>, series: FinishedSeries) -> Vec<Hour> {
    let row = |hour: Option<i64>, partner, counts: &tally::HourCounts| Hour {
        hour: hour.map(Instant::from_hour),
        partner: partner_name(judge, partner),
        served: counts.served,
        denied: counts.denied,
        failed: counts.failed,
        overstayed: counts.overstayed,
    };
    let before = series.before.iter().map(|(partner, counts)| row(None, *partner, counts));
    let hours = series.hours.iter().map(|((hour, partner), c)| row(Some(*hour), *partner, c));
    before.chain(hours).collect()
}

fn end_rows(
    judge: Option<&Judge<'_>>,
    rows: &[Row],
    edges: Option<Edges>,
    only: Option<PartnerId>,
) -> Vec<End> {
    let Some(judge) = judge else { return Vec::new() };
    let register = judge.register;
    let row = |end: findings::End| {
        let status = match (end.is_open(judge.propagation_s(end.api)), end.first_denied) {
            (true, _) => EndStatus::Open,
            (false, Some(_)) => EndStatus::Cut,
            (false, None) => EndStatus::Untested,
        };
        End {
            partner: register.partners[end.partner.0 as usize].id.clone(),
            api: register.apis[end.api.0 as usize].id.clone(),
            grant: register.grants[end.grant.0 as usize].id.clone(),
            reason: end.reason,
            ended_at: end.ended_at,
            lag_s: end.last_served.map(|last_served| last_served.seconds_since(end.ended_at)),
            operations: end.operations.into_iter().collect(),
            last_served: end.last_served,
            first_denied: end.first_denied,
            status,
        }
    };
    let ends = findings::ends(judge, rows, edges).into_iter();
    let mut ends: Vec<End> = ends.filter(|end| is_of(only, end.partner)).map(row).collect();
    ends.sort_by(|a, b| end_order(a).cmp(&end_order(b)));
    ends
}

fn end_order(end: &End) -> (&str, &str, &str, &str, Instant) {
    (&end.partner, &end.api, &end.grant, end.reason.as_str(), end.ended_at)
}

fn exception_rows(
    judge: Option<&Judge<'_>>,
    rows: &[Row],
    only: Option<PartnerId>,
) -> Vec<Exception> {
    let Some(judge) = judge else { return Vec::new() };
    let register = judge.register;
    let overridden = Some(Verdict::ConsentOverridden);
    let row = |(id, grant): (u32, &crate::register::Grant)| {
        let row = &grant.versions.last().filter(|version| version.row.overrides_consent)?.row;
        if !is_of(only, row.partner) {
            return None;
        }
        let (mut calls, mut subjects) = (0, tally::Subjects::default());
        let excused = rows.iter().filter(|row| {
            row.key.grant == Some(GrantId(id))
                && (row.key.verdict == overridden || row.key.also.axis == overridden)
        });
        excused.for_each(|row| {
            calls += row.cell.calls;
            subjects.merge(&row.cell.subjects);
        });
        Some(Exception {
            grant: grant.id.clone(),
            partner: register.partners[row.partner.0 as usize].id.clone(),
            api: register.apis[row.api.0 as usize].id.clone(),
            justification: row.justification.clone(),
            calls,
            subjects: subjects.estimate().count,
        })
    };
    (0..).zip(&register.grants).filter_map(row).collect()
}

fn suppression_rows(
    judge: Option<&Judge<'_>>,
    decisions: &[Decision],
    found: &[Found],
    window_end: Option<Instant>,
    only: Option<PartnerId>,
) -> Vec<Suppression> {
    let only = partner_name(judge, only);
    // In a report on one partner: what is about others is none of its readers' business.
    let concerns = |decision: &&Decision| match (&only, &decision.target) {
        (None, _) => true,
        (Some(only), Target::Kind { partner: Some(partner), .. }) => partner == only,
        (Some(only), Target::Kind { .. } | Target::Finding(_)) => {
            found.iter().any(|finding| decision.covers(finding, Some(only)))
        }
    };
    let row = |decision: &Decision| {
        let expired = decision.expired(window_end);
        let hidden = found.iter().filter(|finding| {
            !expired && decision.covers(finding, partner_name(judge, finding.partner).as_deref())
        });
        let (finding, kind, partner, api) = match &decision.target {
            Target::Finding(id) => (Some(id.clone()), None, None, None),
            Target::Kind { kind, partner, api } => {
                (None, Some(*kind), partner.clone(), api.clone())
            }
        };
        Suppression {
            finding,
            kind,
            partner,
            api,
            owner: decision.owner.clone(),
            reason: decision.reason.clone(),
            until: decision.until,
            expired,
            hides: hidden.count() as u64,
        }
    };
    let mut rows: Vec<Suppression> = decisions.iter().filter(concerns).map(row).collect();
    rows.sort_by(|a, b| {
        let key = |row: &Suppression| {
            let kind = row.kind.map(|kind| kind.as_str());
            let what = (row.finding.clone(), kind, row.partner.clone(), row.api.clone());
            (what, row.owner.clone(), row.reason.clone(), row.until)
        };
        key(a).cmp(&key(b))
    });
    rows
}

fn finding_rows(
    judge: Option<&Judge<'_>>,
    found: Vec<Found>,
    facts: &Facts,
    decisions: &[Decision],
    window_end: Option<Instant>,
) -> Vec<Finding> {
    let Some(judge) = judge else { return Vec::new() };
    let row = |found: Found| {
        let partner = partner_name(Some(judge), found.partner);
        let in_force = decisions.iter().filter(|s| !s.expired(window_end));
        let suppressed_by = in_force
            .filter(|decision| decision.covers(&found, partner.as_deref()))
            .map(|decision| decision.owner.clone())
            .min();
        let evidence = found.evidence.iter().map(|proof| Evidence {
            path: facts.inputs[proof.place.input as usize].path.clone(),
            offset: proof.place.offset,
            length: proof.length,
            blake3: findings::hex(&proof.blake3),
            at: proof.at,
            input: facts.inputs[proof.place.input as usize].id,
        });
        let api = found.api_id.map(|id| &judge.register.apis[id.0 as usize]);
        let mut finding = Finding {
            evidence: evidence.collect(),
            served: found.served(),
            denied: found.of(Outcome::Denied),
            failed: found.of(Outcome::Failed),
            subjects: match found.kind {
                // By network nobody is counted: there may be as many as calls.
                findings::Kind::NewNetwork => {
                    Subjects { count: 0, exact: false, low: 0, high: found.served() }
                }
                _ => found.subjects.estimate().into(),
            },
            data_class: api
                .and_then(|api| api.versions.last())
                .and_then(|version| version.row.data_class.clone()),
            grant: grant_name(Some(judge), found.grant),
            id: found.id,
            kind: found.kind,
            severity: found.severity,
            status: None,
            first_seen: None,
            suppressed_by,
            partner,
            api: found.api,
            operations: found.operations.into_iter().collect(),
            credentials: found.credentials.into_iter().collect(),
            since: found.since,
            lapsed_at: found.lapsed_at,
            first: found.first,
            last: found.last,
            overstay_s: found.overstay_s,
            hindsight: found.hindsight,
            bytes_served: found.bytes_served,
            log: found.log.map(|log| FindingLog {
                source: log.source,
                path: log.path,
                read_bytes: log.read_bytes,
                seen_bytes: log.seen_bytes,
            }),
            anomaly: found.odd.as_ref().map(|odd| Anomaly::new(odd, found.calls.iter().sum())),
            summary: String::new(),
        };
        finding.summary = text::summary(&finding);
        finding
    };
    found.into_iter().map(row).collect()
}

fn coverage(
    judge: Option<&Judge<'_>>,
    rows: &[Row],
    facts: &Facts,
    sums: &hashbrown::HashMap<u32, tally::SourceSums>,
    days: &Days,
    edges: Option<Edges>,
) -> Coverage {
    let empty = tally::SourceSums::default();
    let sources = (0..).zip(&facts.sources).map(|(index, (source, expect))| {
        let sums = sums.get(&index).unwrap_or(&empty);
        let state = facts.state.as_ref();
        let silence = state.and_then(|state| state.silence.as_ref());
        let run_at = state.and_then(|state| state.nightly.run_at);
        let edges = match silence {
            // What is silent since is not only so within the calls that came.
            Some(silence) => edges_since(*expect, edges, silence, source, run_at),
            None => edges,
        };
        // Nobody can miss what is still to come. (A report of all days goes to the last call, as an audit of the logs does.)
        let run_at = run_at.filter(|_| silence.is_some() || facts.until.is_some());
        let edges = match (edges, run_at) {
            (Some(edges), Some(run_at)) => {
                Some(Edges { end: edges.end.min(unit_start(*expect, run_at)), ..edges })
            }
            _ => edges,
        };
        let heard = silence.and_then(|silence| silence.last_heard.get(source));
        let seen = seen(*expect, &sums.hours, heard.map(|heard| heard.hour()), edges);
        SourceCoverage {
            source: source.clone(),
            expect: expect.map(|expect| match expect {
                Expect::Hourly => "hourly",
                Expect::Daily => "daily",
            }),
            hours_expected: seen.hours_expected,
            hours_seen: seen.hours_seen,
            gaps: seen.gaps,
            calls: sums.calls,
            anonymous: sums.anonymous,
        }
    });
    let sources = sources.collect();
    let callers: BTreeSet<PartnerId> = rows.iter().filter_map(|row| row.key.partner).collect();
    let used: BTreeSet<GrantId> = rows.iter().filter_map(|row| row.key.grant).collect();
    Coverage {
        sources,
        partners_without_calls: judge.map_or(0, |judge| {
            let partners = (0..).map(PartnerId).zip(&judge.register.partners);
            let silent = partners.filter(|(id, partner)| {
                is_of(facts.partner, *id) && partner.listed && !callers.contains(id)
            });
            silent.count() as u64
        }),
        grants_without_calls: judge.map_or(0, |judge| {
            let grants = (0..).map(GrantId).zip(&judge.register.grants);
            let of_partner = |grant: &crate::register::Grant| {
                grant
                    .versions
                    .last()
                    .is_some_and(|version| is_of(facts.partner, version.row.partner))
            };
            let unused = grants.filter(|(id, grant)| of_partner(grant) && !used.contains(id));
            unused.count() as u64
        }),
        days_read: days.numbers.len() as u64,
    }
}

/// The edges that a source's hours are expected in: from its last call of runs before, whatever came late of the time before
/// that, to where calls should have come until. Of a source that was never heard: from the first call in the report.
fn edges_since(
    expect: Option<Expect>,
    edges: Option<Edges>,
    silence: &Silence,
    source: &str,
    run_at: Option<Instant>,
) -> Option<Edges> {
    let start = match silence.last_heard.get(source) {
        Some(last) => {
            let heard = unit_start(expect, *last);
            // The run before did not expect what was not over yet, though it heard some of it: this one does.
            let is_expected_yet =
                silence.since.is_some_and(|since| unit_start(expect, since) <= heard);
            let units_between = i64::from(!is_expected_yet);
            Instant::from_hour(heard.hour() + units_between * hours_in_unit(expect))
        }
        None => edges?.start,
    };
    // A call from the future does not tell how far the others go.
    let end = edges.map(|edges| edges.end).filter(|end| run_at.is_none_or(|run_at| *end <= run_at));
    let end = end.map_or(silence.until, |end| end.max(silence.until));
    (start < end).then_some(Edges { start, end })
}

/// By how many hours a source is looked at.
const fn hours_in_unit(expect: Option<Expect>) -> i64 {
    match expect {
        Some(Expect::Daily) => 24,
        Some(Expect::Hourly) | None => 1,
    }
}

/// The beginning of the hour or the day that an instant lies in.
fn unit_start(expect: Option<Expect>, at: Instant) -> Instant {
    let hours = hours_in_unit(expect);
    Instant::from_hour(at.hour().div_euclid(hours) * hours)
}

/// Which of the hours expected hold a call.
struct Seen {
    hours_expected: u64,
    hours_seen: u64,
    gaps: Vec<Gap>,
}

/// Walks the window by hours or days. A daily source's day counts as its 24 hours. `heard` is an hour of which calls were
/// counted before.
fn seen(
    expect: Option<Expect>,
    hours: &BTreeSet<i64>,
    heard: Option<i64>,
    edges: Option<Edges>,
) -> Seen {
    if expect.is_none() {
        return Seen { hours_expected: 0, hours_seen: hours.len() as u64, gaps: Vec::new() };
    }
    let hours_in_unit = hours_in_unit(expect);
    let Some(edges) = edges.filter(|edges| edges.start < edges.end) else {
        return Seen { hours_expected: 0, hours_seen: 0, gaps: Vec::new() };
    };
    let unit = |hour: i64| hour.div_euclid(hours_in_unit);
    let last_instant = Instant::from_ns(edges.end.ns().saturating_sub(1));
    let (mut from, until) = (unit(edges.start.hour()), unit(last_instant.hour()) + 1);
    // Hours that the bound let go of were not silent: nothing is claimed of what lies before those kept.
    if hours.len() >= limits::SERIES_HOURS_MAX {
        from = from.max(hours.first().map_or(from, |&first| unit(first)));
    }
    let units: BTreeSet<i64> = hours
        .iter()
        .copied()
        .chain(heard)
        .map(unit)
        .filter(|unit| (from..until).contains(unit))
        .collect();
    let mut gaps = Vec::new();
    let mut next = from;
    for &unit in units.iter().chain([&until]) {
        if next < unit {
            gaps.push(Gap {
                from: Instant::from_hour(next * hours_in_unit),
                until: Instant::from_hour(unit * hours_in_unit),
            });
        }
        next = unit + 1;
    }
    let in_hours = |units: i64| u64::try_from(units * hours_in_unit).unwrap_or(0);
    Seen { hours_expected: in_hours(until - from), hours_seen: in_hours(units.len() as i64), gaps }
}
