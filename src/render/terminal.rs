//! The report as a person reads it: the answer on the first screen, the details below it.
//!
//! Decides nothing about content, but bounds what is listed, and says each time how much more
//! there is and where. Knows neither the terminal nor the environment: the [`Screen`] is given.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufWriter, Write};
use std::iter;

use anstyle::{AnsiColor, Style};

use super::escape::for_terminal;
use super::table::{
    Cell, Column, Laid, Need, UNLIMITED, flow, lay_out, least_width, natural_width, paint, width,
    wrap,
};
use crate::call::Outcome;
use crate::findings::{Kind, Severity};
use crate::judge::Verdict;
use crate::limits;
use crate::report::text::{
    affected, affected_by_tables, alerts, bytes, counted, duration, latency, people, people_of,
    register_change, standing, standing_findings, thousands, to_the_second,
};
use crate::report::{
    Anomalies, AnomalyNetworks, End, EndStatus, Finding, Partner, Register, Report, SourceCoverage,
    Status, Usage, Window,
};
use crate::time::Instant;

/// What the report is shown on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen {
    /// Cells in a line, taken as at least [`Screen::WIDTH_MIN`]; none where nothing limits them, as in a
    /// file: there every value is whole and every column shown.
    pub width: Option<usize>,
    /// Whether colours are wanted. They repeat what the words say.
    pub colour: bool,
}

impl Screen {
    /// Below so many cells a line there is nothing left to lay out.
    pub const WIDTH_MIN: usize = 48;
}

/// Rows of a table; the rest is counted. Partners, and what was not judged.
const ROWS_MAX: usize = 50;
/// Findings of severity `info` listed; graver ones all are.
const INFO_MAX: usize = 10;
/// Findings of any severity. Names that only a hostile log brings must not bury the graver ones above them.
const FINDINGS_MAX: usize = 500;
/// Findings listed that are resolved: what is over needs no room, and what is just over is news.
const RESOLVED_MAX: usize = 10;
/// Ends listed that were not cut.
const ENDS_MAX: usize = 20;
/// Partial inputs listed.
const PARTIAL_MAX: usize = 20;
/// Rejects listed; the shapes of more add little.
const REJECTS_MAX: usize = 6;
/// Hex digits of a digest: enough to tell two registers apart.
const DIGEST_SHOWN: usize = 12;
/// Names in a list within a sentence.
const NAMES_MAX: usize = 8;
/// Where the text after a label such as `READ` begins.
const LABEL_WIDTH: usize = 12;
/// Under the first line of a finding, after its severity.
const FINDING_INDENT: usize = 10;
/// Names of partners, apis and grants are not truncated below this.
const NAME_MIN: usize = 8;
/// Nor a finding's below this on a screen that has room for it on one line.
const NAME_ONE_LINE_MIN: usize = 20;
/// Nor the id or kind that a suppression names.
const WHAT_MIN: usize = 18;

const MORE: &str = "--json lists all";

/// Writes the report as text of at most the screen's width, its first screen first.
///
/// # Errors
///
/// Those of `out`.
pub fn terminal(report: &Report, screen: &Screen, out: &mut dyn Write) -> io::Result<()> {
    let mut page = Page {
        out: BufWriter::new(out),
        width: screen.width.map_or(UNLIMITED, |width| width.max(Screen::WIDTH_MIN)),
        colour: screen.colour,
    };
    let judged = report.register.digest.is_some();
    headline(&mut page, report)?;
    partial(&mut page, report)?;
    page.blank()?;
    run_lines(&mut page, report)?;
    if judged {
        findings(&mut page, report)?;
        if let Some(told) = standing_line(report) {
            page.labelled("STANDING", &told)?;
        }
        page.labelled("ENDS", &ends_line(report))?;
        exceptions_line(&mut page, report)?;
        if let Some(told) = unused_line(report) {
            page.labelled("UNUSED", &told)?;
        }
        page.labelled("ANOMALIES", &anomalies_line(report))?;
        if let Some(ungranted) = &report.ungranted {
            page.labelled("UNGRANTED", &ungranted.told())?;
        }
    }
    page.labelled("READ", &read_line(report))?;
    for told in nameless_sources(report) {
        page.labelled("", &told)?;
    }
    scope_lines(&mut page, report)?;
    if judged {
        partners(&mut page, report)?;
        ends(&mut page, report)?;
        exceptions(&mut page, report)?;
        suppressions(&mut page, report)?;
    } else {
        unjudged(&mut page, report)?;
    }
    rejects(&mut page, report)?;
    next(&mut page, report)?;
    page.out.flush()
}

/// Where lines go, and how wide they may be.
struct Page<'a> {
    out: BufWriter<&'a mut dyn Write>,
    width: usize,
    colour: bool,
}

impl Page<'_> {
    fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    fn blank(&mut self) -> io::Result<()> {
        self.line("")
    }

    /// Lines indented by so many cells, wrapped between words.
    fn wrapped(&mut self, indent: usize, text: &str, style: Style) -> io::Result<()> {
        let pad = " ".repeat(indent);
        for line in wrap(text, self.width - indent) {
            let line = paint(&line, style, self.colour);
            self.line(&format!("{pad}{line}"))?;
        }
        Ok(())
    }

    /// Pieces under the first line of a finding.
    fn indented<'t>(
        &mut self,
        pieces: impl IntoIterator<Item = &'t str>,
        style: Style,
    ) -> io::Result<()> {
        let pad = " ".repeat(FINDING_INDENT);
        for line in flow(pieces, "  ", self.width - FINDING_INDENT) {
            let line = paint(&line, style, self.colour);
            self.line(&format!("{pad}{line}"))?;
        }
        Ok(())
    }

    /// A label and the text after it.
    fn labelled(&mut self, label: &str, text: &str) -> io::Result<()> {
        for (i, line) in wrap(text, self.width - LABEL_WIDTH).iter().enumerate() {
            let label = if i == 0 { label } else { "" };
            let gap = " ".repeat(LABEL_WIDTH - label.len());
            let label = paint(label, if i == 0 { BOLD } else { Style::new() }, self.colour);
            self.line(&format!("{label}{gap}{line}"))?;
        }
        Ok(())
    }

    /// A heading over a section.
    fn section(&mut self, title: &str) -> io::Result<()> {
        self.blank()?;
        self.wrapped(0, title, BOLD)
    }

    /// A table with its heading; what does not fit is named, with the width that `all` of it takes.
    fn table(&mut self, columns: &[Column], all: usize) -> io::Result<()> {
        let Laid { heading, rows, left_out } = lay_out(columns, self.width, self.colour);
        self.line(&heading)?;
        for row in rows {
            self.line(&row)?;
        }
        if !left_out.is_empty() {
            let names: Vec<&str> = left_out.iter().map(|&i| columns[i].title).collect();
            let (names, them) = (names.join(", "), if names.len() == 1 { "it" } else { "them" });
            self.note(&format!("hidden for width: {names} (COLUMNS={all} shows {them})"))?;
        }
        Ok(())
    }

    /// A table with a column of instants, of which the day alone is shown where it is narrow.
    fn dated_table(&mut self, mut columns: Vec<Column>, instants: usize) -> io::Result<()> {
        let all = natural_width(&columns);
        day_where_narrow(&mut columns, instants, self.width);
        self.table(&columns, all)
    }

    /// An aside, such as how much more there is.
    fn note(&mut self, text: &str) -> io::Result<()> {
        self.wrapped(0, &format!("… {text}"), Style::new())
    }
}

const BOLD: Style = Style::new().bold();
const ALARM: Style = AnsiColor::Red.on_default().bold();

const fn style_of(severity: Severity) -> Style {
    match severity {
        Severity::Critical => ALARM,
        Severity::High => AnsiColor::Red.on_default(),
        Severity::Medium => AnsiColor::Yellow.on_default(),
        Severity::Low => AnsiColor::Cyan.on_default(),
        Severity::Info => Style::new().dimmed(),
    }
}

/// A name, harmless; `-` where there is none.
fn name(text: Option<&str>) -> Cow<'_, str> {
    text.map_or(Cow::Borrowed("-"), for_terminal)
}

fn when(at: Option<Instant>) -> String {
    at.map_or_else(|| "-".to_owned(), to_the_second)
}

/// Leaves the day alone of a column of instants, where the time of day finds no room beside
/// the columns that are no extras.
fn day_where_narrow(columns: &mut [Column], instants: usize, screen: usize) {
    let needed = columns.iter().enumerate();
    let needed = needed.filter(|(i, column)| *i == instants || !column.is_extra());
    if natural_width(needed.map(|(_, column)| column)) > screen {
        for cell in &mut columns[instants].cells {
            cell.text.truncate("2018-12-18".len());
        }
    }
}

