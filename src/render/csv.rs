//! The report as CSV, a file for each table, for spreadsheets and databases (RFC 4180, UTF-8, newlines as line endings).
//!
//! The columns are the keys of the JSON report; those of an object within a row have its name in front
//! (`latency_us_p50`), lists are joined by `|`, null is an empty cell.

use std::borrow::Cow;
use std::io::{self, Write};

use super::escape::for_terminal;
use crate::report::{Latency, Report, Standing, Subjects};
use crate::time::Instant;

/// A table of the report.
#[derive(Clone, Copy, Debug)]
pub struct CsvTable {
    /// The file's name, without `.csv`.
    pub name: &'static str,
    columns: &'static [&'static str],
    rows: fn(&Report) -> Vec<Vec<String>>,
}

/// All tables, by name.
pub const CSV_TABLES: [CsvTable; 19] = [
    CsvTable {
        name: "affected",
        columns: &["partner", "api", "operation", "calls"],
        rows: |report| {
            let row = |affected: &crate::report::Affected| {
                vec![
                    text(&affected.partner),
                    text(&affected.api),
                    optional(affected.operation.as_deref()),
                    affected.calls.to_string(),
                ]
            };
            let nightly = report.nightly.as_ref();
            let change = nightly.and_then(|nightly| nightly.register_change.as_ref());
            change.map_or_else(Vec::new, |change| change.affected.iter().map(row).collect())
        },
    },
    CsvTable {
        name: "anomalies",
        columns: &[
            "finding",
            "observed",
            "expected",
            "score",
            "from",
            "until",
            "worst",
            "denied_ratio",
            "denied_ratio_usual",
            "history_days",
            "same_hours",
            "median",
            "day_ratio",
            "last_before",
            "network",
        ],
        rows: |report| {
            let real = |x: Option<f64>| x.map_or_else(String::new, |x| x.to_string());
            let row = |finding: &crate::report::Finding| {
                let anomaly = finding.anomaly.as_ref()?;
                Some(vec![
                    finding.id.clone(),
                    anomaly.observed.to_string(),
                    anomaly.expected.to_string(),
                    real(anomaly.score),
                    anomaly.from.to_string(),
                    anomaly.until.to_string(),
                    instant(anomaly.worst),
                    real(anomaly.denied_ratio),
                    real(anomaly.denied_ratio_usual),
                    anomaly.history_days.to_string(),
                    number(anomaly.same_hours),
                    real(anomaly.median),
                    real(anomaly.day_ratio),
                    optional(anomaly.last_before.as_deref()),
                    optional(anomaly.network.as_deref()),
                ])
            };
            report.findings.iter().filter_map(row).collect()
        },
    },
    CsvTable {
        name: "apis",
        columns: &[
            "api",
            "name",
            "data_class",
            "dormant_since",
            "calls",
            "served",
            "partners",
            "subjects",
            "calls_without_subject",
            "latency_us_count",
            "latency_us_p50",
            "latency_us_p90",
            "latency_us_p99",
            "latency_us_max",
            "first",
            "last",
        ],
        rows: |report| {
            let row = |api: &crate::report::Api| {
                let mut row = vec![
                    text(&api.api),
                    optional(api.name.as_deref()),
                    optional(api.data_class.as_deref()),
                    instant(api.dormant_since),
                    api.calls.to_string(),
                    api.served.to_string(),
                    api.partners.to_string(),
                    api.subjects.to_string(),
                    api.calls_without_subject.to_string(),
                ];
                row.extend(latency(&api.latency_us));
                row.extend([instant(api.first), instant(api.last)]);
                row
            };
            report.apis.iter().map(row).collect()
        },
    },
    CsvTable {
        name: "days",
        columns: &["day", "revision", "calls", "added"],
        rows: |report| {
            let row = |day: &crate::report::NightlyDay| {
                vec![
                    text(&day.day),
                    day.revision.to_string(),
                    number(day.calls),
                    day.added.to_string(),
                ]
            };
            report.nightly.iter().flat_map(|nightly| &nightly.days).map(row).collect()
        },
    },
    CsvTable {
        name: "ends",
        columns: &[
            "partner",
            "api",
            "grant",
            "reason",
            "ended_at",
            "operations",
            "last_served",
            "first_denied",
            "lag_s",
            "status",
        ],
        rows: |report| {
            let row = |end: &crate::report::End| {
                vec![
                    text(&end.partner),
                    text(&end.api),
                    text(&end.grant),
                    end.reason.as_str().to_owned(),
                    end.ended_at.to_string(),
                    list(&end.operations),
                    instant(end.last_served),
                    instant(end.first_denied),
                    number(end.lag_s),
                    end.status.as_str().to_owned(),
                ]
            };
            report.ends.iter().map(row).collect()
        },
    },
    CsvTable {
        name: "evidence",
        columns: &["finding", "path", "offset", "length", "blake3", "at"],
        rows: |report| {
            let of = |finding: &crate::report::Finding| {
                let row = |evidence: &crate::report::Evidence| {
                    vec![
                        finding.id.clone(),
                        text(&evidence.path),
                        evidence.offset.to_string(),
                        evidence.length.to_string(),
                        evidence.blake3.clone(),
                        evidence.at.to_string(),
                    ]
                };
                finding.evidence.iter().map(row).collect::<Vec<_>>()
            };
            report.findings.iter().flat_map(of).collect()
        },
    },
    CsvTable {
        name: "exceptions",
        columns: &["grant", "partner", "api", "justification", "calls", "subjects"],
        rows: |report| {
            let row = |exception: &crate::report::Exception| {
                vec![
                    text(&exception.grant),
                    text(&exception.partner),
                    text(&exception.api),
                    optional(exception.justification.as_deref()),
                    exception.calls.to_string(),
                    exception.subjects.to_string(),
                ]
            };
            report.exceptions.iter().map(row).collect()
        },
    },
    CsvTable {
        name: "findings",
        columns: &[
            "id",
            "kind",
            "severity",
            "status",
            "first_seen",
            "suppressed_by",
            "partner",
            "api",
            "data_class",
            "grant",
            "operations",
            "credentials",
            "since",
            "lapsed_at",
            "first",
            "last",
            "overstay_s",
            "served",
            "denied",
            "failed",
            "hindsight",
            "bytes_served",
            "subjects_count",
            "subjects_exact",
            "subjects_low",
            "subjects_high",
            "log_source",
            "log_path",
            "log_read_bytes",
            "log_seen_bytes",
            "summary",
        ],
        rows: |report| {
            let row = |finding: &crate::report::Finding| {
                let Subjects { count, exact, low, high } = finding.subjects;
                let log = finding.log.as_ref();
                vec![
                    finding.id.clone(),
                    finding.kind.as_str().to_owned(),
                    finding.severity.as_str().to_owned(),
                    optional(finding.status),
                    instant(finding.first_seen),
                    optional(finding.suppressed_by.as_deref()),
                    optional(finding.partner.as_deref()),
                    optional(finding.api.as_deref()),
                    optional(finding.data_class.as_deref()),
                    optional(finding.grant.as_deref()),
                    list(&finding.operations),
                    list(&finding.credentials),
                    instant(finding.since),
                    instant(finding.lapsed_at),
                    instant(finding.first),
                    instant(finding.last),
                    number(finding.overstay_s),
                    finding.served.to_string(),
                    finding.denied.to_string(),
                    finding.failed.to_string(),
                    finding.hindsight.to_string(),
                    finding.bytes_served.to_string(),
                    count.to_string(),
                    exact.to_string(),
                    low.to_string(),
                    high.to_string(),
                    optional(log.map(|log| log.source.as_str())),
                    optional(log.map(|log| log.path.as_str())),
                    number(log.map(|log| log.read_bytes)),
                    number(log.map(|log| log.seen_bytes)),
                    text(&finding.summary),
                ]
            };
            report.findings.iter().map(row).collect()
        },
    },
    CsvTable {
        name: "gaps",
        columns: &["source", "from", "until"],
        rows: |report| {
            let of = |source: &crate::report::SourceCoverage| {
                let row = |gap: &crate::report::Gap| {
                    vec![text(&source.source), gap.from.to_string(), gap.until.to_string()]
                };
                source.gaps.iter().map(row).collect::<Vec<_>>()
            };
            report.coverage.sources.iter().flat_map(of).collect()
        },
    },
    CsvTable {
        name: "inputs",
        columns: &[
            "path",
            "source",
            "format",
            "compression",
            "bytes",
            "digest",
            "lines",
            "blank",
            "calls",
            "rejected",
            "outside_window",
            "duplicates",
            "repeats_unchecked",
            "pending_bytes",
            "gap_bytes",
            "first",
            "last",
            "complete",
            "repeats",
        ],
        rows: |report| {
            let row = |input: &crate::report::Input| {
                vec![
                    text(&input.path),
                    text(&input.source),
                    optional(input.format.as_deref()),
                    optional(input.compression),
                    input.bytes.to_string(),
                    optional(input.digest.as_deref()),
                    input.lines.to_string(),
                    input.blank.to_string(),
                    input.calls.to_string(),
                    input.rejected.to_string(),
                    input.outside_window.to_string(),
                    input.duplicates.to_string(),
                    input.repeats_unchecked.to_string(),
                    input.pending_bytes.to_string(),
                    input.gap_bytes.to_string(),
                    instant(input.first),
                    instant(input.last),
                    input.complete.to_string(),
                    optional(input.repeats.as_deref()),
                ]
            };
            report.inputs.iter().map(row).collect()
        },
    },
    CsvTable {
        name: "partial",
        columns: &["path", "reason"],
        rows: |report| {
            let row =
                |partial: &crate::report::Partial| vec![text(&partial.path), text(&partial.reason)];
            report.partial.iter().map(row).collect()
        },
    },
    CsvTable {
        name: "partners",
        columns: &[
            "partner",
            "name",
            "calls",
            "served",
            "denied",
            "failed",
            "unknown",
            "bytes_served",
            "subjects",
            "apis",
            "overstayed_calls",
            "overstay_s_max",
            "latency_us_count",
            "latency_us_p50",
            "latency_us_p90",
            "latency_us_p99",
            "latency_us_max",
            "first",
            "last",
        ],
        rows: |report| {
            let row = |partner: &crate::report::Partner| {
                let mut row = vec![
                    text(&partner.partner),
                    optional(partner.name.as_deref()),
                    partner.calls.to_string(),
                    partner.served.to_string(),
                    partner.denied.to_string(),
                    partner.failed.to_string(),
                    partner.unknown.to_string(),
                    partner.bytes_served.to_string(),
                    partner.subjects.to_string(),
                    partner.apis.to_string(),
                    partner.overstayed_calls.to_string(),
                    number(partner.overstay_s_max),
                ];
                row.extend(latency(&partner.latency_us));
                row.extend([instant(partner.first), instant(partner.last)]);
                row
            };
            report.partners.iter().map(row).collect()
        },
    },
    CsvTable {
        name: "rejects",
        columns: &["path", "line", "offset", "reason", "shape"],
        rows: |report| {
            let row = |reject: &crate::report::Reject| {
                vec![
                    text(&reject.path),
                    reject.line.to_string(),
                    reject.offset.to_string(),
                    reject.reason.to_owned(),
                    text(&reject.shape),
                ]
            };
            report.rejects.sample.iter().map(row).collect()
        },
    },
    CsvTable {
        name: "report",
        columns: &["key", "value"],
        rows: |report| {
            let status = match report.status {
                crate::report::Status::Complete => "complete",
                crate::report::Status::Partial => "partial",
            };
            let (window, register, lines) = (&report.window, &report.register, &report.accounting);
            let networks = report.anomalies.networks;
            let nightly = report.nightly.as_ref();
            let change = nightly.and_then(|nightly| nightly.register_change.as_ref());
            let since = nightly.and_then(|nightly| nightly.since);
            let standing = nightly.and_then(|nightly| nightly.standing);
            let standing = |of: fn(Standing) -> u64| number(standing.map(of));
            let rows = [
                ("schema", report.schema.to_owned()),
                ("program", report.program.clone()),
                ("status", status.to_owned()),
                ("headline", text(&report.headline)),
                ("partner", optional(report.partner.as_deref())),
                ("window_since", instant(window.since)),
                ("window_until", instant(window.until)),
                ("window_first", instant(window.first)),
                ("window_last", instant(window.last)),
                ("config_digest", optional(report.config.digest.as_deref())),
                ("register_digest", optional(register.digest.as_deref())),
                ("register_as_known_at", instant(register.as_known_at)),
                ("accounting_lines", lines.lines.to_string()),
                ("accounting_blank", lines.blank.to_string()),
                ("accounting_calls", lines.calls.to_string()),
                ("accounting_rejected", lines.rejected.to_string()),
                ("accounting_outside_window", lines.outside_window.to_string()),
                ("accounting_duplicates", lines.duplicates.to_string()),
                ("anomalies_days", report.anomalies.days.to_string()),
                ("anomalies_judged", report.anomalies.judged.to_string()),
                ("anomalies_without_history", report.anomalies.without_history.to_string()),
                ("anomalies_history_days", report.anomalies.history_days.to_string()),
                ("anomalies_history_days_min", report.anomalies.history_days_min.to_string()),
                ("anomalies_networks_credentials", number(networks.map(|all| all.credentials))),
                (
                    "anomalies_networks_without_history",
                    number(networks.map(|all| all.without_history)),
                ),
                ("anomalies_networks_untied", number(networks.map(|all| all.untied))),
                (
                    "anomalies_networks_without_address",
                    number(networks.map(|all| all.without_address)),
                ),
                ("nightly_run", number(nightly.map(|nightly| nightly.run))),
                ("nightly_run_at", instant(nightly.and_then(|nightly| nightly.run_at))),
                ("nightly_day", optional(nightly.and_then(|nightly| nightly.day.as_deref()))),
                ("nightly_revision", number(nightly.and_then(|nightly| nightly.revision))),
                (
                    "nightly_previous",
                    optional(nightly.and_then(|nightly| nightly.previous.as_deref())),
                ),
                (
                    "nightly_register_change_from",
                    optional(change.map(|change| change.from.as_str())),
                ),
                (
                    "nightly_register_change_from_propagation_s",
                    number(change.and_then(|change| change.from_propagation_s)),
                ),
                (
                    "nightly_register_change_days",
                    change.map_or_else(String::new, |c| list(&c.days)),
                ),
                (
                    "nightly_register_change_tables",
                    change.map_or_else(String::new, |c| c.tables.join("|")),
                ),
                ("nightly_since_run", number(since.map(|since| since.run))),
                ("nightly_since_run_at", instant(since.map(|since| since.run_at))),
                ("nightly_logs", number(nightly.and_then(|nightly| nightly.logs))),
                (
                    "nightly_alerts_changes",
                    number(nightly.and_then(|nightly| Some(nightly.alerts.as_ref()?.changes))),
                ),
                ("nightly_standing_critical", standing(|standing| standing.critical)),
                ("nightly_standing_high", standing(|standing| standing.high)),
                ("nightly_standing_medium", standing(|standing| standing.medium)),
                ("nightly_standing_low", standing(|standing| standing.low)),
                ("nightly_standing_info", standing(|standing| standing.info)),
                ("nightly_standing_suppressed", standing(|standing| standing.suppressed)),
            ];
            rows.into_iter().map(|(key, value)| vec![key.to_owned(), value]).collect()
        },
    },
    CsvTable {
        name: "series",
        columns: &["hour", "partner", "served", "denied", "failed", "overstayed"],
        rows: |report| {
            let row = |hour: &crate::report::Hour| {
                vec![
                    instant(hour.hour),
                    optional(hour.partner.as_deref()),
                    hour.served.to_string(),
                    hour.denied.to_string(),
                    hour.failed.to_string(),
                    hour.overstayed.to_string(),
                ]
            };
            report.series.iter().map(row).collect()
        },
    },
    CsvTable {
        name: "sources",
        columns: &["source", "expect", "hours_expected", "hours_seen", "calls", "anonymous"],
        rows: |report| {
            let row = |source: &crate::report::SourceCoverage| {
                vec![
                    text(&source.source),
                    optional(source.expect),
                    source.hours_expected.to_string(),
                    source.hours_seen.to_string(),
                    source.calls.to_string(),
                    source.anonymous.to_string(),
                ]
            };
            report.coverage.sources.iter().map(row).collect()
        },
    },
    CsvTable {
        name: "suppressions",
        columns: &[
            "finding", "kind", "partner", "api", "owner", "reason", "until", "expired", "hides",
        ],
        rows: |report| {
            let row = |suppression: &crate::report::Suppression| {
                vec![
                    optional(suppression.finding.as_deref()),
                    optional(suppression.kind.map(crate::findings::Kind::as_str)),
                    optional(suppression.partner.as_deref()),
                    optional(suppression.api.as_deref()),
                    text(&suppression.owner),
                    text(&suppression.reason),
                    suppression.until.to_string(),
                    suppression.expired.to_string(),
                    suppression.hides.to_string(),
                ]
            };
            report.suppressions.iter().map(row).collect()
        },
    },
    CsvTable {
        name: "usage",
        columns: &[
            "partner",
            "api",
            "operation",
            "verdict",
            "also",
            "grant",
            "outcome",
            "calls",
            "bytes",
            "subjects",
            "first",
            "last",
            "credential",
        ],
        rows: |report| {
            let row = |usage: &crate::report::Usage| {
                vec![
                    optional(usage.partner.as_deref()),
                    optional(usage.api.as_deref()),
                    optional(usage.operation.as_deref()),
                    optional(usage.verdict.map(crate::judge::Verdict::as_str)),
                    usage.also.join("|"),
                    optional(usage.grant.as_deref()),
                    usage.outcome.to_owned(),
                    usage.calls.to_string(),
                    usage.bytes.to_string(),
                    usage.subjects.to_string(),
                    usage.first.to_string(),
                    usage.last.to_string(),
                    optional(usage.credential.as_deref()),
                ]
            };
            report.usage.iter().map(row).collect()
        },
    },
    CsvTable {
        name: "waiting_alerts",
        columns: &["channel", "run", "delivery_id", "changes", "tries", "failure"],
        rows: |report| {
            let row = |waiting: &crate::report::WaitingAlert| {
                vec![
                    text(&waiting.channel),
                    waiting.run.to_string(),
                    waiting.delivery_id.clone(),
                    waiting.changes.to_string(),
                    waiting.tries.to_string(),
                    optional(waiting.failure.as_deref()),
                ]
            };
            let alerts = report.nightly.iter().flat_map(|nightly| &nightly.alerts);
            alerts.flat_map(|alerts| &alerts.waiting).map(row).collect()
        },
    },
];

