//! The report as Markdown (GitHub Flavored Markdown 0.29), whole or a page for one partner: for tickets, wikis and mail.
//!
//! Decides nothing about content. Names out of logs and registers stand in code spans, in which nothing is markup; prose
//! is escaped.

use std::io::{self, Write};

use super::escape::for_terminal;
use super::terminal::{
    anomalies_line, in_order, nameless_sources, parties, reach, read_line, standing_line,
    unused_line,
};
use crate::report::text::{
    affected_by_tables, alerts, bytes, counted, duration, latency, people, register_change,
    standing, thousands, to_the_second,
};
use crate::report::{Affected, End, Finding, Partner, RegisterChange, Report, Status};
use crate::time::Instant;

/// Writes the whole report.
///
/// # Errors
///
/// Those of `out`.
pub fn markdown(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "# Access after its end\n\n{}", prose(&report.headline))?;
    if report.status == Status::Partial {
        writeln!(out, "\n**Partial**: the report says nothing about what lies in these.\n")?;
        for partial in &report.partial {
            writeln!(out, "- {}: {}", code(&partial.path), prose(&partial.reason))?;
        }
    }
    about(report, None, out)?;
    for told in nameless_sources(report) {
        writeln!(out, "\n{}", prose(&told))?;
    }
    if let Some(ungranted) = &report.ungranted {
        writeln!(out, "\n**Ungranted**: {}.", prose(&ungranted.told()))?;
    }
    if report.register.digest.is_none() {
        unjudged(report, out)?;
    }
    findings_table(report.findings.iter().collect(), true, out)?;
    ends_table(&report.ends.iter().collect::<Vec<_>>(), true, out)?;
    let called: Vec<&Partner> = report.partners.iter().filter(|p| p.calls > 0).collect();
    let rows = called.iter().map(|partner| partner_row(partner)).collect();
    table("Partners", &PARTNER_COLUMNS, rows, out)?;
    let silent: Vec<String> =
        report.partners.iter().filter(|p| p.calls == 0).map(|p| code(&p.partner)).collect();
    if !silent.is_empty() {
        writeln!(out, "\nWithout any call: {}", silent.join(", "))?;
    }
    exceptions_table(report, None, out)?;
    affected_table(report, None, out)?;
    days_table(report, out)?;
    let rows = report.suppressions.iter().map(|suppression| {
        let what = suppression.finding.clone().unwrap_or_else(|| {
            let kind = suppression.kind.map(crate::findings::Kind::as_str);
            let parts = [kind, suppression.partner.as_deref(), suppression.api.as_deref()];
            parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
        });
        vec![
            code(&what),
            suppression.hides.to_string(),
            suppression.until.to_string(),
            if suppression.expired { "expired" } else { "in force" }.to_owned(),
            prose(&suppression.owner),
            prose(&suppression.reason),
        ]
    });
    let columns = ["What", "Hides", "Until", "Status", "Owner", "Reason"];
    table("Suppressions", &columns, rows.collect(), out)?;
    let rows = report.inputs.iter().map(|input| {
        vec![
            code(&input.path),
            code(&input.source),
            thousands(input.lines),
            thousands(input.calls),
            thousands(input.rejected),
            thousands(input.outside_window),
            match &input.repeats {
                None => thousands(input.duplicates),
                Some(first) => format!("all, of {}", code(first)),
            },
            if input.complete { "yes" } else { "no" }.to_owned(),
        ]
    });
    let columns = [
        "Input",
        "Source",
        "Lines",
        "Calls",
        "Rejected",
        "Outside the window",
        "Repeats",
        "Complete",
    ];
    table("Inputs", &columns, rows.collect(), out)?;
    let rows = report.rejects.sample.iter().map(|reject| {
        vec![
            reject.reason.to_owned(),
            code(&reject.path),
            thousands(reject.line),
            code(&reject.shape),
        ]
    });
    table(
        "Rejects, the first of each reason",
        &["Reason", "Path", "Line", "Shape"],
        rows.collect(),
        out,
    )
}