fn cell(text: Option<&str>) -> Cell {
    name(text).into_owned().into()
}

fn styled(text: String, style: Style) -> Cell {
    Cell { text, style }
}

/// The names, and how many more there are of them.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<Cow<'_, str>> = names.map(for_terminal).collect();
    let shown = names.iter().take(NAMES_MAX).map(Cow::as_ref).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMES_MAX) {
        0 => shown,
        more => format!("{shown} and {} more", thousands(more as u64)),
    }
}

fn headline(page: &mut Page<'_>, report: &Report) -> io::Result<()> {
    page.wrapped(0, &for_terminal(&report.headline), BOLD)
}

/// What was not read, right under the headline: no findings over logs that nobody read
/// would be the worst of reports.
fn partial(page: &mut Page<'_>, report: &Report) -> io::Result<()> {
    if report.status == Status::Complete && report.partial.is_empty() {
        return Ok(());
    }
    page.blank()?;
    page.wrapped(0, "PARTIAL: what follows is not about all that was asked for", ALARM)?;
    for partial in report.partial.iter().take(PARTIAL_MAX) {
        let text = format!("{}: {}", for_terminal(&partial.path), for_terminal(&partial.reason));
        page.wrapped(2, &text, Style::new())?;
    }
    match report.partial.len().saturating_sub(PARTIAL_MAX) {
        0 => Ok(()),
        more => page.note(&format!("{} more; {MORE}", thousands(more as u64))),
    }
}

/// Where the report stands among the runs that keep state, and whether the register is another since.
fn run_lines(page: &mut Page<'_>, report: &Report) -> io::Result<()> {
    let Some(nightly) = &report.nightly else { return Ok(()) };
    let label = if nightly.day.is_some() { "DAY" } else { "RUN" };
    page.labelled(label, &for_terminal(&standing(nightly)))?;
    if let Some(told) = &nightly.alerts {
        page.labelled("ALERTS", &for_terminal(&alerts(told)))?;
    }
    if let Some(change) = &nightly.register_change {
        let is_another = report.register.digest.as_ref() != Some(&change.from);
        let from = is_another.then(|| shown_digest(page, &change.from));
        let told = register_change(change, from.as_deref());
        page.labelled("REGISTER", &for_terminal(&told))?;
        for told in [affected(change), affected_by_tables(change)].into_iter().flatten() {
            page.labelled("", &for_terminal(&told))?;
        }
    }
    page.blank()
}

/// The findings on one line each where the screen is wide enough, as [`in_order`] has them.
fn findings(page: &mut Page<'_>, report: &Report) -> io::Result<()> {
    let (hidden, listed): (Vec<&Finding>, Vec<&Finding>) =
        report.findings.iter().partition(|finding| finding.suppressed_by.is_some());
    let mut open = in_order(listed);
    let mut resolved = open.split_off(open.partition_point(|finding| !finding.is_resolved()));
    if open.is_empty() {
        let but: Vec<String> = [(hidden.len(), "suppressed"), (resolved.len(), "resolved")]
            .into_iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, what)| counted(n as u64, &format!("{what} one"), &format!("{what} ones")))
            .collect();
        // Those of earlier runs are told below.
        let of = if standing_line(report).is_some() { " in what is new" } else { "" };
        let text = match but.is_empty() {
            true => format!("No findings{of}."),
            false => format!("No findings{of} but {}.", but.join(" and ")),
        };
        page.wrapped(0, &text, Style::new())?;
        if resolved.is_empty() {
            return Ok(());
        }
    }
    let graver = open.iter().filter(|finding| finding.severity > Severity::Info).count();
    let left_out = open.split_off((graver + INFO_MAX).min(FINDINGS_MAX).min(open.len()));
    let over = resolved.split_off(RESOLVED_MAX.min(resolved.len()));
    let listed = [open, resolved].concat();

    let mut columns = finding_columns(&listed);
    if least_width(&columns) <= page.width {
        page.table(&columns, natural_width(&columns))?;
    } else {
        for name in &mut columns[2..4] {
            name.need = Need::ShrinkTo(NAME_MIN);
        }
        let (first, second) = columns.split_at(FIRST_LINE_COLUMNS);
        let laid = lay_out(first, page.width, page.colour);
        page.line(&laid.heading)?;
        // Statuses and ids, which are of one width, stand under their titles, and so does what follows them.
        let (ids, others) = second.split_at(second.len() - COLUMNS_AFTER_ID);
        let laid_ids = lay_out(ids, UNLIMITED, false);
        let ids = natural_width(ids);
        let over_ids = format!("{:ids$}  {}", laid_ids.heading, others[0].title);
        let titles = laid.left_out.iter().map(|&column| first[column].title);
        let titles = titles.chain([over_ids.as_str()]);
        let titles = titles.chain(others[1..].iter().map(|column| column.title));
        page.indented(titles, BOLD)?;
        for (i, row) in laid.rows.iter().enumerate() {
            page.line(row)?;
            // What found no place on the first line comes on the second: nothing is lost.
            let text = |column: &'_ Column| column.cells[i].text.trim().to_owned();
            let pieces = laid.left_out.iter().map(|&column| text(&first[column]));
            let pieces = pieces.chain([laid_ids.rows[i].clone()]).chain(others.iter().map(text));
            let pieces: Vec<String> =
                pieces.filter(|text| !text.is_empty() && *text != "-").collect();
            page.indented(pieces.iter().map(String::as_str), Style::new())?;
        }
    }
    if let Some(first) = left_out.first() {
        let severity = first.severity;
        let more = counted(left_out.len() as u64, "more finding", "more findings");
        let or_less = if severity == Severity::Info { "" } else { " or less" };
        page.note(&format!("{more} of severity {severity}{or_less}; {MORE}"))?;
    }
    match over.len() as u64 {
        0 => Ok(()),
        n => {
            let more = counted(n, "more resolved finding", "more resolved findings");
            page.note(&format!("{more}; {MORE}"))
        }
    }
}

/// The findings, the gravest first, and those last that are resolved.
pub(super) fn in_order(mut findings: Vec<&Finding>) -> Vec<&Finding> {
    findings.sort_by(|a, b| {
        let resolved = a.is_resolved().cmp(&b.is_resolved());
        resolved.then_with(|| gravity(b).cmp(&gravity(a))).then_with(|| a.id.cmp(&b.id))
    });
    findings
}

/// What makes a finding come before another: severity, people, overstay.
fn gravity(finding: &Finding) -> (Severity, u64, Option<u64>) {
    (finding.severity, finding.subjects.count, finding.overstay_s)
}

/// Who is concerned and what was used: credentials stand where there is no partner, or no api, and logs where there is
/// neither.
pub(super) fn parties(finding: &Finding) -> (Option<&str>, Option<&str>) {
    let credential = finding.credentials.first().map(String::as_str);
    match finding.kind {
        Kind::Verdict(Verdict::UnknownCredential) => (credential, None),
        Kind::Verdict(Verdict::StaleCredential) | Kind::UnusedCredential | Kind::NewNetwork => {
            (finding.partner.as_deref(), credential)
        }
        Kind::LogRewritten | Kind::LogLost => {
            (None, finding.log.as_ref().map(|log| log.path.as_str()))
        }
        _ => (finding.partner.as_deref(), finding.api.as_deref()),
    }
}

/// How many of the columns share the first line on a narrow screen.
const FIRST_LINE_COLUMNS: usize = 6;
/// How many come after the id.
const COLUMNS_AFTER_ID: usize = 2;

fn finding_columns(findings: &[&Finding]) -> Vec<Column> {
    let whole = |title| Column::left(title, Need::Whole);
    let name = |title| Column::left(title, Need::ShrinkTo(NAME_ONE_LINE_MIN));
    let mut columns = vec![
        whole("SEVERITY"),
        whole("KIND"),
        name("PARTNER"),
        name("API"),
        whole("PEOPLE"),
        whole("OVERSTAY"),
    ];
    // Without saved state none has one.
    let with_status = findings.iter().any(|finding| finding.status.is_some());
    columns.extend(with_status.then(|| whole("STATUS")));
    columns.extend([whole("ID"), whole("OPERATIONS"), whole("CALLS")]);
    let reach: Vec<(String, &str)> = findings.iter().map(|finding| reach(finding)).collect();
    let number_width = reach.iter().map(|(number, _)| width(number)).max().unwrap_or(0);
    for (finding, (number, unit)) in findings.iter().zip(reach) {
        let style = match finding.is_resolved() {
            true => Style::new().dimmed(),
            false => style_of(finding.severity),
        };
        let (who, what) = parties(finding);
        let operations = finding.operations.join(", ");
        let mut row: Vec<Cell> = vec![
            styled(finding.severity.as_str().to_uppercase(), style),
            finding.kind.as_str().to_owned().into(),
            cell(who),
            cell(what),
            format!("{number:>number_width$} {unit}").trim_end().to_owned().into(),
            finding.overstay_s.map_or_else(|| "-".to_owned(), duration).into(),
        ];
        row.extend(with_status.then(|| cell(finding.status)));
        row.extend([
            cell(Some(&finding.id)),
            for_terminal(&operations).into_owned().into(),
            calls_of(finding, unit).into(),
        ]);
        for (column, cell) in columns.iter_mut().zip(row) {
            column.cells.push(cell);
        }
    }
    columns
}

