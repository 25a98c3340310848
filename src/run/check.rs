//! `overstay check`: every problem of config and register at once.

use std::io::Write;

use super::{Ended, Status};
use crate::error::{Error, Result};
use crate::plan::CheckPlan;
use crate::register::{self, Level, Source};
use crate::render::for_terminal;

/// Checks, printing a line for each problem to `stdout`.
///
/// # Errors
///
/// If the register can't be read at all.
pub fn check(plan: &CheckPlan, stdout: &mut (dyn Write + Send)) -> Result<Ended> {
    let written = |error| Error::io("standard output", error);
    let (mut errors, mut warnings) = (0, 0);
    for unused in &plan.unused {
        writeln!(stdout, "warning: {}", for_terminal(unused)).map_err(written)?;
    }
    for error in &plan.problems {
        write!(stdout, "error: ").map_err(written)?;
        for line in error.with_hint().lines() {
            writeln!(stdout, "{}", for_terminal(line)).map_err(written)?;
        }
    }
    if let Some(folder) = &plan.register {
        let tables = register::load(&Source::Folder(folder.clone()))?;
        for problem in register::check(&tables) {
            let label = match problem.level {
                Level::Error => {
                    errors += 1;
                    "error"
                }
                Level::Warning => {
                    warnings += 1;
                    "warning"
                }
            };
            let told = for_terminal(&problem.to_string()).into_owned();
            writeln!(stdout, "{label}: {told}").map_err(written)?;
            if let Some(hint) = &problem.hint {
                writeln!(stdout, "  hint: {}", for_terminal(hint)).map_err(written)?;
            }
        }
        if !plan.quiet {
            let counts = register::build(&tables, None, 0).counts;
            let said = match (errors, warnings) {
                (0, 0) => "no problems".to_owned(),
                _ => format!("{}, {}", counted(errors, "error"), counted(warnings, "warning")),
            };
            writeln!(
                stdout,
                "{}: {said}; {}, {} of credentials, {}, {}",
                folder.display(),
                counted(counts.partners, "partner"),
                counted(counts.credentials, "row"),
                counted(counts.apis, "api"),
                counted(counts.grants, "grant"),
            )
            .map_err(written)?;
        }
    }
    if !plan.quiet
        && let Some(config) = &plan.config
    {
        let said = match plan.problems.len() as u64 {
            0 => "no problems".to_owned(),
            n => counted(n, "error"),
        };
        writeln!(stdout, "{}: {said}", config.display()).map_err(written)?;
    }
    stdout.flush().map_err(written)?;
    let failed = errors > 0 || !plan.problems.is_empty();
    Ok(Ended::new(if failed { Status::Failed } else { Status::Done }))
}

fn counted(count: u64, word: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {word}{s}")
}