/// Writes a table of the report, its header first, also where it has no row.
///
/// # Errors
///
/// Those of `out`.
pub fn csv(report: &Report, table: CsvTable, out: &mut dyn Write) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(table.columns)?;
    for row in (table.rows)(report) {
        writer.write_record(row)?;
    }
    writer.flush()
}

fn instant(at: Option<Instant>) -> String {
    at.map(|at| at.to_string()).unwrap_or_default()
}

fn number(number: Option<u64>) -> String {
    number.map(|number| number.to_string()).unwrap_or_default()
}

fn optional(cell: Option<&str>) -> String {
    cell.map(text).unwrap_or_default()
}

fn list(items: &[String]) -> String {
    text(&items.join("|"))
}

fn latency(latency: &Latency) -> [String; 5] {
    let Latency { count, p50, p90, p99, max } = *latency;
    [count.to_string(), number(p50), number(p90), number(p99), number(max)]
}

/// What makes a spreadsheet take a cell for a formula (OWASP, "CSV Injection").
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// A text that comes from a log or a register, as no spreadsheet takes it for a formula: a quote stands before what
/// would begin one, also behind what another spreadsheet may take for the end of a cell.
fn text(text: &str) -> String {
    let text: Cow<'_, str> = for_terminal(text);
    let mut safe = String::with_capacity(text.len() + 1);
    let mut begins = true;
    for c in text.chars() {
        if begins && FORMULA.contains(&c) {
            safe.push('\'');
        }
        // Blanks before a formula keep it from being one in none of them.
        begins = matches!(c, ',' | ';' | '"' | '\'') || (begins && c.is_whitespace());
        safe.push(c);
    }
    safe
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::report::fixtures;

    fn written(report: &Report, name: &str) -> Vec<csv::StringRecord> {
        let table = CSV_TABLES.into_iter().find(|table| table.name == name).unwrap();
        let mut out = Vec::new();
        csv(report, table, &mut out).unwrap();
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(out.as_slice());
        reader.records().map(Result::unwrap).collect()
    }

    /// The keys of a row of JSON, those of an object within it with its name in front.
    fn keys(row: &Value) -> Vec<String> {
        let object = row.as_object().unwrap();
        let mut all = Vec::new();
        for (key, value) in object {
            match value {
                Value::Object(inner) => all.extend(inner.keys().map(|k| format!("{key}_{k}"))),
                _ => all.push(key.clone()),
            }
        }
        all.sort();
        all
    }

    #[test]
    fn columns_are_the_keys_of_the_json_report() {
        // Its first finding is about a log, so that all keys are there.
        let report = fixtures::nightly();
        let json = serde_json::to_value(&report).unwrap();
        for table in CSV_TABLES {
            let rows = match table.name {
                "rejects" => &json["rejects"]["sample"],
                "sources" => &json["coverage"]["sources"],
                "evidence" => &json["findings"][1]["evidence"],
                "days" => &json["nightly"]["days"],
                "affected" => &json["nightly"]["register_change"]["affected"],
                "waiting_alerts" => &json["nightly"]["alerts"]["waiting"],
                // Not rows of the JSON report; looked at below.
                "report" | "partial" | "gaps" | "anomalies" => continue,
                name => &json[name],
            };
            let mut expected = keys(&rows[0]);
            // Shown elsewhere, always null, or one of two keys.
            expected.retain(|key| !matches!(key.as_str(), "evidence" | "anomaly" | "gaps"));
            let extra: &[&str] = match table.name {
                "evidence" => &["finding"],
                "suppressions" => &["finding", "kind"],
                _ => &[],
            };
            expected.extend(extra.iter().map(|key| (*key).to_owned()));
            expected.sort();
            expected.dedup();
            let mut columns: Vec<String> = table.columns.iter().map(|c| (*c).to_owned()).collect();
            columns.sort();
            assert_eq!(columns, expected, "{}", table.name);
            for record in written(&report, table.name) {
                assert_eq!(record.len(), table.columns.len(), "{}", table.name);
            }
        }
    }

    #[test]
    fn cells_are_what_the_json_report_says() {
        let report = fixtures::small();
        let finding = &written(&report, "findings")[1];
        let of = |name: &str| {
            let table = CSV_TABLES.into_iter().find(|table| table.name == "findings").unwrap();
            &finding[table.columns.iter().position(|column| *column == name).unwrap()]
        };
        let json = serde_json::to_value(&report.findings[0]).unwrap();
        assert_eq!(of("id"), json["id"]);
        assert_eq!(of("operations"), "delete|read");
        assert_eq!(of("served"), json["served"].to_string());
        assert_eq!(of("since"), json["since"].as_str().unwrap());
        assert_eq!(of("status"), "");
        assert_eq!(of("subjects_count"), json["subjects"]["count"].to_string());
    }

    #[test]
    fn a_run_that_keeps_state() {
        let table = |report: &Report, name: &str| -> Vec<Vec<String>> {
            let records = written(report, name).into_iter().skip(1);
            records.map(|record| record.iter().map(str::to_owned).collect()).collect()
        };
        let report = fixtures::nightly();
        let days = [
            ["2018-12-17", "3", "", "0"],
            ["2018-12-18", "2", "13000", "12011"],
            ["2018-12-19", "1", "1", "1"],
        ];
        assert_eq!(table(&report, "days"), days);
        let affected = [["reelhouse", "messages", "read", "1204"], ["seekly", "location", "", "1"]];
        assert_eq!(table(&report, "affected"), affected);
        let lost = &written(&report, "findings")[1];
        let columns =
            CSV_TABLES.into_iter().find(|table| table.name == "findings").unwrap().columns;
        let of = |name: &str| &lost[columns.iter().position(|column| *column == name).unwrap()];
        assert_eq!((of("kind"), of("status")), ("log-lost", "new"));
        assert_eq!(of("first_seen"), "2018-12-19T02:00:00Z");
        assert_eq!((of("log_source"), of("log_path")), ("edge", "edge.log"));
        assert_eq!((of("log_read_bytes"), of("log_seen_bytes")), ("10000", "12000"));
        let of_report = |report: &Report| {
            let rows = table(report, "report").into_iter();
            let rows = rows.filter(|row| row[0].starts_with("nightly_"));
            rows.map(|row| row[1].clone()).collect::<Vec<_>>()
        };
        let days = (1..=12).map(|day| format!("2018-12-{day:02}")).collect::<Vec<_>>().join("|");
        let (before, register) = ("a".repeat(64), "d".repeat(64));
        let run = ["12", "2018-12-19T02:00:00Z", "", "", &before, &register, "60", &days, "routes"];
        let since = ["11", "2018-12-18T02:00:00Z", "14", "3", "1", "0", "0", "2", "0", "1"];
        let mut with_propagation = report.clone();
        let nightly = with_propagation.nightly.as_mut().unwrap();
        nightly.register_change.as_mut().unwrap().from_propagation_s = Some(60);
        assert_eq!(of_report(&with_propagation), [&run[..], &since].concat());
        let day = ["12", "2018-12-19T02:00:00Z", "2018-12-18", "2", &before, "", "", "", ""];
        assert_eq!(of_report(&fixtures::day()), [&day[..], &[""; 10]].concat());
        // An audit knows of none of it.
        assert_eq!(of_report(&fixtures::small()), [""; 19]);
        let waiting = table(&report, "waiting_alerts");
        let expected = [
            ["webhook:ops", "11", &format!("{:032x}", 11), "2", "1", "503 Service Unavailable"],
            ["webhook:ops", "12", &format!("{:032x}", 12), "3", "0", ""],
        ];
        assert_eq!(waiting, expected);
        assert!(table(&fixtures::small(), "days").is_empty());
        // A log's name is hostile text.
        let hostile = fixtures::poisoned(report, "=1\u{202e}");
        let mut out = Vec::new();
        for table in CSV_TABLES {
            csv(&hostile, table, &mut out).unwrap();
        }
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains(",edge.log=1\\u{202e},") && !text.contains('\u{202e}'), "{text}");
    }

    #[test]
    fn what_a_report_is_about_and_lacks_is_there_too() {
        let report = fixtures::partial();
        let json = serde_json::to_value(&report).unwrap();
        let rows = written(&report, "report");
        let of = |key: &str| rows.iter().find(|row| &row[0] == key).unwrap()[1].to_owned();
        assert_eq!(of("status"), "partial");
        assert_eq!(of("headline"), json["headline"].as_str().unwrap());
        assert_eq!(of("accounting_lines"), json["accounting"]["lines"].to_string());
        assert_eq!(of("register_digest"), json["register"]["digest"].as_str().unwrap());
        let partial = written(&report, "partial");
        assert_eq!(partial.len(), 1 + json["partial"].as_array().unwrap().len());
        assert_eq!(&partial[1][0], json["partial"][0]["path"].as_str().unwrap());
    }

    #[test]
    fn a_table_without_rows_has_its_header() {
        let mut report = fixtures::small();
        report.ends.clear();
        let records = written(&report, "ends");
        assert_eq!((records.len(), &records[0][0]), (1, "partner"));
    }

    #[test]
    fn nothing_is_taken_for_a_formula() {
        for (hostile, safe) in [
            ("=1+1", "'=1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("-1", "'-1"),
            (" +1", " '+1"),
            ("＝1", "'＝1"),
            ("\t=1", "\\u{9}=1"),
            ("a;=1", "a;'=1"),
            ("a,\"=1", "a,\"'=1"),
            ("a=b-c", "a=b-c"),
            ("2018-12-18", "2018-12-18"),
        ] {
            assert_eq!(text(hostile), safe);
        }
    }
}
