//! The report as metrics in the text format of Prometheus, for the textfile collector of its node_exporter: `docs/alerts.md`
//! explains each. What is alerted on is there with 0 too: a rule must not fall silent for want of a sample.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};

use super::escape::for_terminal;
use crate::findings::Severity;
use crate::report::{Report, Status};

/// What stands as the status of a finding where nothing is known of its life.
const FOUND: &str = "found";
/// What stands as the status of a finding that a suppression hides, whatever its life.
const SUPPRESSED: &str = "suppressed";
/// All of them, in the order in which they are written.
const STATUSES: [&str; 6] = [FOUND, "new", "ongoing", "reopened", "resolved", SUPPRESSED];

/// The outcomes of calls, in the order in which they are written.
const OUTCOMES: [&str; 4] = ["served", "denied", "failed", "unknown"];

const NS_PER_S: i64 = 1_000_000_000;

/// Writes the report as metrics.
///
/// Labels are sorted. What would not show itself in a label is spelled out as on the terminal; should two names come to the same
/// label, their numbers are added: two samples of the same labels would have the whole file refused.
///
/// # Errors
///
/// Those of `out`.
pub fn prometheus(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    let nightly = report.nightly.as_ref();
    if let Some(nightly) = nightly.filter(|nightly| nightly.is_committed) {
        let run_at = nightly.run_at.map(|run_at| run_at.ns().div_euclid(NS_PER_S));
        Metric::new(
            "overstay_last_commit_timestamp_seconds",
            "When the last run was whose effect is committed, in Unix time.",
        )
        .samples(run_at.map(|at| ([], at)))
        .write(&mut out)?;
        Metric::new("overstay_run", "Its number.").sample([], nightly.run).write(&mut out)?;
    }
    Metric::new(
        "overstay_complete",
        "1 if all that was to be read was read, 0 if the report is partial.",
    )
    .sample([], u8::from(report.status == Status::Complete))
    .write(&mut out)?;
    findings(report).write(&mut out)?;
    calls(report).write(&mut out)?;
    let partners = report.partners.iter().filter(|partner| partner.calls > 0);
    Metric::new(
        "overstay_overstayed_calls",
        "Calls served or unknown after access was last in order, propagation aside, of partners with calls.",
    )
    .samples(sums(partners.map(|partner| ([label(&partner.partner)], partner.overstayed_calls))).iter().map(
        |([partner], count)| ([("partner", partner.as_str())], *count),
    ))
    .write(&mut out)?;
    Metric::new("overstay_rejects", "Lines that are no calls.")
        .sample([], report.accounting.rejected)
        .write(&mut out)?;
    coverage(report).write(&mut out)?;
    if let Some(alerts) = nightly.and_then(|nightly| nightly.alerts.as_ref()) {
        Metric::new("overstay_alerts_waiting", "Alerts that a channel has not accepted yet.")
            .sample([], alerts.waiting.len())
            .write(&mut out)?;
    }
    out.flush()
}

/// How many findings there are of each severity and status, with those of runs before that stand.
fn findings(report: &Report) -> Metric {
    let all = Severity::ALL.into_iter().flat_map(|severity| {
        STATUSES.into_iter().map(move |status| ((severity.as_str(), status), 0))
    });
    let mut counts: BTreeMap<(&str, &str), u64> = all.collect();
    for finding in &report.findings {
        let status = match &finding.suppressed_by {
            Some(_) => SUPPRESSED,
            None => finding.status.unwrap_or(FOUND),
        };
        *counts.entry((finding.severity.as_str(), status)).or_default() += 1;
    }
    if let Some(standing) = report.nightly.as_ref().and_then(|nightly| nightly.standing) {
        for (severity, count) in standing.by_severity() {
            *counts.entry((severity.as_str(), "ongoing")).or_default() += count;
        }
        // A report does not hold how grave these are.
        counts.insert(("", SUPPRESSED), standing.suppressed);
    }
    Metric::new(
        "overstay_findings",
        "Findings, those of earlier runs that stand among the ongoing. Suppressed ones of earlier runs have no severity.",
    )
    .samples(counts.into_iter().map(|((severity, status), count)| {
        ([("severity", severity), ("status", status)], count)
    }))
}

