//! `overstay check`: every problem of config and register at once.

use std::io::Write;

use super::{Ended, Status, unknown_placeholders};
use crate::error::{Error, Result};
use crate::findings::{Suppression, Target};
use crate::nearest::with_hint;
use crate::plan::CheckPlan;
use crate::register::{self, Level, Register, Source};
use crate::render::for_terminal;

/// Checks, printing a line for each problem to `stdout`.
///
/// # Errors
///
/// If the register can't be read at all.
pub fn check(plan: &CheckPlan, stdout: &mut (dyn Write + Send)) -> Result<Ended> {
    let written = |error| Error::io("standard output", error);
    let (mut errors, mut warnings) = (0, 0);
    for odd in &plan.odd {
        writeln!(stdout, "warning: {}", for_terminal(odd)).map_err(written)?;
    }
    for error in &plan.problems {
        tell(error, stdout).map_err(written)?;
    }
    let loaded = plan
        .register
        .as_ref()
        .map(|folder| (folder, register::load(&Source::Folder(folder.clone()))));
    let loaded = match (loaded, &plan.config) {
        // Told with all else that is wrong.
        (Some((_, Err(error))), Some(_)) => {
            tell(&error, stdout).map_err(written)?;
            errors += 1;
            None
        }
        (Some((folder, tables)), _) => Some((folder, tables?)),
        (None, _) => None,
    };
    if let Some((folder, tables)) = loaded {
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
        let register = register::build(&tables, None, 0);
        let mut odd = unknown_placeholders(&plan.formats, &register);
        odd.extend(plan.suppressed.iter().flat_map(|decision| unknown_names(decision, &register)));
        for warning in odd {
            warnings += 1;
            writeln!(stdout, "warning: {}", for_terminal(&warning)).map_err(written)?;
        }
        if !plan.quiet {
            let counts = register.counts;
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
        let said = match (plan.problems.len() as u64, plan.odd.len() as u64) {
            (0, 0) => "no problems".to_owned(),
            (n, odd) => format!("{}, {}", counted(n, "error"), counted(odd, "warning")),
        };
        writeln!(stdout, "{}: {said}", config.display()).map_err(written)?;
    }
    stdout.flush().map_err(written)?;
    let failed = errors > 0 || !plan.problems.is_empty();
    Ok(Ended::new(if failed { Status::Failed } else { Status::Done }))
}

/// An error and its hint, a line each.
fn tell(error: &Error, stdout: &mut (dyn Write + Send)) -> std::io::Result<()> {
    write!(stdout, "error: ")?;
    error.with_hint().lines().try_for_each(|line| writeln!(stdout, "{}", for_terminal(line)))
}

/// What a suppression names and the register does not know: it hides nothing.
fn unknown_names(decision: &Suppression, register: &Register) -> Vec<String> {
    let Target::Kind { partner, api, .. } = &decision.target else { return Vec::new() };
    let partners = register.partners.iter().map(|partner| partner.id.as_str()).collect::<Vec<_>>();
    let apis = register.listed_apis().map(|(_, api)| api.id.as_str()).collect::<Vec<_>>();
    let named = [("partner", partner, partners), ("api", api, apis)];
    let unknown = named.into_iter().filter_map(|(key, name, known)| {
        let name = name.as_deref().filter(|name| !known.contains(name))?;
        let told =
            format!("[[suppress]] {key}: the register has no `{name}`, so nothing is hidden");
        Some(with_hint(told, name, known))
    });
    unknown.collect()
}

fn counted(count: u64, word: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {word}{s}")
}
