//! `overstay audit`: read, join, report.

use std::io::{self, Write};
use std::path::PathBuf;

use super::output::{Folders, Written, check_place, write_file};
use super::read::{Reading, format_hint, formats_taken, pool, read, repeated, vain_dedupe};
use super::repeats::Before;
use super::{Ended, Status, load_register, partner_id, unknown_placeholders, vain_as_known_at};
use crate::error::{Error, Result};
use crate::findings::{Severity, beginning};
use crate::judge::Judge;
use crate::limits::FILE_NAME_BYTES_MAX;
use crate::plan::{AuditPlan, Display, Output, OutputKind};
use crate::render::{self, CSV_TABLES, CsvTable, Screen};
use crate::report::{self, Report};

/// Reports on all logs of the plan, `stdout` being standard output.
///
/// # Errors
///
/// If no report can be made or written.
pub fn audit(plan: &AuditPlan, stdout: &mut (dyn Write + Send)) -> Result<Ended> {
    let made = Folders::make(plan.outputs.iter().flat_map(Output::folders))?;
    let paths = plan.outputs.iter().flat_map(Output::files).collect::<Vec<_>>();
    paths.iter().try_for_each(|path| check_place(path))?;
    let pool = pool(&plan.read)?;
    let register = pool.install(|| plan.read.register.as_ref().map(load_register).transpose())?;
    let judge = pool.install(|| register.as_ref().map(Judge::new));
    let only = match (&plan.partner, &register) {
        (Some(partner), Some(register)) => Some(partner_id(register, partner)?),
        (Some(_), None) => {
            return Err(Error::new(
                "--partner needs a register: without one no call is any partner's",
            )
            .hint("give --register DIR, or the configuration with --config FILE"));
        }
        (None, _) => None,
    };
    let (facts, volume, report) = pool.install(|| {
        let nothing_before = |_: &_| Ok(Before::default());
        let Reading { tally, facts, volume, .. } =
            read(&plan.read, judge.as_ref(), only, &nothing_before, None)?;
        let report = report::build(judge.as_ref(), tally.into_whole(), &facts);
        report.check()?;
        write(&report, &plan.outputs, plan.display, stdout)?;
        Ok::<_, Error>((facts, volume, report))
    })?;
    made.keep();
    let mut notes = formats_taken(&plan.read, &facts);
    let repeats = facts.inputs.iter();
    notes.extend(repeated(
        repeats.filter_map(|input| Some((input.path.as_str(), input.repeats.as_deref()?))),
    ));
    let ungranted = report.ungranted.iter().filter(|ungranted| !ungranted.all);
    notes.extend(ungranted.map(report::Ungranted::told));
    let partial = report.partial.iter().map(|p| format!("{}: {}", p.path, p.reason));
    let of_register = register.as_ref().map(|register| {
        let mut told = unknown_placeholders(&plan.read.formats, register);
        told.extend(vain_as_known_at(register));
        told.extend(report.ungranted.filter(|ungranted| ungranted.all).map(|_| {
            "the register has no grant at all: no call can be found to be after its end; write what was agreed into the \
             table of grants"
                .to_owned()
        }));
        told
    });
    let warnings = plan.read.unused.iter().cloned().chain(of_register.into_iter().flatten());
    let warnings = warnings.chain(vain_dedupe(&plan.read, &facts));
    let warnings = warnings.chain(ambiguous(&report)).chain(partial);
    Ok(Ended {
        status: status(&report, plan.fail_on),
        warnings: warnings.collect(),
        hint: format_hint(facts.inputs.iter().map(|input| input.unknown_shapes.as_slice())),
        notes,
        read: Some(volume),
    })
}

/// Suppressions that hide nothing because what they name is the start of several ids, a line each.
pub(super) fn ambiguous(report: &Report) -> Vec<String> {
    let ids = || report.findings.iter().map(|finding| finding.id.as_str());
    let told = report.suppressions.iter().filter_map(|suppression| {
        let prefix = suppression.finding.as_deref()?;
        let several = beginning(prefix, ids()).len();
        (several > 1).then(|| {
            format!("[[suppress]] finding: `{prefix}` begins {several} findings and hides none")
        })
    });
    told.collect()
}

