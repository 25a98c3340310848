//! One file for each command: its phases, in order.

mod aside;
mod read;
mod repeats;
mod audit;
mod survey;
mod uses;
mod lives;
mod odd;
mod alerts;
mod alert;
mod changes;
mod nightly;
mod report;
mod chain;
mod calls;
mod verify;
mod init;
mod check;
mod explain;
mod formats;
mod synth;
mod output;

pub use alert::alert;
pub use audit::audit;
pub use calls::calls;
pub use chain::verify;
pub use check::check;
pub use explain::explain;
pub use formats::formats;
pub use init::init;
pub use nightly::nightly;
pub use report::report;
pub use synth::synth;

use crate::error::{Error, Result};
use crate::formats::Format;
use crate::nearest;
use crate::plan::RegisterPlan;
use crate::register::{self, Level, PartnerId, Problem, Register, Source, Tables};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Done,
    /// Done, and a finding is at or above `--fail-on`.
    Found,
    /// Failed, no report.
    Failed,
    /// A report was made, but it is partial.
    Partial,
}

impl Status {
    /// The process's exit status.
    pub const fn code(self) -> u8 {
        match self {
            Status::Done => 0,
            Status::Found => 1,
            Status::Failed => 2,
            Status::Partial => 3,
        }
    }
}

/// What a command leaves to be said on standard error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How it ended.
    pub status: Status,
    /// Warnings, a line each.
    pub warnings: Vec<String>,
    /// What to do about them, of several lines.
    pub hint: Option<String>,
    /// What is good to know and nothing to act on, a line each.
    pub notes: Vec<String>,
    /// What was read: lines, and bytes as they lie. None where nothing was.
    pub read: Option<Volume>,
}

impl Ended {
    /// Ended with nothing to say.
    pub fn new(status: Status) -> Ended {
        Ended { status, warnings: Vec::new(), hint: None, notes: Vec::new(), read: None }
    }
}

/// How much was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// Lines.
    pub lines: u64,
    /// Decompressed bytes.
    pub bytes: u64,
    /// Inputs.
    pub inputs: u64,
}

/// Loads, checks and builds the register.
///
/// # Errors
///
/// If it can't be read, or has errors: all of them at once.
fn load_register(plan: &RegisterPlan) -> Result<Register> {
    checked_register(plan, &load_tables(plan)?)
}

/// The register of tables that were read.
///
/// # Errors
///
/// If they have errors: all of them at once.
fn checked_register(plan: &RegisterPlan, tables: &Tables) -> Result<Register> {
    let (problems, register) = rayon::join(
        || register::check(tables),
        || register::build(tables, plan.as_known_at, plan.propagation_s),
    );
    let errors: Vec<_> =
        problems.into_iter().filter(|problem| problem.level == Level::Error).collect();
    if errors.is_empty() {
        return Ok(register);
    }
    let folder = plan.folder.display();
    let count = errors.len();
    let told: Vec<String> = errors.iter().map(with_hint).collect();
    let word = if count == 1 { "error" } else { "errors" };
    let told = told.join("\n");
    Err(Error::new(format!("{folder}: the register has {count} {word}:\n{told}"))
        .hint("nothing was judged; mend the register, `overstay check` tells when it is well"))
}

/// The partner that `--partner` names.
///
/// # Errors
///
/// If the register does not list it.
fn partner_id(register: &Register, partner: &str) -> Result<PartnerId> {
    register.partner_id(partner).ok_or_else(|| {
        let known = register.partners.iter().map(|partner| partner.id.as_str());
        Error::new(format!("--partner: found `{partner}`, which the register does not list"))
            .maybe_hint(nearest::did_you_mean(partner, known))
    })
}

/// What the user should know of `--as-known-at` where it changes nothing.
fn vain_as_known_at(register: &Register) -> Option<String> {
    let asked = register.as_known_at.filter(|_| !register.is_versioned)?;
    Some(format!(
        "--as-known-at {asked} changes nothing: no row of the register says when it was recorded (recorded_at)"
    ))
}

/// Placeholders that formats of one's own ask for and no route has: whom the calls are about will not be known.
fn unknown_placeholders(formats: &[Format], register: &Register) -> Vec<String> {
    let routes = register.routes.rows();
    let known: Vec<&str> = routes.iter().flat_map(|route| route.template.placeholders()).collect();
    // The built-in ones ask for what registers may or may not have.
    let own = formats.iter().filter(|format| Format::built_in_text(format.name()).is_none());
    let asked = own.flat_map(|format| format.placeholders().map(move |name| (format.name(), name)));
    let unknown = asked.filter(|(_, name)| !known.contains(name));
    unknown
        .map(|(format, name)| {
            let told = format!(
                "[formats.{format}]: no route of the register has the placeholder `{name}`"
            );
            nearest::with_hint(told, name, known.iter().copied())
        })
        .collect()
}

fn load_tables(plan: &RegisterPlan) -> Result<Tables> {
    register::load(&Source::Folder(plan.folder.clone()))
}

/// A problem, its hint on a line of its own.
fn with_hint(problem: &Problem) -> String {
    match &problem.hint {
        Some(hint) => format!("{problem}\n  hint: {hint}"),
        None => problem.to_string(),
    }
}