/// How far a finding reaches, as number and unit: people; without any in the logs, calls.
pub(super) fn reach(finding: &Finding) -> (String, &'static str) {
    if !finding.kind.is_of_calls() && !finding.kind.is_anomaly() {
        return ("-".to_owned(), "");
    }
    let people = finding.subjects.count;
    if people > 0 {
        let text = people_of(&finding.subjects);
        let number = text.split(' ').next().unwrap_or_default().to_owned();
        return (number, if people == 1 { "person" } else { "people" });
    }
    let calls =
        [(finding.served, "served"), (finding.denied, "denied"), (finding.failed, "failed")];
    match calls.into_iter().find(|(n, _)| *n > 0) {
        Some((n, unit)) => (thousands(n), unit),
        // One that is over, and of which there was no call.
        None => ("-".to_owned(), ""),
    }
}

/// The finding's calls by outcome, but for those that `reach` has shown already; of one without calls what it is about.
fn calls_of(finding: &Finding, shown: &str) -> String {
    if let Some(log) = &finding.log {
        return format!("read {} of {}", bytes(log.read_bytes), bytes(log.seen_bytes));
    }
    if let Some(anomaly) = finding.anomaly.as_ref().filter(|anomaly| anomaly.score.is_some()) {
        let expected = thousands(anomaly.expected.round() as u64);
        let unit = match finding.kind {
            Kind::SubjectSweep => "people",
            Kind::DeniedBurst => "denied",
            _ => "calls",
        };
        return format!("{} {unit}, {expected} expected", thousands(anomaly.observed));
    }
    if !finding.kind.is_of_calls() && !finding.kind.is_anomaly() {
        return finding
            .grant
            .as_deref()
            .map_or_else(String::new, |grant| format!("grant {}", for_terminal(grant)));
    }
    let counts =
        [(finding.served, "served"), (finding.denied, "denied"), (finding.failed, "failed")];
    let counts = counts.into_iter().filter(|(n, what)| *n > 0 && *what != shown);
    let network = finding.anomaly.as_ref().and_then(|anomaly| anomaly.network.as_deref());
    let from = match network {
        Some(network) => Some(format!("from {network}")),
        None if finding.kind == Kind::NewNetwork && finding.anomaly.is_some() => {
            Some(format!("from more than {} networks", limits::NETWORKS_MAX))
        }
        None => None,
    };
    let counts = counts.map(|(n, what)| format!("{} {what}", thousands(n)));
    from.into_iter().chain(counts).collect::<Vec<_>>().join(", ")
}

/// The findings of earlier runs of which nothing is known that would have ended them.
pub(super) fn standing_line(report: &Report) -> Option<String> {
    standing_findings(report.nightly.as_ref()?.standing.as_ref()?)
}

/// `14: 11 cut (median lag 38 s), 2 untested, 1 open`.
fn ends_line(report: &Report) -> String {
    let of = |status| report.ends.iter().filter(move |end| end.status == status);
    let (cut, untested) = (of(EndStatus::Cut).count(), of(EndStatus::Untested).count());
    let open = of(EndStatus::Open).count();
    if report.ends.is_empty() {
        return "0 in the window".to_owned();
    }
    let mut lags: Vec<u64> = of(EndStatus::Cut).filter_map(|end| end.lag_s).collect();
    lags.sort_unstable();
    // The lower of two middle ones: a lag that was seen.
    let median = lags.get(lags.len().saturating_sub(1) / 2);
    let lag = median.map_or_else(String::new, |&s| format!(" (median lag {})", duration(s)));
    let parts = [(cut, format!("cut{lag}")), (untested, "untested".into()), (open, "open".into())];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, what)| format!("{} {what}", thousands(n as u64)))
        .collect();
    format!("{}: {}", thousands(report.ends.len() as u64), parts.join(", "))
}

fn exceptions_line(page: &mut Page<'_>, report: &Report) -> io::Result<()> {
    let exceptions = thousands(report.exceptions.len() as u64);
    let hidden = report.findings.iter().filter(|finding| finding.suppressed_by.is_some()).count();
    let expired = report.suppressions.iter().filter(|suppression| suppression.expired).count();
    let mut hidden = thousands(hidden as u64);
    if expired > 0 {
        hidden.push_str(&format!(" ({} expired)", thousands(expired as u64)));
    }
    let room = LABEL_WIDTH + "2     SUPPRESSED  ".len() + width(&hidden);
    if room > page.width {
        page.labelled("EXCEPTIONS", &exceptions)?;
        return page.labelled("SUPPRESSED", &hidden);
    }
    let label = |text| paint(text, BOLD, page.colour);
    let (left, right) = (label("EXCEPTIONS"), label("SUPPRESSED"));
    page.line(&format!("{left}  {exceptions:<4}  {right}  {hidden}"))
}

/// Why no access is called unused, where none is.
pub(super) fn unused_line(report: &Report) -> Option<String> {
    let (days, least) = (report.coverage.days_read, limits::UNUSED_DAYS_MIN as u64);
    let read = match days {
        0 => "no day with calls".to_owned(),
        days => counted(days, "day with calls", "days with calls"),
    };
    let is_unused = |finding: &Finding| {
        matches!(finding.kind, Kind::UnusedGrant | Kind::UnusedOperation | Kind::UnusedCredential)
            && !finding.is_resolved()
    };
    let told = report.partners.iter().any(|partner| partner.calls > 0);
    match days < least {
        true => Some(format!("not looked for: {read}, and it takes {least}")),
        false if report.findings.iter().any(is_unused) => None,
        false if told => Some(format!("nothing, by {read}")),
        false => Some("not looked for: no call is a partner's".to_owned()),
    }
}

/// `2 found in 3,412 uses of apis by partners, by 56 days of history`, or why none were looked for.
pub(super) fn anomalies_line(report: &Report) -> String {
    let networks = report.anomalies.networks.map(|networks| networks_told(report, networks));
    [anomalies_told(report)].into_iter().chain(networks).collect::<Vec<_>>().join("; ")
}

/// `2 new networks in 12 credentials, not looked for in 3 with less than 14 days`.
fn networks_told(report: &Report, networks: AnomalyNetworks) -> String {
    let AnomalyNetworks { credentials, without_history, untied, without_address } = networks;
    let found = report.findings.iter().filter(|finding| {
        let is_new = finding.kind == Kind::NewNetwork && finding.anomaly.is_some();
        is_new && finding.suppressed_by.is_none()
    });
    let found = match found.count() as u64 {
        0 => "no new network".to_owned(),
        n => counted(n, "new network", "new networks"),
    };
    let mut told = format!("{found} in {}", counted(credentials, "credential", "credentials"));
    if without_history > 0 {
        let least = limits::NEW_USE_DAYS_MIN;
        told.push_str(&format!(
            ", not looked for in {} with less than {least} days",
            thousands(without_history)
        ));
    }
    if untied > 0 {
        told.push_str(&format!(", not in {} used from too many", thousands(untied)));
    }
    if without_address > 0 {
        let calls = counted(without_address, "call", "calls");
        told.push_str(&format!(", nor of {calls} without an address"));
    }
    told
}

fn anomalies_told(report: &Report) -> String {
    let Anomalies { judged, without_history, history_days, history_days_min, .. } =
        report.anomalies;
    let found = report
        .findings
        .iter()
        .filter(|finding| finding.anomaly.is_some() && finding.kind != Kind::NewNetwork)
        .filter(|finding| finding.suppressed_by.is_none());
    let found = match found.count() as u64 {
        0 => None,
        n => Some(thousands(n)),
    };
    if judged == 0 {
        let history = match history_days {
            0 => "no history".to_owned(),
            days => format!("{} of history", counted(days, "day", "days")),
        };
        let none = format!("hours not judged: {history}, and it takes {history_days_min} days");
        // What is new or woke takes days of another kind.
        return found.map_or(none.clone(), |found| format!("{found} found; {none}"));
    }
    let left = match without_history {
        0 => String::new(),
        n => format!("; {} not judged, with less than {history_days_min} days", thousands(n)),
    };
    format!(
        "{} in {} of apis by partners, by {} of history{left}",
        found.map_or_else(|| "none".to_owned(), |found| format!("{found} found")),
        counted(judged, "use", "uses"),
        counted(history_days, "day", "days"),
    )
}