/// Use by credential and path, where there is no register to judge it by.
fn unjudged(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let rows = report.usage.iter().map(|row| {
        vec![
            optional(row.credential.as_deref()),
            optional(row.api.as_deref()),
            optional(row.operation.as_deref()),
            row.outcome.to_owned(),
            thousands(row.calls),
            people(row.subjects),
            to_the_second(row.first),
            to_the_second(row.last),
        ]
    });
    let columns =
        ["Credential", "Path", "Operation", "Outcome", "Calls", "People", "First", "Last"];
    table("Use", &columns, rows.collect(), out)
}

/// Writes the page of one partner of the report.
///
/// # Errors
///
/// Those of `out`.
pub fn markdown_partner(report: &Report, partner: &Partner, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "# {}\n", code(&partner.partner))?;
    if let Some(name) = &partner.name {
        writeln!(out, "Name: {}\n", prose(name))?;
    }
    let overstayed = match partner.overstayed_calls {
        0 => "No call was served after access had ended.".to_owned(),
        calls => format!(
            "{} after access was last in order, the longest {} after.",
            counted(calls, "call was served", "calls were served"),
            partner.overstay_s_max.map_or_else(|| "-".to_owned(), duration)
        ),
    };
    writeln!(out, "{overstayed}")?;
    if report.status == Status::Partial {
        writeln!(out, "\n**Partial**: not all logs were read; see the whole report.")?;
    }
    about(report, Some(&partner.partner), out)?;
    let of_partner = |name: &Option<String>| name.as_deref() == Some(partner.partner.as_str());
    let findings = report.findings.iter().filter(|finding| of_partner(&finding.partner));
    findings_table(findings.collect(), false, out)?;
    let ends: Vec<&End> = report.ends.iter().filter(|end| end.partner == partner.partner).collect();
    ends_table(&ends, false, out)?;
    exceptions_table(report, Some(&partner.partner), out)?;
    affected_table(report, Some(&partner.partner), out)?;
    table("Calls", &PARTNER_COLUMNS, vec![partner_row(partner)], out)?;
    let usage = report.usage.iter().filter(|row| of_partner(&row.partner)).map(|row| {
        vec![
            optional(row.api.as_deref()),
            optional(row.operation.as_deref()),
            row.verdict.map_or("-", crate::judge::Verdict::as_str).to_owned(),
            if row.also.is_empty() { "-".to_owned() } else { row.also.join(", ") },
            optional(row.grant.as_deref()),
            row.outcome.to_owned(),
            thousands(row.calls),
            people(row.subjects),
            to_the_second(row.first),
            to_the_second(row.last),
        ]
    });
    let columns = [
        "API",
        "Operation",
        "Verdict",
        "Also",
        "Grant",
        "Outcome",
        "Calls",
        "People",
        "First",
        "Last",
    ];
    table("Use", &columns, usage.collect(), out)
}

