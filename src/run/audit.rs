//! `overstay audit`: read, join, report.

use std::io::Write;

use super::output::{Written, check_place, write_file};
use super::read::{Reading, format_hint, formats_taken, read};
use super::{Ended, Status, load_register, unknown_placeholders, vain_as_known_at};
use crate::error::{Error, Result};
use crate::findings::beginning;
use crate::judge::Judge;
use crate::plan::{AuditPlan, Display, Output, OutputKind};
use crate::render::{self, Screen};
use crate::report::{self, Report};

/// Reports on all logs of the plan, `stdout` being standard output.
///
/// # Errors
///
/// If no report can be made or written.
pub fn audit(plan: &AuditPlan, stdout: &mut (dyn Write + Send)) -> Result<Ended> {
    let mut paths = plan.outputs.iter().filter_map(|output| output.path.as_deref());
    paths.try_for_each(check_place)?;
    let register = plan.read.register.as_ref().map(load_register).transpose()?;
    let judge = register.as_ref().map(Judge::new);
    let Reading { tally, facts, volume } = read(&plan.read, judge.as_ref())?;
    let report = report::build(judge.as_ref(), tally, &facts);
    write(&report, &plan.outputs, plan.display, stdout)?;
    let partial = report.partial.iter().map(|p| format!("{}: {}", p.path, p.reason));
    let of_register = register.as_ref().map(|register| {
        let mut told = unknown_placeholders(&plan.read.formats, register);
        told.extend(vain_as_known_at(register));
        told
    });
    let warnings = plan.read.unused.iter().cloned().chain(of_register.into_iter().flatten());
    let warnings = warnings.chain(ambiguous(&report)).chain(partial);
    Ok(Ended {
        status: status(&report, plan),
        warnings: warnings.collect(),
        hint: format_hint(facts.inputs.iter().map(|input| input.unknown_shapes.as_slice())),
        notes: formats_taken(&plan.read, &facts),
        read: Some(volume),
    })
}

/// Suppressions that hide nothing because what they name is the start of several ids, a line each.
fn ambiguous(report: &Report) -> Vec<String> {
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

fn status(report: &Report, plan: &AuditPlan) -> Status {
    let grave = |finding: &report::Finding| {
        finding.suppressed_by.is_none()
            && plan.fail_on.is_some_and(|fail_on| finding.severity >= fail_on)
    };
    match report.status {
        report::Status::Partial => Status::Partial,
        report::Status::Complete if report.findings.iter().any(grave) => Status::Found,
        report::Status::Complete => Status::Done,
    }
}

/// Writes all reports. Files are written beside their places first: where one can't be, no report is made at all.
/// Standard output comes last: a reader who closes it early does not keep the files from being written.
fn write(
    report: &Report,
    outputs: &[Output],
    display: Display,
    stdout: &mut (dyn Write + Send),
) -> Result<()> {
    let render = |kind: OutputKind, screen: Screen, out: &mut dyn Write| match kind {
        OutputKind::Terminal => render::terminal(report, &screen, out),
        OutputKind::Json => render::json(report, out),
    };
    let mut files = Vec::new();
    for output in outputs {
        if let Some(path) = &output.path {
            // Not the screen's width, which is another from day to day, and no colour.
            let screen = Screen { width: display.file_width, colour: false };
            files.extend(write_file(path, |out| render(output.kind, screen, out))?);
        }
    }
    files.into_iter().try_for_each(Written::put_in_place)?;
    for output in outputs.iter().filter(|output| output.path.is_none()) {
        let screen = Screen { width: display.width, colour: display.colour };
        render(output.kind, screen, stdout)
            .and_then(|()| stdout.flush())
            .map_err(|error| Error::io("standard output", error))?;
    }
    Ok(())
}