/// `718 of 744 hours, 19 of 20 sources (gw-eu-7 silent 26 h), 1,204 rejects`.
pub(super) fn read_line(report: &Report) -> String {
    let mut parts = Vec::new();
    let sources = &report.coverage.sources;
    let of = |expect: Option<&str>| -> Vec<&SourceCoverage> {
        sources.iter().filter(|source| source.expect == expect).collect()
    };
    for (expect, unit, unit_s, one, many) in
        [("hourly", "h", 3600, "hour", "hours"), ("daily", "d", 86_400, "day", "days")]
    {
        let declared = of(Some(expect));
        if declared.is_empty() {
            continue;
        }
        let hours = declared.iter().map(|source| source.hours_expected).max().unwrap_or(0);
        if hours == 0 {
            // Without a call nothing says which hours were to be expected.
            let all = counted(declared.len() as u64, "source", "sources");
            parts.push(format!("no {one} to go by, 0 of {all}"));
            continue;
        }
        let expected = hours.div_ceil(unit_s / 3600);
        let missing = silent_s(&declared).div_ceil(unit_s);
        parts.push(format!(
            "{} of {}",
            thousands(expected.saturating_sub(missing)),
            counted(expected, one, many)
        ));
        let silent: Vec<String> = declared
            .iter()
            .filter(|source| !source.gaps.is_empty())
            .map(|source| {
                let units = silent_s(&[source]).div_ceil(unit_s);
                format!("{} silent {} {unit}", for_terminal(&source.source), thousands(units))
            })
            .collect();
        let whole = thousands((declared.len() - silent.len()) as u64);
        let all = counted(declared.len() as u64, "source", "sources");
        // Escaped already: nothing is left in them to escape twice.
        match silent.is_empty() {
            true => parts.push(format!("{whole} of {all}")),
            false => parts
                .push(format!("{whole} of {all} ({})", listed(silent.iter().map(String::as_str)))),
        }
    }
    let undeclared = of(None);
    if !undeclared.is_empty() {
        let (one, many) = match parts.is_empty() {
            true => ("source", "sources"),
            false => ("more source", "more sources"),
        };
        // Of one partner's report the hours are that partner's alone, and these are of all that was read.
        if parts.is_empty() && report.partner.is_none() {
            parts.push(hours_with_calls(report));
        }
        let n = counted(undeclared.len() as u64, one, many);
        parts.push(format!("{n} (completeness not declared)"));
    }
    if sources.is_empty() {
        parts.push(counted(report.inputs.len() as u64, "input", "inputs"));
    }
    let accounting = &report.accounting;
    parts.push(counted(accounting.rejected, "reject", "rejects"));
    for (n, one, many) in [
        (accounting.outside_window, "call outside the window", "calls outside the window"),
        (accounting.duplicates, "repeat", "repeats"),
        (
            report.inputs.iter().filter(|input| input.repeats.is_some()).count() as u64,
            "input that repeats another",
            "inputs that repeat others",
        ),
        (
            report.inputs.iter().map(|input| input.repeats_unchecked).sum(),
            "call of a day too old to look for repeats",
            "calls of days too old to look for repeats",
        ),
        (
            report.inputs.iter().filter(|input| input.pending_bytes > 0).count() as u64,
            "unfinished last line left to the next run",
            "unfinished last lines left to the next run",
        ),
    ] {
        if n > 0 {
            parts.push(counted(n, one, many));
        }
    }
    parts.join(", ")
}

/// Seconds in which at least one of the sources was silent.
fn silent_s(sources: &[&SourceCoverage]) -> u64 {
    let mut gaps: Vec<(Instant, Instant)> =
        sources.iter().flat_map(|source| &source.gaps).map(|gap| (gap.from, gap.until)).collect();
    gaps.sort_unstable();
    let mut total_s = 0;
    let mut seen = Instant::MIN;
    for (from, until) in gaps {
        total_s += until.seconds_since(from.max(seen));
        seen = seen.max(until);
    }
    total_s
}

fn hours_with_calls(report: &Report) -> String {
    let in_series: BTreeSet<Instant> = report.series.iter().filter_map(|row| row.hour).collect();
    let beyond = report.series.iter().any(|row| row.hour.is_none());
    let of_sources = report.coverage.sources.iter().map(|source| source.hours_seen).max();
    let hours = (in_series.len() as u64).max(of_sources.unwrap_or(0));
    let more = if beyond { "more than " } else { "" };
    format!("{more}{} with calls", counted(hours, "hour", "hours"))
}

/// Sources whose calls name nobody who could be held to them: more likely a field that the format does not map than
/// so many callers without a key.
pub(super) fn nameless_sources(report: &Report) -> Vec<String> {
    let sources = report.coverage.sources.iter();
    let nameless = sources.filter(|source| source.calls > 0 && source.anonymous == source.calls);
    let told = nameless.map(|source| {
        let calls = match source.calls {
            1 => "its one call".to_owned(),
            calls => format!("its {} calls", thousands(calls)),
        };
        format!(
            "source {}: none of {calls} named a credential: does its format say where it is?",
            for_terminal(&source.source)
        )
    });
    told.collect()
}

/// What the report is about: which time, and which register.
fn scope_lines(page: &mut Page<'_>, report: &Report) -> io::Result<()> {
    let Window { since, until, first, last } = report.window;
    let window = match (since, until) {
        (None, None) => None,
        (Some(since), None) => Some(format!("since {since}")),
        (None, Some(until)) => Some(format!("until {until}")),
        (Some(since), Some(until)) => Some(format!("since {since}, until {until}")),
    };
    let calls = first
        .zip(last)
        .map(|(first, last)| format!("{} to {}", to_the_second(first), to_the_second(last)));
    let text = match (window, calls) {
        (None, Some(calls)) => calls,
        (Some(window), Some(calls)) => format!("{window}; calls {calls}"),
        (Some(window), None) => format!("{window}; no calls"),
        (None, None) => "no calls".to_owned(),
    };
    page.labelled("WINDOW", &text)?;
    let Register { digest, partners, apis, grants, as_known_at, .. } = &report.register;
    let Some(digest) = digest else { return Ok(()) };
    let known = as_known_at.map_or_else(String::new, |at| format!(" as known at {at}:"));
    let counts = [
        counted(*partners, "partner", "partners"),
        counted(*apis, "api", "apis"),
        counted(*grants, "grant", "grants"),
    ];
    let digest = shown_digest(page, digest);
    let text = format!("{known} {}, digest {digest}", counts.join(", "));
    page.labelled("REGISTER", text.trim_start())
}

/// The digest, or on a screen its start.
fn shown_digest(page: &Page<'_>, digest: &str) -> String {
    match digest.get(..DIGEST_SHOWN) {
        Some(short) if page.width != UNLIMITED => format!("{short}…"),
        _ => digest.to_owned(),
    }
}

fn partners(page: &mut Page<'_>, report: &Report) -> io::Result<()> {
    let (mut calling, silent): (Vec<&Partner>, Vec<&Partner>) =
        report.partners.iter().partition(|partner| partner.calls > 0);
    calling.sort_by(|a, b| {
        (b.overstayed_calls, b.calls)
            .cmp(&(a.overstayed_calls, a.calls))
            .then_with(|| a.partner.cmp(&b.partner))
    });
    let more = calling.len().saturating_sub(ROWS_MAX);
    calling.truncate(ROWS_MAX);
    let nobody = Nobody::of(report);
    if !calling.is_empty() || nobody.calls > 0 {
        page.blank()?;
        page.dated_table(partner_columns(&calling, &nobody), LAST_CALL)?;
    }
    if more > 0 {
        let more = counted(more as u64, "more partner", "more partners");
        page.note(&format!("{more} with fewer calls overstayed, or fewer calls; {MORE}"))?;
    }
    // Where there is no call at all the headline says so.
    if !silent.is_empty() && report.accounting.calls > 0 {
        let names = listed(silent.iter().map(|partner| partner.partner.as_str()));
        let text = counted(silent.len() as u64, "partner", "partners");
        page.wrapped(0, &format!("{text} made no call: {names}"), Style::new())?;
    }
    let unused = report.coverage.grants_without_calls;
    if unused > 0 && report.accounting.calls > 0 {
        let text = counted(unused, "grant was", "grants were");
        page.wrapped(0, &format!("{text} used by no call"), Style::new())?;
    }
    unseen(page, report)
}