/// Which run, time, register and logs a report is about; for one partner without what is about others alone.
fn about(report: &Report, partner: Option<&str>, out: &mut dyn Write) -> io::Result<()> {
    let at = |at: Option<Instant>| at.map_or_else(|| "-".to_owned(), to_the_second);
    writeln!(out, "\n| | |\n| --- | --- |")?;
    if let Some(nightly) = &report.nightly {
        let label = if nightly.day.is_some() { "Day" } else { "Run" };
        writeln!(out, "| {label} | {} |", prose(&standing(nightly)))?;
        if let Some(told) = nightly.alerts.as_ref().filter(|_| partner.is_none()) {
            writeln!(out, "| Alerts | {} |", prose(&alerts(told)))?;
        }
    }
    if let Some(change) = changed_register(report).filter(|change| {
        partner.is_none() || !change.tables.is_empty() || affected_of(change, partner).count() > 0
    }) {
        let tables =
            affected_by_tables(change).map_or_else(String::new, |told| format!("; {told}"));
        let is_another = report.register.digest.as_ref() != Some(&change.from);
        let told = register_change(change, is_another.then_some(change.from.as_str()));
        writeln!(out, "| Register change | {} |", prose(&format!("{told}{tables}")))?;
    }
    if let Some(told) = standing_line(report).filter(|_| partner.is_none()) {
        writeln!(out, "| Standing | {} |", prose(&told))?;
    }
    writeln!(out, "| Calls | {} to {} |", at(report.window.first), at(report.window.last))?;
    if report.window.since.is_some() || report.window.until.is_some() {
        let (since, until) = (at(report.window.since), at(report.window.until));
        writeln!(out, "| Window | {since} to {until} |")?;
    }
    if let Some(digest) = &report.register.digest {
        writeln!(out, "| Register | `{digest}` |")?;
    }
    if let Some(known) = report.register.as_known_at {
        writeln!(out, "| As known at | {known} |")?;
    }
    if report.register.digest.is_some() && partner.is_none() {
        writeln!(out, "| Anomalies | {} |", prose(&anomalies_line(report)))?;
    }
    if let Some(told) = unused_line(report).filter(|_| report.register.digest.is_some()) {
        writeln!(out, "| Unused access | {} |", prose(&told))?;
    }
    writeln!(out, "| Read | {} |", prose(&read_line(report)))?;
    let accounting = &report.accounting;
    writeln!(
        out,
        "| Lines | {}: {}, {}, {}, {} outside the window, {} blank |",
        thousands(accounting.lines),
        counted(accounting.calls, "call", "calls"),
        counted(accounting.rejected, "reject", "rejects"),
        counted(accounting.duplicates, "repeat", "repeats"),
        thousands(accounting.outside_window),
        thousands(accounting.blank)
    )
}

fn changed_register(report: &Report) -> Option<&RegisterChange> {
    report.nightly.as_ref().and_then(|nightly| nightly.register_change.as_ref())
}

/// What a change of the register touches, all or one partner's.
fn affected_of<'r>(
    change: &'r RegisterChange,
    partner: Option<&str>,
) -> impl Iterator<Item = &'r Affected> {
    change.affected.iter().filter(move |row| partner.is_none_or(|p| row.partner == p))
}

fn affected_table(report: &Report, partner: Option<&str>, out: &mut dyn Write) -> io::Result<()> {
    let Some(change) = changed_register(report) else { return Ok(()) };
    let rows = affected_of(change, partner).map(|row| {
        vec![
            code(&row.partner),
            code(&row.api),
            row.operation.as_deref().map_or_else(|| "(any that no grant names)".to_owned(), code),
            thousands(row.calls),
        ]
    });
    let columns = ["Partner", "API", "Operation", "Calls"];
    table("Verdicts that the change of the register may touch", &columns, rows.collect(), out)
}

/// The days of a run, all of them.
fn days_table(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let days = report.nightly.iter().flat_map(|nightly| &nightly.days);
    let rows = days.map(|day| {
        let calls = day.calls.map_or_else(|| "-".to_owned(), thousands);
        vec![code(&day.day), day.revision.to_string(), calls, thousands(day.added)]
    });
    table("Days", &["Day", "Revision", "Calls", "Added by this run"], rows.collect(), out)
}

fn findings_table(
    findings: Vec<&Finding>,
    with_partner: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    let findings = in_order(findings);
    // Without saved state none has one.
    let with_status = findings.iter().any(|finding| finding.status.is_some());
    let mut columns = vec!["Severity", "Kind"];
    columns.extend(with_status.then_some(["Status", "First seen"]).into_iter().flatten());
    columns.extend(with_partner.then_some("Partner"));
    columns.extend(["API", "People", "Overstay", "Finding", "What", "Answered by"]);
    let rows = findings.iter().map(|finding| {
        let ((who, what), (reached, unit)) = (parties(finding), reach(finding));
        let mut row = vec![finding.severity.as_str().to_owned(), finding.kind.as_str().to_owned()];
        if with_status {
            row.push(finding.status.unwrap_or("-").to_owned());
            row.push(finding.first_seen.map_or_else(|| "-".to_owned(), to_the_second));
        }
        if with_partner {
            row.push(optional(who));
        }
        row.extend([
            optional(what),
            format!("{reached} {unit}").trim_end().to_owned(),
            finding.overstay_s.map_or_else(|| "-".to_owned(), duration),
            code(&finding.id),
            prose(&finding.summary),
            finding.suppressed_by.as_deref().map_or_else(|| "-".to_owned(), prose),
        ]);
        row
    });
    table("Findings", &columns, rows.collect(), out)
}