/// The calls of each partner that has any, by outcome; without a partner those that are of none.
fn calls(report: &Report) -> Metric {
    let mut counts: BTreeMap<String, [u64; OUTCOMES.len()]> = BTreeMap::new();
    for row in &report.usage {
        let of_partner =
            counts.entry(row.partner.as_deref().map_or_else(String::new, label)).or_default();
        let outcome = OUTCOMES.into_iter().zip(of_partner);
        outcome.filter(|(name, _)| *name == row.outcome).for_each(|(_, sum)| *sum += row.calls);
    }
    let samples = counts.iter().flat_map(|(partner, of_partner)| {
        OUTCOMES.into_iter().zip(*of_partner).map(move |(outcome, count)| {
            ([("partner", partner.as_str()), ("outcome", outcome)], count)
        })
    });
    Metric::new(
        "overstay_calls",
        "Calls of the report; without a partner those of no credential and of unknown ones.",
    )
    .samples(samples)
}

/// The hours with calls of each source, and, where it says how often to expect any, those without.
fn coverage(report: &Report) -> Metric {
    let hours = report.coverage.sources.iter().flat_map(|source| {
        let missing = source.hours_expected.saturating_sub(source.hours_seen);
        let missing = source.expect.map(|_| ("missing", missing));
        let states = missing.into_iter().chain([("seen", source.hours_seen)]);
        states.map(|(state, hours)| ([label(&source.source), state.to_owned()], hours))
    });
    Metric::new(
        "overstay_coverage_hours",
        "Hours with a call of a source, and those missing of the hours that its `expect` leads one to expect.",
    )
    .samples(sums(hours).iter().map(|([source, state], hours)| {
        ([("source", source.as_str()), ("state", state.as_str())], *hours)
    }))
}

/// The sums of what has the same labels, sorted by these.
fn sums<const N: usize>(
    rows: impl IntoIterator<Item = ([String; N], u64)>,
) -> BTreeMap<[String; N], u64> {
    let mut sums = BTreeMap::new();
    rows.into_iter().for_each(|(labels, count)| *sums.entry(labels).or_default() += count);
    sums
}

/// A name as a label's value, not yet escaped. An empty value is, to Prometheus, no label.
fn label(name: &str) -> String {
    for_terminal(name).into_owned()
}

/// One metric with all its samples.
struct Metric {
    name: &'static str,
    help: &'static str,
    lines: String,
}

impl Metric {
    fn new(name: &'static str, help: &'static str) -> Metric {
        Metric { name, help, lines: String::new() }
    }

    /// Adds a sample of these labels, whose names are plain words.
    fn sample<const N: usize>(
        mut self,
        labels: [(&str, &str); N],
        value: impl std::fmt::Display,
    ) -> Metric {
        self.lines.push_str(self.name);
        for (i, (name, value)) in labels.into_iter().enumerate() {
            self.lines.push(if i == 0 { '{' } else { ',' });
            self.lines.push_str(name);
            self.lines.push_str("=\"");
            for c in value.chars() {
                // A newline would be escaped too, but it is spelled out already.
                if matches!(c, '\\' | '"') {
                    self.lines.push('\\');
                }
                self.lines.push(c);
            }
            self.lines.push('"');
        }
        if N > 0 {
            self.lines.push('}');
        }
        // Writing to a String cannot fail.
        let _ = writeln!(self.lines, " {value}");
        self
    }