/// What calls don't name nobody can be held to: said, or its absence would look like an all-clear.
fn unseen(page: &mut Page<'_>, report: &Report) -> io::Result<()> {
    for api in report.apis.iter().filter(|api| api.calls_without_subject > 0).take(NAMES_MAX) {
        let without = thousands(api.calls_without_subject);
        let calls = counted(api.calls, "call", "calls");
        let name = for_terminal(&api.api);
        let text = format!(
            "{without} of {calls} to {name} named no person: consent, which it requires, was not looked at"
        );
        page.wrapped(0, &text, Style::new())?;
    }
    Ok(())
}

/// The calls of no known partner, so that the table adds up to all calls.
#[derive(Default)]
struct Nobody<'a> {
    calls: u64,
    outcomes: BTreeMap<&'a str, u64>,
    bytes_served: u64,
    apis: BTreeSet<&'a str>,
    last: Option<Instant>,
}

impl Nobody<'_> {
    fn of(report: &Report) -> Nobody<'_> {
        let mut nobody = Nobody::default();
        for row in report.usage.iter().filter(|row| row.partner.is_none()) {
            nobody.calls += row.calls;
            *nobody.outcomes.entry(row.outcome).or_default() += row.calls;
            if Outcome::from_name(row.outcome).is_some_and(Outcome::counts_as_served) {
                nobody.bytes_served += row.bytes;
            }
            nobody.apis.extend(row.api.as_deref());
            nobody.last = nobody.last.max(Some(row.last));
        }
        nobody
    }

    fn outcome(&self, outcome: Outcome) -> u64 {
        self.outcomes.get(outcome.as_str()).copied().unwrap_or(0)
    }
}

fn partner_columns(partners: &[&Partner], nobody: &Nobody<'_>) -> Vec<Column> {
    let dash = || "-".to_owned();
    // One column: a number of each partner, and what stands for those of no partner.
    let number = |title, need, of: &dyn Fn(&Partner) -> String, none: String| {
        let mut column = Column::right(title, need);
        column.cells.extend(partners.iter().map(|partner| Cell::from(of(partner))));
        if nobody.calls > 0 {
            column.cells.push(none.into());
        }
        column
    };
    let text = |title, need, of: &dyn Fn(&Partner) -> String, none: String| Column {
        right: false,
        ..number(title, need, of, none)
    };
    let thousands_or_none = |n: u64| if n == 0 { dash() } else { thousands(n) };
    let quantile = |us: Option<u64>| us.map_or_else(dash, latency);
    let mut columns = vec![
        text(
            "PARTNER",
            Need::ShrinkTo(NAME_MIN),
            &|p| for_terminal(&p.partner).into_owned(),
            "(no partner)".to_owned(),
        ),
        number("CALLS", Need::Whole, &|p| thousands(p.calls), thousands(nobody.calls)),
        number(
            "SERVED",
            Need::Whole,
            &|p| thousands(p.served),
            thousands(nobody.outcome(Outcome::Served)),
        ),
        number(
            "DENIED",
            Need::Whole,
            &|p| thousands(p.denied),
            thousands(nobody.outcome(Outcome::Denied)),
        ),
        number("OVERSTAYED", Need::Whole, &|p| thousands(p.overstayed_calls), dash()),
        number("LONGEST", Need::Whole, &|p| p.overstay_s_max.map_or_else(dash, duration), dash()),
        number("PEOPLE", Need::Whole, &|p| people(p.subjects), dash()),
        number("APIS", Need::Extra(1), &|p| thousands(p.apis), thousands(nobody.apis.len() as u64)),
        text("LAST CALL", Need::Extra(0), &|p| when(p.last), when(nobody.last)),
        number(
            "FAILED",
            Need::Extra(2),
            &|p| thousands(p.failed),
            thousands(nobody.outcome(Outcome::Failed)),
        ),
    ];
    if nobody.outcome(Outcome::Unknown) > 0 || partners.iter().any(|p| p.unknown > 0) {
        columns.push(number(
            "UNKNOWN",
            Need::Extra(3),
            &|p| thousands_or_none(p.unknown),
            thousands_or_none(nobody.outcome(Outcome::Unknown)),
        ));
    }
    columns.push(number(
        "BYTES",
        Need::Extra(4),
        &|p| bytes(p.bytes_served),
        bytes(nobody.bytes_served),
    ));
    if partners.iter().any(|p| p.latency_us.count > 0) {
        columns.push(number("P50", Need::Extra(5), &|p| quantile(p.latency_us.p50), dash()));
        columns.push(number("P99", Need::Extra(6), &|p| quantile(p.latency_us.p99), dash()));
    }
    if partners.iter().any(|p| p.name.is_some()) {
        columns.push(text(
            "NAME",
            Need::Extra(7),
            &|p| name(p.name.as_deref()).into_owned(),
            String::new(),
        ));
    }
    columns
}

/// Where [`partner_columns`] has the last call.
const LAST_CALL: usize = 8;

/// The ends that someone must look at: still open, or proven by no call.
fn ends(page: &mut Page<'_>, report: &Report) -> io::Result<()> {
    let mut loose: Vec<&End> =
        report.ends.iter().filter(|end| end.status != EndStatus::Cut).collect();
    if loose.is_empty() {
        return Ok(());
    }
    // Open before untested, the longest lag first; the report's own order after that.
    loose.sort_by_key(|end| (end.status == EndStatus::Untested, std::cmp::Reverse(end.lag_s)));
    let more = loose.len().saturating_sub(ENDS_MAX);
    loose.truncate(ENDS_MAX);
    page.section("ENDS OPEN OR UNTESTED")?;
    let column = |title, need, of: &dyn Fn(&End) -> Cell| Column {
        cells: loose.iter().map(|end| of(end)).collect(),
        ..Column::left(title, need)
    };
    let status = |end: &End| match end.status {
        EndStatus::Open => styled(end.status.as_str().to_owned(), ALARM),
        EndStatus::Untested | EndStatus::Cut => end.status.as_str().to_owned().into(),
    };
    let columns = vec![
        column("STATUS", Need::Whole, &status),
        column("PARTNER", Need::ShrinkTo(NAME_MIN), &|end| cell(Some(&end.partner))),
        column("API", Need::ShrinkTo(NAME_MIN), &|end| cell(Some(&end.api))),
        column("REASON", Need::ShrinkTo(NAME_MIN), &|end| end.reason.as_str().to_owned().into()),
        column("ENDED AT", Need::Whole, &|end| to_the_second(end.ended_at).into()),
        column("SERVED FOR", Need::Whole, &|end| {
            end.lag_s.map_or_else(|| "-".to_owned(), duration).into()
        }),
        column("GRANT", Need::Extra(0), &|end| cell(Some(&end.grant))),
        column("OPERATIONS", Need::Extra(1), &|end| cell(Some(&end.operations.join(", ")))),
        column("LAST SERVED", Need::Extra(2), &|end| when(end.last_served).into()),
        column("FIRST DENIED", Need::Extra(3), &|end| when(end.first_denied).into()),
    ];
    page.dated_table(columns, 4)?;
    match more {
        0 => Ok(()),
        more => page.note(&format!("{}; {MORE}", counted(more as u64, "more end", "more ends"))),
    }
}

/// Every exception, every time, also those without a call.
fn exceptions(page: &mut Page<'_>, report: &Report) -> io::Result<()> {
    if report.exceptions.is_empty() {
        return Ok(());
    }
    page.section("EXCEPTIONS: grants that override missing consent")?;
    let mut columns = vec![
        Column::left("GRANT", Need::ShrinkTo(NAME_MIN)),
        Column::left("PARTNER", Need::ShrinkTo(NAME_MIN)),
        Column::left("API", Need::ShrinkTo(NAME_MIN)),
        Column::right("CALLS", Need::Whole),
        Column::right("PEOPLE", Need::Whole),
        Column::left("JUSTIFICATION", Need::ShrinkTo(NAME_MIN)),
    ];
    for exception in &report.exceptions {
        let justification = match exception.justification.as_deref() {
            Some(text) => cell(Some(text)),
            None => "(none given)".to_owned().into(),
        };
        let row = [
            cell(Some(&exception.grant)),
            cell(Some(&exception.partner)),
            cell(Some(&exception.api)),
            thousands(exception.calls).into(),
            people(exception.subjects).into(),
            justification,
        ];
        for (column, cell) in columns.iter_mut().zip(row) {
            column.cells.push(cell);
        }
    }
    page.table(&columns, natural_width(&columns))
}