fn ends_table(ends: &[&End], with_partner: bool, out: &mut dyn Write) -> io::Result<()> {
    let columns: &[&str] = match with_partner {
        true => &[
            "Status",
            "Partner",
            "API",
            "Reason",
            "Ended",
            "Served for",
            "Grant",
            "Last served",
            "First denied",
        ],
        false => &[
            "Status",
            "API",
            "Reason",
            "Ended",
            "Served for",
            "Grant",
            "Last served",
            "First denied",
        ],
    };
    let at = |at: Option<Instant>| at.map_or_else(|| "-".to_owned(), to_the_second);
    let rows = ends.iter().map(|end| {
        let mut row = vec![end.status.as_str().to_owned()];
        if with_partner {
            row.push(code(&end.partner));
        }
        row.extend([
            code(&end.api),
            end.reason.as_str().to_owned(),
            to_the_second(end.ended_at),
            end.lag_s.map_or_else(|| "-".to_owned(), duration),
            code(&end.grant),
            at(end.last_served),
            at(end.first_denied),
        ]);
        row
    });
    table("Ends", columns, rows.collect(), out)
}

/// Exceptions, all or one partner's.
fn exceptions_table(report: &Report, partner: Option<&str>, out: &mut dyn Write) -> io::Result<()> {
    let of = report.exceptions.iter().filter(|e| partner.is_none_or(|p| e.partner == p));
    let rows = of.map(|exception| {
        vec![
            code(&exception.grant),
            code(&exception.partner),
            code(&exception.api),
            thousands(exception.calls),
            people(exception.subjects),
            exception.justification.as_deref().map_or_else(|| "(none given)".to_owned(), prose),
        ]
    });
    let columns = ["Grant", "Partner", "API", "Calls", "People", "Justification"];
    table("Exceptions: grants that override missing consent", &columns, rows.collect(), out)
}

const PARTNER_COLUMNS: [&str; 12] = [
    "Partner",
    "Calls",
    "Served",
    "Denied",
    "Failed",
    "Unknown",
    "Overstayed",
    "Longest",
    "People",
    "Bytes",
    "p99",
    "Last call",
];

fn partner_row(partner: &Partner) -> Vec<String> {
    vec![
        code(&partner.partner),
        thousands(partner.calls),
        thousands(partner.served),
        thousands(partner.denied),
        thousands(partner.failed),
        thousands(partner.unknown),
        thousands(partner.overstayed_calls),
        partner.overstay_s_max.map_or_else(|| "-".to_owned(), duration),
        people(partner.subjects),
        bytes(partner.bytes_served),
        partner.latency_us.p99.map_or_else(|| "-".to_owned(), latency),
        partner.last.map_or_else(|| "-".to_owned(), to_the_second),
    ]
}

/// A section with a table; nothing where there are no rows. Cells are Markdown already.
fn table(
    title: &str,
    columns: &[&str],
    rows: Vec<Vec<String>>,
    out: &mut dyn Write,
) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n## {title}\n\n| {} |", columns.join(" | "))?;
    writeln!(out, "|{}", " --- |".repeat(columns.len()))?;
    rows.iter().try_for_each(|row| writeln!(out, "| {} |", row.join(" | ")))
}

fn optional(name: Option<&str>) -> String {
    name.map_or_else(|| "-".to_owned(), code)
}

/// A text in a code span, in which nothing is markup. An empty one has none, and is a dash.
fn code(text: &str) -> String {
    let shown = for_terminal(text);
    if shown.trim().is_empty() {
        return "-".to_owned();
    }
    // A pipe ends a table's cell unless a backslash stands before it, which is taken off again; one that stands there
    // already is spelled out.
    let shown = shown.replace("\\|", "\\u{5c}|").replace('|', "\\|");
    let longest = shown.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    // A blank on both sides is taken off again; a backtick or a blank at the edge needs it.
    let edge = if longest > 0 || shown.starts_with(' ') || shown.ends_with(' ') { " " } else { "" };
    format!("{fence}{edge}{shown}{edge}{fence}")
}