/// How a run ended that gave this report.
pub(super) fn status(report: &Report, fail_on: Option<Severity>) -> Status {
    let grave = |finding: &report::Finding| {
        finding.suppressed_by.is_none()
            && finding.status != Some("resolved")
            && fail_on.is_some_and(|fail_on| finding.severity >= fail_on)
    };
    match report.status {
        report::Status::Partial => Status::Partial,
        report::Status::Complete if report.findings.iter().any(grave) => Status::Found,
        report::Status::Complete => Status::Done,
    }
}

/// What a file holds of the report.
enum Part<'r> {
    Terminal,
    Json,
    Csv(CsvTable),
    Markdown,
    Page(&'r report::Partner),
    Prometheus,
    Ocsf,
}

impl Part<'_> {
    fn render(&self, report: &Report, screen: Screen, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Part::Terminal => render::terminal(report, &screen, out),
            Part::Json => render::json(report, out),
            Part::Csv(table) => render::csv(report, *table, out),
            Part::Markdown => render::markdown(report, out),
            Part::Page(partner) => render::markdown_partner(report, partner, out),
            Part::Prometheus => render::prometheus(report, out),
            Part::Ocsf => render::ocsf(report, out),
        }
    }
}

/// The files of an output, and what each holds.
fn parts<'r>(output: &Output, report: &'r Report) -> Vec<(PathBuf, Part<'r>)> {
    let files = output.files();
    let whole = |part| files.first().cloned().map(|path| (path, part)).into_iter().collect();
    match output.kind {
        OutputKind::Terminal => whole(Part::Terminal),
        OutputKind::Json => whole(Part::Json),
        OutputKind::Markdown => whole(Part::Markdown),
        OutputKind::Prometheus => whole(Part::Prometheus),
        OutputKind::Ocsf => whole(Part::Ocsf),
        OutputKind::Csv => files.into_iter().zip(CSV_TABLES.map(Part::Csv)).collect(),
        OutputKind::MarkdownPages => {
            let folder = output.folders().pop().unwrap_or_default();
            let page = |partner: &'r report::Partner| {
                let name = format!("{}.md", file_name(&partner.partner));
                (folder.join(name), Part::Page(partner))
            };
            let mut all: Vec<_> = whole(Part::Markdown);
            all.extend(report.partners.iter().map(page));
            all
        }
    }
}

/// A partner's id as the name of a file that stays in its folder, on any file system: all but letters, digits, `_`, `-`
/// and points within it as `%XX`. Of a long one the end is a hash.
fn file_name(id: &str) -> String {
    let mut name = String::with_capacity(id.len());
    for (i, byte) in id.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => name.push(char::from(byte)),
            b'.' if i > 0 => name.push('.'),
            _ => name.push_str(&format!("%{byte:02X}")),
        }
    }
    if name.len() > FILE_NAME_BYTES_MAX {
        let hash = blake3::hash(id.as_bytes()).to_hex();
        name.truncate(FILE_NAME_BYTES_MAX - 17);
        name.push('-');
        name.push_str(&hash[..16]);
    }
    name
}

/// Writes all reports. Files are written beside their places first: where one can't be, no report is made at all.
/// Standard output comes last: a reader who closes it early does not keep the files from being written.
pub(super) fn write(
    report: &Report,
    outputs: &[Output],
    display: Display,
    stdout: &mut (dyn Write + Send),
) -> Result<()> {
    let mut files = Vec::new();
    for (path, part) in outputs.iter().flat_map(|output| parts(output, report)) {
        // Not the screen's width, which is another from day to day, and no colour.
        let screen = Screen { width: display.file_width, colour: false };
        files.extend(write_file(&path, |out| part.render(report, screen, out))?);
    }
    files.into_iter().try_for_each(Written::put_in_place)?;
    for output in outputs.iter().filter(|output| output.path.is_none()) {
        let screen = Screen { width: display.width, colour: display.colour };
        let part = match output.kind {
            OutputKind::Terminal => Part::Terminal,
            OutputKind::Json => Part::Json,
            OutputKind::Prometheus => Part::Prometheus,
            OutputKind::Ocsf => Part::Ocsf,
            OutputKind::Markdown | OutputKind::MarkdownPages | OutputKind::Csv => Part::Markdown,
        };
        part.render(report, screen, stdout)
            .and_then(|()| stdout.flush())
            .map_err(|error| Error::io("standard output", error))?;
    }
    Ok(())
}