fn suppressions(page: &mut Page<'_>, report: &Report) -> io::Result<()> {
    if report.suppressions.is_empty() {
        return Ok(());
    }
    page.section("SUPPRESSIONS: findings that someone answers for")?;
    let mut columns = vec![
        Column::left("WHAT", Need::ShrinkTo(WHAT_MIN)),
        Column::right("HIDES", Need::Whole),
        Column::left("UNTIL", Need::Whole),
        Column::left("STATUS", Need::Whole),
        Column::left("OWNER", Need::ShrinkTo(NAME_MIN)),
        Column::left("REASON", Need::ShrinkTo(NAME_MIN)),
    ];
    for suppression in &report.suppressions {
        let kind = suppression.kind.map(|kind| kind.as_str());
        let named = [suppression.finding.as_deref(), kind];
        let narrowed = [suppression.partner.as_deref(), suppression.api.as_deref()];
        let what: Vec<&str> = named.into_iter().chain(narrowed).flatten().collect();
        let status = match suppression.expired {
            true => styled("expired".to_owned(), ALARM),
            false => "in force".to_owned().into(),
        };
        let row = [
            cell(Some(&what.join(" "))),
            thousands(suppression.hides).into(),
            to_the_second(suppression.until).into(),
            status,
            cell(Some(&suppression.owner)),
            cell(Some(&suppression.reason)),
        ];
        for (column, cell) in columns.iter_mut().zip(row) {
            column.cells.push(cell);
        }
    }
    page.dated_table(columns, 2)
}

/// Use per credential and path, where there is no register to judge it by.
fn unjudged(page: &mut Page<'_>, report: &Report) -> io::Result<()> {
    #[derive(Default)]
    struct Row {
        calls: u64,
        served: u64,
        denied: u64,
        people: Vec<u64>,
        last: Option<Instant>,
    }
    type Key<'a> = (Option<&'a str>, Option<&'a str>, Option<&'a str>);
    let mut rows: BTreeMap<Key<'_>, Row> = BTreeMap::new();
    for usage in &report.usage {
        let Usage { credential, api, operation, .. } = usage;
        let key = (credential.as_deref(), api.as_deref(), operation.as_deref());
        let row = rows.entry(key).or_default();
        row.calls += usage.calls;
        match Outcome::from_name(usage.outcome) {
            Some(Outcome::Served) => row.served += usage.calls,
            Some(Outcome::Denied) => row.denied += usage.calls,
            _ => {}
        }
        row.people.extend((usage.subjects > 0).then_some(usage.subjects));
        row.last = row.last.max(Some(usage.last));
    }
    if rows.is_empty() {
        return Ok(());
    }
    let mut rows: Vec<(Key<'_>, Row)> = rows.into_iter().collect();
    rows.sort_by_key(|(_, row)| std::cmp::Reverse(row.calls));
    let more = rows.len().saturating_sub(ROWS_MAX);
    rows.truncate(ROWS_MAX);
    let mut columns = vec![
        Column::left("CREDENTIAL", Need::Whole),
        Column::left("PATH", Need::ShrinkTo(NAME_MIN)),
        Column::left("OPERATION", Need::ShrinkTo(NAME_MIN)),
        Column::right("CALLS", Need::Whole),
        Column::right("SERVED", Need::Whole),
        Column::right("DENIED", Need::Whole),
        Column::right("PEOPLE", Need::Whole),
        Column::left("LAST CALL", Need::Whole),
    ];
    for ((credential, path, operation), row) in &rows {
        // Outcomes may share people, so of several counts the greatest is a lower bound.
        let most = people(row.people.iter().copied().max().unwrap_or(0));
        let bound = if row.people.len() > 1 { "≥" } else { "" };
        let cells = [
            cell(*credential),
            cell(*path),
            cell(*operation),
            thousands(row.calls).into(),
            thousands(row.served).into(),
            thousands(row.denied).into(),
            format!("{bound}{most}").into(),
            when(row.last).into(),
        ];
        for (column, cell) in columns.iter_mut().zip(cells) {
            column.cells.push(cell);
        }
    }
    page.blank()?;
    page.dated_table(columns, 7)?;
    match more {
        0 => Ok(()),
        more => page.note(&format!("{}; {MORE}", counted(more as u64, "more row", "more rows"))),
    }
}

/// What the rejects look like: how many for each reason, and some shapes.
fn rejects(page: &mut Page<'_>, report: &Report) -> io::Result<()> {
    if report.accounting.rejected == 0 && report.rejects.sample.is_empty() {
        return Ok(());
    }
    let counts = &report.rejects.by_reason;
    let reasons = [
        (counts.too_long, "too-long"),
        (counts.not_utf8, "not-utf8"),
        (counts.malformed, "malformed"),
        (counts.no_time, "no-time"),
        (counts.no_target, "no-target"),
        (counts.bad_value, "bad-value"),
    ];
    let reasons: Vec<String> = reasons
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, reason)| format!("{} {reason}", thousands(n)))
        .collect();
    page.section(&format!("REJECTS: {}", reasons.join(", ")))?;
    // The first of each reason come first: many of one must not crowd out the others.
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut sample: Vec<(usize, &crate::report::Reject)> = report
        .rejects
        .sample
        .iter()
        .map(|reject| {
            let nth = seen.entry(reject.reason).or_default();
            *nth += 1;
            (*nth, reject)
        })
        .collect();
    sample.sort_by_key(|(nth, _)| *nth);
    sample.truncate(REJECTS_MAX);
    sample.sort_by_key(|(_, reject)| *reject);
    let mut columns = vec![
        Column::left("REASON", Need::Whole),
        Column::left("PATH", Need::ShrinkTo(NAME_MIN)),
        Column::right("LINE", Need::Whole),
        Column::left("SHAPE", Need::ShrinkTo(NAME_MIN)),
    ];
    for (_, reject) in &sample {
        let row = [
            reject.reason.to_owned().into(),
            cell(Some(&reject.path)),
            thousands(reject.line).into(),
            for_terminal(&reject.shape).into_owned().into(),
        ];
        for (column, cell) in columns.iter_mut().zip(row) {
            column.cells.push(cell);
        }
    }
    if sample.is_empty() { Ok(()) } else { page.table(&columns, natural_width(&columns)) }
}

/// Where to go from here: what the gravest finding's kind means, and its calls. Where state is kept, first what it tells of
/// them, since the logs may be gone.
fn next(page: &mut Page<'_>, report: &Report) -> io::Result<()> {
    let open = report.findings.iter().filter(|finding| finding.is_open());
    let gravest = open.max_by(|a, b| gravity(a).cmp(&gravity(b)).then_with(|| b.id.cmp(&a.id)));
    let mut commands = Vec::new();
    commands.extend(gravest.map(|finding| format!("explain {}", finding.kind)));
    commands.extend(next_of_state(report, gravest, page.width));
    let has_calls = |kind: Kind| kind.is_of_calls() || kind.is_anomaly() && kind != Kind::Drop;
    let of_calls = gravest.filter(|finding| has_calls(finding.kind));
    commands
        .extend(of_calls.map(|finding| format!("calls --finding {}", for_terminal(&finding.id))));
    if commands.is_empty() {
        return Ok(());
    }
    page.blank()?;
    for (label, command) in ["next:"].into_iter().chain(iter::repeat("     ")).zip(&commands) {
        page.line(&format!("{label} overstay {command}"))?;
    }
    match (of_calls.is_some(), report.nightly.is_some()) {
        (true, false) => page.line("      (with the logs and flags of this run)"),
        (true, true) => page.wrapped(
            NEXT_INDENT,
            "(with the flags of this run; calls reads the logs, as far as they are still there)",
            Style::new(),
        ),
        (false, _) => Ok(()),
    }
}

/// What to ask the state: for all that stands, or for what it has of the partner of a finding.
fn next_of_state(report: &Report, gravest: Option<&Finding>, width: usize) -> Option<String> {
    const REPORT: &str = "report";
    let nightly = report.nightly.as_ref()?;
    let stands = nightly.standing.is_some_and(|standing| standing.open().0 > 0);
    if stands {
        return Some(REPORT.to_owned());
    }
    let is_run = nightly.logs.is_some();
    let partner = gravest?.partner.as_deref().filter(|_| report.partner.is_none());
    // Only what no shell takes for anything else, and a screen has room for.
    let is_plain = |name: &&str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@:/".contains(&byte);
        !name.is_empty() && !name.starts_with('-') && name.bytes().all(plain)
    };
    let of_partner = partner.filter(is_plain).map(|name| format!("{REPORT} --partner {name}"));
    let fits = |command: &String| NEXT_INDENT + "overstay ".len() + command.len() <= width;
    of_partner.filter(fits).or_else(|| is_run.then(|| REPORT.to_owned()))
}