    fn samples<'s, const N: usize>(
        self,
        samples: impl IntoIterator<Item = ([(&'s str, &'s str); N], impl std::fmt::Display)>,
    ) -> Metric {
        samples.into_iter().fold(self, |metric, (labels, value)| metric.sample(labels, value))
    }

    /// Writes it, if it has samples.
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let Metric { name, help, lines } = self;
        write!(out, "# HELP {name} {help}\n# TYPE {name} gauge\n{lines}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::escape::is_hostile;
    use crate::report::{Standing, fixtures};

    const DOCS: &str = include_str!("../../docs/alerts.md");

    fn text(report: &Report) -> String {
        let mut out = Vec::new();
        prometheus(report, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// The samples, without what is 0.
    fn samples(report: &Report) -> Vec<String> {
        let text = text(report);
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.ends_with(" 0"));
        lines.map(str::to_owned).collect()
    }

    fn has(report: &Report, sample: &str) {
        let text = text(report);
        assert!(text.lines().any(|line| line == sample), "{sample} is not in\n{text}");
    }

    #[test]
    fn an_audit_in_metrics() {
        let expected = [
            "overstay_complete 1",
            r#"overstay_findings{severity="critical",status="found"} 1"#,
            r#"overstay_calls{partner="reelhouse",outcome="served"} 3"#,
            r#"overstay_calls{partner="reelhouse",outcome="denied"} 1"#,
            r#"overstay_overstayed_calls{partner="reelhouse"} 3"#,
            "overstay_rejects 1",
            r#"overstay_coverage_hours{source="gateway",state="seen"} 2"#,
        ];
        assert_eq!(samples(&fixtures::small()), expected);
    }

    #[test]
    fn a_run_in_metrics() {
        let report = fixtures::nightly();
        let expected = [
            // 2018-12-19T02:00:00Z
            "overstay_last_commit_timestamp_seconds 1545184800",
            "overstay_run 12",
            "overstay_complete 1",
            // Those that stand have no known severity where they are suppressed.
            r#"overstay_findings{severity="",status="suppressed"} 1"#,
            // Of the run the one that is ongoing, and one that stands.
            r#"overstay_findings{severity="critical",status="ongoing"} 2"#,
            r#"overstay_findings{severity="critical",status="reopened"} 1"#,
            r#"overstay_findings{severity="critical",status="resolved"} 1"#,
            r#"overstay_findings{severity="high",status="new"} 1"#,
            r#"overstay_findings{severity="low",status="ongoing"} 2"#,
        ];
        assert_eq!(samples(&report)[..9], expected);
    }

    #[test]
    fn what_only_stands_is_counted_as_open() {
        let mut report = fixtures::nightly();
        report.findings.clear();
        has(&report, r#"overstay_findings{severity="critical",status="ongoing"} 1"#);
        let nightly = report.nightly.as_mut().unwrap();
        nightly.standing = Some(Standing::default());
        has(&report, r#"overstay_findings{severity="critical",status="ongoing"} 0"#);
    }

    #[test]
    fn a_run_that_is_only_tried_has_committed_nothing() {
        let mut report = fixtures::nightly();
        report.nightly.as_mut().unwrap().is_committed = false;
        assert!(!text(&report).contains("overstay_last_commit"));
        assert!(!text(&report).contains("overstay_run"));
        assert!(!text(&fixtures::small()).contains("overstay_last_commit"));
    }

    #[test]
    fn every_severity_has_every_status() {
        for report in [fixtures::empty(), fixtures::full(), fixtures::nightly()] {
            for severity in Severity::ALL {
                for status in ["found", "new", "ongoing", "reopened", "resolved", "suppressed"] {
                    let sample =
                        format!(r#"overstay_findings{{severity="{severity}",status="{status}"}} "#);
                    assert_eq!(text(&report).matches(&sample).count(), 1, "{sample}");
                }
            }
        }
    }

    #[test]
    fn a_suppressed_finding_is_only_suppressed() {
        let mut report = fixtures::nightly();
        report.findings[3].suppressed_by = Some("api-governance".to_owned());
        has(&report, r#"overstay_findings{severity="critical",status="suppressed"} 1"#);
        has(&report, r#"overstay_findings{severity="critical",status="ongoing"} 1"#);
    }

    #[test]
    fn calls_of_nobody_are_those_without_partner() {
        let report = fixtures::full();
        has(&report, r#"overstay_calls{partner="",outcome="served"} 77"#);
        has(&report, r#"overstay_calls{partner="reelhouse",outcome="denied"} 1"#);
        has(&report, r#"overstay_overstayed_calls{partner="seekly"} 207"#);
        has(&report, r#"overstay_overstayed_calls{partner="mapwise"} 0"#);
        assert!(!text(&report).contains("quiet-one"), "it made no call");
    }

    #[test]
    fn hours_are_missing_only_where_they_are_expected() {
        let report = fixtures::full();
        has(&report, r#"overstay_coverage_hours{source="gw-eu-7",state="missing"} 26"#);
        has(&report, r#"overstay_coverage_hours{source="gw-eu-7",state="seen"} 718"#);
        has(&report, r#"overstay_coverage_hours{source="gw-eu-1",state="missing"} 0"#);
        assert!(!text(&fixtures::small()).contains("missing\""));
        has(&fixtures::partial(), "overstay_complete 0");
    }

    #[test]
    fn names_stay_in_their_labels() {
        let mut report = fixtures::small();
        let name = "a\"b\\c\nd\u{202e}\u{1b}\u{0}é";
        report.usage[0].partner = Some(name.to_owned());
        report.partners[0].partner = name.to_owned();
        // As a newline is spelled out, none is left for the format to escape.
        let shown = r#"a\"b\\c\\u{a}d\\u{202e}\\u{1b}\\u{0}é"#;
        has(&report, &format!(r#"overstay_calls{{partner="{shown}",outcome="denied"}} 1"#));
        has(&report, &format!(r#"overstay_overstayed_calls{{partner="{shown}"}} 3"#));
    }

    #[test]
    fn no_two_samples_have_the_same_labels() {
        let mut report = fixtures::full();
        let spelled = [("a\u{202e}", 5), ("a\\u{202e}", 7)];
        for (i, (name, calls)) in spelled.into_iter().enumerate() {
            report.usage[i].partner = Some(name.to_owned());
            (report.usage[i].outcome, report.usage[i].calls) = ("served", calls);
            report.partners[i] = fixtures::partner(name, calls, 0, calls);
            report.coverage.sources[i].source = name.to_owned();
        }
        has(&report, r#"overstay_calls{partner="a\\u{202e}",outcome="served"} 12"#);
        has(&report, r#"overstay_overstayed_calls{partner="a\\u{202e}"} 12"#);
        has(&report, r#"overstay_coverage_hours{source="a\\u{202e}",state="seen"} 1462"#);
        let poison = "\u{1b}[2J\u{7f}\"\\\n\u{202e}\u{2028}é} 1\n";
        for report in [report, fixtures::poisoned(fixtures::full(), poison)] {
            let text = text(&report);
            assert_eq!(text.chars().find(|&c| c != '\n' && is_hostile(c)), None);
            let samples = text.lines().filter(|line| !line.starts_with('#'));
            let mut labels: Vec<&str> =
                samples.map(|line| line.rsplit_once(' ').unwrap().0).collect();
            let all = labels.len();
            labels.sort_unstable();
            labels.dedup();
            assert_eq!(labels.len(), all);
        }
    }

    #[test]
    fn each_metric_is_told_once_and_explained() {
        let text = text(&fixtures::nightly());
        let told = |what: &str| -> Vec<String> {
            let lines = text.lines().filter_map(|line| line.strip_prefix(what));
            lines.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
        };
        let names = told("# HELP ");
        assert_eq!(names.len(), 9);
        assert_eq!(told("# TYPE "), names);
        assert_eq!(text.matches(" gauge\n").count(), names.len());
        for name in names {
            assert!(DOCS.contains(&format!("`{name}")), "{name} is not explained");
        }
    }
}