/// A text in which nothing is markup, a tag, a link or a mention: what could begin markup has a backslash in front, and
/// words that renderers turn into links by themselves stand as code, since they do so whatever is escaped.
fn prose(text: &str) -> String {
    let shown = for_terminal(text);
    let words = shown.split(' ').map(|word| {
        if becomes_link(word) {
            return code(word);
        }
        let mut safe = String::with_capacity(word.len() + 4);
        for c in word.chars() {
            if "\\`*_{}[]<>#!|~&$=^".contains(c) {
                safe.push('\\');
            }
            safe.push(c);
        }
        safe
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Whether a word may become a link, a mail address, a mention of somebody or a reference to a ticket.
fn becomes_link(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    word.contains(['@', '#']) || lower.contains("://") || lower.contains("www.")
}

#[cfg(test)]
mod tests {
    use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

    use super::*;
    use crate::report::fixtures;

    fn whole(report: &Report) -> String {
        let mut out = Vec::new();
        markdown(report, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// The texts of all cells of a table, and what else a renderer finds in them.
    fn cells(markdown: &str) -> (Vec<String>, Vec<String>) {
        let (mut cells, mut strange, mut in_cell) = (Vec::new(), Vec::new(), false);
        for event in Parser::new_ext(markdown, Options::all()) {
            match event {
                Event::Start(Tag::TableCell) => {
                    cells.push(String::new());
                    in_cell = true;
                }
                Event::End(TagEnd::TableCell) => in_cell = false,
                Event::Text(text) | Event::Code(text) => {
                    if let Some(cell) = cells.last_mut().filter(|_| in_cell) {
                        cell.push_str(&text);
                    }
                }
                Event::Start(
                    Tag::Table(_)
                    | Tag::TableHead
                    | Tag::TableRow
                    | Tag::Heading { .. }
                    | Tag::Paragraph
                    | Tag::Strong
                    | Tag::List(_)
                    | Tag::Item,
                )
                | Event::End(_)
                | Event::SoftBreak => {}
                other => strange.push(format!("{other:?}")),
            }
        }
        (cells, strange)
    }

    #[test]
    fn hostile_text_is_shown_as_it_is_and_does_nothing() {
        for hostile in [
            "<script>alert(1)</script>",
            "[x](https://evil.example)",
            "![x](http://evil.example/x.png)",
            "a|b\\|c`d",
            "``` x",
            "*a* _b_ ~~c~~ ==d== ^e^ $f$",
            "&amp; &#64;",
            "`code` `",
            "\\",
            " leads",
            "https://evil.example www.evil.example a@evil.example",
            "# h\n- i",
            "pay@evil.example @org/team xmpp:a@b.c #12 GH-12",
        ] {
            for cell in [code(hostile), prose(hostile)] {
                let table = format!("| a | b |\n| --- | --- |\n| {cell} | x |\n");
                let (cells, strange) = cells(&table);
                assert_eq!(strange, [""; 0], "{hostile}");
                assert_eq!(cells.len(), 4, "{hostile}: {cell}");
                let shown = for_terminal(hostile).replace("\\|", "\\u{5c}|");
                let seen = cells[2].replace("\\|", "\\u{5c}|");
                assert_eq!(seen.trim(), shown.trim(), "{cell}");
            }
        }
        // What renderers make links of although it is escaped stands in code alone.
        for hostile in ["a pay@evil.example b", "@org/team", "#12", "see www.evil.example"] {
            let prose = prose(hostile);
            let mut outside = prose.split('`').step_by(2);
            assert!(outside.all(|text| !becomes_link(text)), "{prose}");
        }
        for report in [fixtures::full(), fixtures::nightly(), fixtures::day()] {
            let poisoned = fixtures::poisoned(report, "<b>|`[x](y)\u{202e}");
            let (_, strange) = cells(&whole(&poisoned));
            assert_eq!(strange, [""; 0]);
        }
    }

    #[test]
    fn the_whole_report_has_its_tables() {
        let report = fixtures::small();
        let text = whole(&report);
        let (cells, _) = cells(&text);
        let has = |cell: &str| assert!(cells.iter().any(|c| c == cell), "{cell}\n{text}");
        assert!(
            text.starts_with(&format!("# Access after its end\n\n{}", prose(&report.headline)))
        );
        for cell in [
            "os-7f3k2mq4t6xa",
            "after-revocation",
            "2 people",
            "1 y 13 d",
            "open",
            "court order 12/44",
            "expired",
            "gateway.jsonl",
        ] {
            has(cell);
        }
    }

    #[test]
    fn a_run_that_keeps_state() {
        let report = fixtures::nightly();
        let text = whole(&report);
        let digest = "d".repeat(64);
        let change = format!(
            "| Register change | changed since {digest}: verdicts of 12 days may be others now \
             (2018-12-01 … 2018-12-12); what changed in routes may touch any call |\n"
        );
        for line in [
            "| Run | 12 at 2018-12-19T02:00:00Z: 2018-12-17 rev 3, 2018-12-18 rev 2 (+12,011 calls), \
             2018-12-19 rev 1 (+1 call) |\n",
            &change,
            "| Standing | 4 findings of earlier runs, of which this one found nothing: 1 critical, 2 low, 1 suppressed |\n",
            "| Severity | Kind | Status | First seen | Partner | API | People | Overstay | Finding | What | Answered by |\n",
            "| high | log-lost | new | 2018-12-19T02:00:00Z | - | `edge.log` | - | - | `os-22222222222b` | \
             edge.log (source edge) is gone, or another file has its name: 10,000 of 12,000 bytes seen were read, and nobody can tell what was \
             written after; lines that it and a file of its name both hold count twice | - |\n",
            "\n## Verdicts that the change of the register may touch\n\n| Partner | API | Operation | Calls |\n\
             | --- | --- | --- | --- |\n| `reelhouse` | `messages` | `read` | 1,204 |\n\
             | `seekly` | `location` | (any that no grant names) | 1 |\n",
            "\n## Days\n\n| Day | Revision | Calls | Added by this run |\n| --- | --- | --- | --- |\n\
             | `2018-12-17` | 3 | - | 0 |\n| `2018-12-18` | 2 | 13,000 | 12,011 |\n| `2018-12-19` | 1 | 1 | 1 |\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
        // What is resolved comes last, however grave it was.
        let at = |id: &str| text.find(id).unwrap();
        let order =
            ["os-7f3k2mq4t6xa", "os-44444444444d", "os-22222222222b", "os-33333333333c"].map(at);
        assert!(order.is_sorted(), "{text}");
        assert!(whole(&fixtures::day()).contains("| Day | 2018-12-18, rev 2, run 12 |\n"));
        let audit = whole(&fixtures::small());
        assert!(!audit.contains("| Run |") && !audit.contains("| Status | First seen |"));
    }

    #[test]
    fn a_partners_page_tells_what_of_a_change_is_about_it() {
        let page = |report: &Report| {
            let mut out = Vec::new();
            markdown_partner(report, &report.partners[0], &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let mut report = fixtures::nightly();
        let text = page(&report);
        assert!(text.contains("| Register change | ") && !text.contains("seekly"), "{text}");
        assert!(text.contains("| `reelhouse` | `messages` | `read` | 1,204 |\n"), "{text}");
        let change = report.nightly.as_mut().unwrap().register_change.as_mut().unwrap();
        change.affected.remove(0);
        assert!(page(&report).contains("| Register change | "), "the routes may touch it");
        let change = report.nightly.as_mut().unwrap().register_change.as_mut().unwrap();
        change.tables.clear();
        assert!(!page(&report).contains("| Register change | "), "others' alone");
    }

    #[test]
    fn a_partners_page_is_about_no_other() {
        let report = fixtures::full();
        let (one, other) = (&report.partners[0], &report.partners[1]);
        let mut out = Vec::new();
        markdown_partner(&report, one, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with(&format!("# {}\n", code(&one.partner))));
        assert!(!text.contains(&other.partner), "{text}");
    }
}