/// Under `next: `.
const NEXT_INDENT: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Gap, Standing, fixtures};

    fn shown(report: &Report, width: usize, colour: bool) -> String {
        let mut out = Vec::new();
        terminal(report, &Screen { width: Some(width), colour }, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn all() -> Vec<Report> {
        let mut no_partner_calls = fixtures::small();
        no_partner_calls.partners[0] = fixtures::partner("reelhouse", 0, 0, 0);
        vec![
            fixtures::full(),
            fixtures::small(),
            fixtures::empty(),
            fixtures::partial(),
            fixtures::unjudged(),
            fixtures::nightly(),
            fixtures::day(),
            no_partner_calls,
        ]
    }

    #[test]
    fn a_small_report_at_80_columns() {
        let expected = r#"
1 of 1 partner overstayed: 3 served calls, 2 people. Longest: reelhouse, 1 y 13
d.

SEVERITY  KIND              PARTNER    API       PEOPLE    OVERSTAY
          ID               OPERATIONS  CALLS
CRITICAL  after-revocation  reelhouse  messages  2 people  1 y 13 d
          os-7f3k2mq4t6xa  delete, read  3 served, 1 denied
ENDS        1: 1 open
EXCEPTIONS  1     SUPPRESSED  0 (1 expired)
UNUSED      not looked for: 1 day with calls, and it takes 30
ANOMALIES   hours not judged: no history, and it takes 14 days
READ        2 hours with calls, 1 source (completeness not declared), 1 reject
WINDOW      2018-12-18T09:00:00Z to 2018-12-18T10:30:00Z
REGISTER    1 partner, 1 api, 1 grant, digest eeeeeeeeeeee…

PARTNER    CALLS  SERVED  DENIED  OVERSTAYED   LONGEST  PEOPLE  APIS  LAST CALL
reelhouse      4       3       1           3  1 y 13 d       2     1  2018-12-18
… hidden for width: FAILED, BYTES, P50, P99, NAME (COLUMNS=137 shows them)

ENDS OPEN OR UNTESTED
STATUS  PARTNER    API       REASON            ENDED AT              SERVED FOR
open    reelhouse  messages  after-revocation  2017-12-05T00:00:00Z  1 y 13 d
… hidden for width: GRANT, OPERATIONS, LAST SERVED, FIRST DENIED (COLUMNS=159
shows them)

EXCEPTIONS: grants that override missing consent
GRANT              PARTNER    API       CALLS  PEOPLE  JUSTIFICATION
g-reelhouse-legal  reelhouse  messages      0       0  court order 12/44

SUPPRESSIONS: findings that someone answers for
WHAT             HIDES  UNTIL       STATUS   OWNER           REASON
os-22222222222a      0  2018-12-01  expired  api-governance  wind-down agreed, …

REJECTS: 1 malformed
REASON     PATH           LINE  SHAPE
malformed  gateway.jsonl     3  {"aa":"9999-99-99a99:

next: overstay explain after-revocation
      overstay calls --finding os-7f3k2mq4t6xa
      (with the logs and flags of this run)
"#;
        assert_eq!(shown(&fixtures::small(), 80, false), &expected[1..]);
    }

    #[test]
    fn a_finding_takes_one_line_where_there_is_room() {
        let wide = shown(&fixtures::full(), 158, false);
        let line = "CRITICAL  after-revocation    reelhouse             messages  ~8,201 people  \
                    1 y 13 d   os-jjjjjjjjjjjj  delete, read";
        assert!(wide.contains(line), "{wide}");
        assert!(wide.contains(
            "READ        718 of 744 hours, 2 of 3 sources (gw-eu-7 silent 26 h), 1,204 rejects\n"
        ));
        assert!(wide.contains("ENDS        4: 2 cut (median lag 38 s), 1 untested, 1 open\n"));
        // The suppressed one is counted, not listed.
        assert!(!wide.contains("MEDIUM    uncertified"));
        assert!(wide.contains("SUPPRESSED  1 (1 expired)"));
    }

    #[test]
    fn the_longest_overstay_outlives_less_telling_columns() {
        for width in 80..200 {
            let text = shown(&fixtures::full(), width, false);
            let heading = text.lines().find(|line| line.starts_with("PARTNER ")).unwrap();
            assert!(heading.contains("  LONGEST  "), "{width}: {heading}");
        }
    }

    #[test]
    fn as_many_columns_as_it_says_show_what_was_hidden() {
        for report in [fixtures::full(), fixtures::small()] {
            let hints = |width| {
                let text = shown(&report, width, false).replace('\n', " ");
                let hints = text.split("… hidden for width: ").skip(1);
                let hints = hints.map(|hint| hint.split_once(" (COLUMNS=").unwrap());
                let hints = hints.map(|(hidden, rest)| {
                    (hidden.to_owned(), rest.split_once(' ').unwrap().0.parse().unwrap())
                });
                hints.collect::<Vec<(String, usize)>>()
            };
            assert!(!hints(80).is_empty());
            for hint in hints(80) {
                assert!(hints(hint.1 - 1).iter().any(|other| hint.0.ends_with(&other.0)));
                assert!(hints(hint.1).iter().all(|other| !hint.0.ends_with(&other.0)));
            }
        }
    }

    #[test]
    fn without_a_width_every_value_is_whole() {
        let mut report = fixtures::full();
        let long = format!("{}.example", "x".repeat(300));
        report.findings[0].partner = Some(long.clone());
        report.exceptions[0].justification = Some(long.clone());
        report.rejects.sample[0].path.clone_from(&long);
        let mut out = Vec::new();
        terminal(&report, &Screen { width: None, colour: false }, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches(&long).count(), 3);
        assert!(!text.contains("hidden for width"));
        for finding in report.findings.iter().filter(|finding| finding.suppressed_by.is_none()) {
            let line = text.lines().find(|line| line.contains(&finding.id)).unwrap();
            assert!(line.contains(&finding.operations.join(", ")), "{line}");
        }
        for shortened in text.lines().filter(|line| line.contains('…')) {
            assert!(shortened.contains("…k7Qa") || shortened.contains("…tt11"), "{shortened}");
        }
    }

    #[test]
    fn the_gravest_come_first() {
        let text = shown(&fixtures::full(), 160, false);
        let kinds: Vec<&str> = text
            .lines()
            .filter(|line| line.contains(" os-"))
            .filter_map(|line| line.split_whitespace().nth(1))
            .collect();
        let expected = [
            "after-revocation",
            "dormant-api",
            "without-consent",
            "purpose-ended", // critical: people, id
            "register-refused",
            "out-of-scope",
            "stale-credential",
            "hindsight",
            "unknown-credential",
            "after-expiry",
            "log-rewritten",
            "log-lost",
            "standing-access",
            "subject-sweep",
            "unlisted-api",
            "consent-overridden",
            "before-grant",
            "woken-grant",
            "woken-api",
            "anonymous",
            "spike",
            "denied-burst",
            "new-network",
            "new-api",
            "new-operation",
            "never-granted",
            "unused-grant",
            "unused-operation",
            "unused-credential",
            "drop",
            "propagating",
        ];
        assert_eq!(kinds[..expected.len()], expected);
    }

    #[test]
    fn a_run_that_keeps_state() {
        let expected = r#"
1 of 1 partner overstayed: 3 served calls, 2 people. Longest: reelhouse, 1 y 13
d.

RUN         12 at 2018-12-19T02:00:00Z: 2018-12-17 rev 3, 2018-12-18 rev 2
            (+12,011 calls), 2018-12-19 rev 1 (+1 call)
ALERTS      3 changes of findings; waiting for webhook:ops since run 11: 5
            changes (503 Service Unavailable)
REGISTER    changed since dddddddddddd…: verdicts of 12 days may be others now
            (2018-12-01 … 2018-12-12)
            reelhouse messages read (1,204 calls), seekly location * (1 call)
            what changed in routes may touch any call

SEVERITY  KIND              PARTNER    API       PEOPLE    OVERSTAY
          STATUS    ID               OPERATIONS  CALLS
CRITICAL  after-revocation  reelhouse  messages  2 people  1 y 13 d
          ongoing   os-7f3k2mq4t6xa  delete, read  3 served, 1 denied
CRITICAL  register-refused  -          -         -         -
          reopened  os-44444444444d
HIGH      log-lost          -          edge.log  -         -
          new       os-22222222222b  read 9.7 KiB of 11.7 KiB
CRITICAL  dormant-api       reelhouse  messages  2 people  1 y 13 d
          resolved  os-33333333333c  delete, read  3 served, 1 denied
STANDING    4 findings of earlier runs, of which this one found nothing: 1
            critical, 2 low, 1 suppressed
ENDS        1: 1 open
EXCEPTIONS  1     SUPPRESSED  0 (1 expired)
UNUSED      not looked for: 1 day with calls, and it takes 30
ANOMALIES   hours not judged: no history, and it takes 14 days
READ        2 hours with calls, 1 source (completeness not declared), 1 reject,
            2 calls of days too old to look for repeats, 1 unfinished last line
            left to the next run
WINDOW      2018-12-18T09:00:00Z to 2018-12-18T10:30:00Z
REGISTER    1 partner, 1 api, 1 grant, digest eeeeeeeeeeee…
"#;
        let text = shown(&fixtures::nightly(), 80, false);
        assert!(text.starts_with(&expected[1..]), "{text}");
        // What stands comes before what the logs have, which may be gone.
        let next = "
next: overstay explain after-revocation
      overstay report
      overstay calls --finding os-7f3k2mq4t6xa
      (with the flags of this run; calls reads the logs, as far as they are
      still there)
";
        assert!(text.ends_with(next), "{text}");

        let wide = shown(&fixtures::nightly(), 140, false);
        for line in [
            "SEVERITY  KIND              PARTNER    API       PEOPLE    OVERSTAY  STATUS    ID               OPERATIONS    CALLS\n",
            "HIGH      log-lost          -          edge.log  -         -         new       os-22222222222b                read 9.7 KiB of 11.7 KiB\n",
        ] {
            assert!(wide.contains(line), "{line}{wide}");
        }
    }

    #[test]
    fn what_is_next_where_state_is_kept() {
        let next = |report: &Report, width| {
            let text = shown(report, width, false);
            let next = text.split("\nnext: ").nth(1).unwrap_or("");
            next.lines()
                .map(str::trim_start)
                .filter(|line| line.starts_with("overstay"))
                .fold(String::new(), |all, line| all + line.trim_start_matches("overstay ") + "; ")
        };
        let explained = "explain after-revocation; ";
        let calls = "calls --finding os-7f3k2mq4t6xa; ";
        let mut report = fixtures::nightly();
        report.findings.remove(0);
        report.nightly.as_mut().unwrap().standing = Some(Standing::default());
        let of_partner = "report --partner reelhouse; ";
        assert_eq!(next(&report, 80), format!("{explained}{of_partner}{calls}"));
        // A name that a shell would take apart, and one that the screen has no room for.
        for name in ["a b", "$(reboot)", "--json", "", &"x".repeat(60)] {
            let finding = report.findings.iter_mut().find(|finding| finding.id.ends_with("t6xa"));
            finding.unwrap().partner = Some(name.to_owned());
            let shown = next(&report, 80);
            assert_eq!(shown, format!("{explained}report; {calls}"), "{name}");
        }
        // Of a span all is told that there is, but for one partner.
        report = fixtures::day();
        assert_eq!(next(&report, 80), format!("{explained}{of_partner}{calls}"));
        report.partner = Some("reelhouse".to_owned());
        assert_eq!(next(&report, 80), format!("{explained}{calls}"));
        // Nothing but what stands.
        report = fixtures::nightly();
        report.findings.clear();
        assert_eq!(next(&report, 80), "report; ");
        report.nightly.as_mut().unwrap().standing = None;
        assert_eq!(next(&report, 80), "");
    }

    #[test]
    fn the_report_on_a_day() {
        let text = shown(&fixtures::day(), 80, false);
        let expected = "13\nd.\n\nDAY         2018-12-18, rev 2, run 12\n\nSEVERITY  KIND ";
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn what_is_resolved_is_no_open_finding() {
        let mut report = fixtures::nightly();
        for finding in &mut report.findings {
            finding.status = Some("resolved");
        }
        report.findings[0].suppressed_by = Some("api-governance".to_owned());
        report.nightly.as_mut().unwrap().standing = None;
        let text = shown(&report, 80, false);
        let expected = "\nNo findings but 1 suppressed one and 3 resolved ones.\nSEVERITY  KIND ";
        assert!(text.contains(expected), "{text}");
        assert!(!text.contains("os-22222222222b") && !text.contains("next:"), "{text}");

        report.findings = (0..12).map(|_| report.findings[1].clone()).collect();
        let text = shown(&report, 80, false);
        assert!(text.contains("\nNo findings but 12 resolved ones.\n"), "{text}");
        assert!(text.contains("\n… 2 more resolved findings; --json lists all\n"), "{text}");
        // One that was unused once says nothing of what is unused now.
        report.findings =
            vec![Finding { status: Some("resolved"), ..fixtures::finding("os-", "unused-grant") }];
        report.coverage.days_read = 40;
        assert_eq!(unused_line(&report).unwrap(), "nothing, by 40 days with calls");
        report.findings[0].status = Some("new");
        assert_eq!(unused_line(&report), None);
    }

    #[test]
    fn what_was_not_read_is_said_before_any_finding() {
        let text = shown(&fixtures::partial(), 80, false);
        let partial = text.find("\nPARTIAL: ").unwrap();
        assert!(partial < text.find("CRITICAL").unwrap());
        assert!(text.contains(
            "\n  gateway-2.jsonl.gz: gzip: ends early\n  logs/eu-*.jsonl: matches nothing\n"
        ));
    }

    #[test]
    fn use_without_a_register() {
        let expected = r#"
Nothing was judged: there is no register. Counted: 4 calls, 1 credential, 1
path.

READ        2 hours with calls, 1 source (completeness not declared), 1 reject
WINDOW      2018-12-18T09:00:00Z to 2018-12-18T10:30:00Z

CREDENTIAL  PATH            OPERATION  CALLS  SERVED  DENIED  PEOPLE  LAST CALL
…k7Qa       /v1/users/{id…  read           4       3       1       1  2018-12-18
"#;
        let text = shown(&fixtures::unjudged(), 80, false);
        assert!(text.starts_with(&expected[1..]), "{text}");
    }

    #[test]
    fn no_line_is_wider_than_the_screen() {
        let poison = " 東京東京東京東京東京東京東京東京東京東京東京東京 \u{202e}\u{1b}[2J🇩🇪é";
        for report in all() {
            for report in [fixtures::poisoned(report.clone(), poison), report] {
                for screen in (0..200).step_by(3) {
                    for line in shown(&report, screen, false).lines() {
                        let widest = screen.max(Screen::WIDTH_MIN);
                        assert!(
                            unicode_width::UnicodeWidthStr::width(line) <= widest,
                            "{screen}: {line}"
                        );
                        assert!(!line.ends_with(' '), "{screen}: {line:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn hostile_text_stays_text() {
        for report in all() {
            for poison in
                ["\u{1b}[31m\u{7}", "\u{202e}\u{2066}\u{feff}", "\u{9b}\u{7f}\u{0}", "\r", "\n"]
            {
                let text = shown(&fixtures::poisoned(report.clone(), poison), 120, false);
                let hostile =
                    text.chars().find(|&c| c != '\n' && super::super::escape::is_hostile(c));
                assert_eq!(hostile, None, "{text}");
            }
            // Escaped, both are as long: a real line break would make a line more.
            let lines = |poison| {
                shown(&fixtures::poisoned(report.clone(), poison), 120, false).lines().count()
            };
            assert_eq!(lines("\n"), lines("\r"));
        }
    }

    #[test]
    fn colour_only_repeats_what_the_words_say() {
        for report in all() {
            let (plain, coloured) = (shown(&report, 100, false), shown(&report, 100, true));
            assert!(coloured.contains('\u{1b}') && !plain.contains('\u{1b}'));
            assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
        }
    }

    #[test]
    fn nothing_is_cut_in_silence() {
        let mut report = fixtures::small();
        report.partners =
            (0..70).map(|i| fixtures::partner(&format!("p{i:02}"), 5, 0, 0)).collect();
        report.findings =
            (0..30).map(|i| fixtures::finding(&format!("os-{i:012}"), "propagating")).collect();
        report.ends = vec![report.ends[0].clone(); 21];
        let text = shown(&report, 120, false);
        for said in [
            "… 20 more findings of severity info; --json lists all\n",
            "… 20 more partners with fewer calls overstayed, or fewer calls; --json lists all\n",
            "… 1 more end; --json lists all\n",
        ] {
            assert!(text.contains(said), "{said}{text}");
        }
        let narrow = shown(&fixtures::full(), 50, false);
        assert!(narrow.contains("… hidden for width: "), "{narrow}");
    }

    #[test]
    fn hours_are_silent_where_any_source_was() {
        let mut report = fixtures::full();
        let gap = |from, until| Gap { from: fixtures::at(from), until: fixtures::at(until) };
        // Overlaps the other source's gap by an hour, and adds one.
        report.coverage.sources[0].gaps = vec![gap("2018-12-09T11:00:00Z", "2018-12-09T13:00:00Z")];
        report.coverage.sources[2].expect = None;
        assert_eq!(
            read_line(&report),
            "717 of 744 hours, 0 of 2 sources (gw-eu-1 silent 2 h, gw-eu-7 silent 26 h), \
             1 more source (completeness not declared), 1,204 rejects"
        );
    }
}
