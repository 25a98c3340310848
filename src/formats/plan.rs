//! The kinds of formats, and what all have in common: they are asked for names, and find the values in lines.
//!
//! Knows no call fields and no TOML. A new kind is a variant here, a module in `parse`, and its keys in `language`.

use crate::call::Reason;
use crate::input::Framing;
use crate::nearest::did_you_mean;
use crate::parse::layout::Layout;
use crate::parse::pattern::{self, Role};
use crate::parse::{Name, Scratch, csv, json, logfmt, ltsv, regex, w3c};

/// How a kind finds the values that a format asks for. Each name has a slot, which is filled line by line.
#[derive(Debug)]
pub(super) enum Plan {
    Json(json::Plan),
    /// With the names of the arrays that hold records.
    JsonRecords(json::Plan, Vec<String>),
    Pattern(pattern::Plan),
    Csv(csv::Plan),
    Ltsv(ltsv::Plan),
    Logfmt(logfmt::Plan),
    Regex(regex::Plan),
    W3c(w3c::Plan),
}

/// Why a name cannot be asked for.
pub(super) struct Refused {
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Plan {
    /// The kind's name, as the `kind` key has it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Plan::Json(_) => "json",
            Plan::JsonRecords(..) => "json-records",
            Plan::W3c(_) => "w3c",
            Plan::Pattern(_) => "pattern",
            Plan::Csv(_) => "csv",
            Plan::Ltsv(_) => "ltsv",
            Plan::Logfmt(_) => "logfmt",
            Plan::Regex(_) => "regex",
        }
    }

    /// Whether lines name their values themselves.
    pub(super) fn names_its_fields(&self) -> bool {
        match self {
            Plan::Json(_) | Plan::JsonRecords(..) | Plan::Ltsv(_) | Plan::Logfmt(_) => true,
            Plan::Pattern(_) | Plan::Csv(_) | Plan::Regex(_) | Plan::W3c(_) => false,
        }
    }

    /// What makes lines of a log's bytes.
    pub(super) fn framing(&self) -> Framing {
        match self {
            Plan::JsonRecords(_, names) => Framing::Records(names.clone()),
            Plan::W3c(_) => Framing::Directives(w3c::FIELDS.as_bytes()),
            Plan::Csv(plan) if plan.has_header() => Framing::Header,
            _ => Framing::Lines,
        }
    }

    /// Readies the scratch for lines that follow a directive, or for the first ones of a log.
    pub(super) fn begin(&self, directive: Option<&[u8]>, scratch: &mut Scratch) {
        scratch.columns.clear();
        if let Some(directive) = directive {
            self.directive(directive, scratch);
        }
    }

    /// Whether a line is no record but says how those after it are to be read.
    pub(super) fn directive(&self, line: &[u8], scratch: &mut Scratch) -> bool {
        match self {
            Plan::W3c(plan) => plan.directive(line, scratch),
            Plan::Csv(plan) => plan.header(line, scratch),
            _ => false,
        }
    }

    /// The slot of a name, and asks for it.
    ///
    /// # Errors
    ///
    /// A name that no line can hold, where the format itself says which names there are; a header, where
    /// lines hold none.
    pub(super) fn ask(&mut self, name: Name<'_>) -> Result<usize, Refused> {
        match (self, name) {
            (Plan::Json(plan) | Plan::JsonRecords(plan, _), _) => {
                plan.ask(name).map_err(|message| Refused { message, hint: None })
            }
            (Plan::Pattern(plan), Name::Field(field)) => plan.ask(field).ok_or_else(|| {
                let known = plan.captures().iter().map(|capture| capture.name.as_str());
                missing("the pattern has no variable", field, known)
            }),
            (Plan::Pattern(plan), Name::Header(header)) => {
                plan.ask_header(header).ok_or_else(|| {
                    let known = plan.captures().iter().map(|capture| capture.name.as_str());
                    missing("the pattern has no header", header, known)
                })
            }
            (Plan::Csv(plan), Name::Field(field)) => {
                plan.ask(field).ok_or_else(|| missing("`columns` has no", field, plan.names()))
            }
            (Plan::W3c(plan), name) => Ok(plan.ask(name)),
            (Plan::Ltsv(plan), Name::Field(field)) => Ok(plan.ask(field)),
            (Plan::Logfmt(plan), Name::Field(field)) => Ok(plan.ask(field)),
            (Plan::Regex(plan), Name::Field(field)) => plan.ask(field).ok_or_else(|| {
                missing("the expression has no group", field, plan.listed().names())
            }),
            (plan, Name::Header(header)) => Err(Refused {
                message: format!(
                    "header `{header}` is asked for, but lines of kind `{}` hold no headers",
                    plan.kind()
                ),
                hint: Some("name the field that holds it: { field = \"…\" }".to_owned()),
            }),
        }
    }

    /// What the value in a slot means, where that is well known: of patterns' variables only.
    pub(super) fn role(&self, slot: usize) -> Option<&Role> {
        match self {
            Plan::Pattern(plan) => plan.captures()[slot].role.as_ref(),
            _ => None,
        }
    }

    /// Whether the value in a slot is a time that a pattern has in several directives.
    pub(super) fn is_joined_time(&self, slot: usize) -> bool {
        matches!(self, Plan::Pattern(plan) if plan.captures()[slot].joined)
    }

    /// Where a line's record begins, if its layout may tell what it says.
    pub(super) fn layout_start(&self, line: &str) -> Option<usize> {
        match self {
            Plan::Json(plan) | Plan::JsonRecords(plan, _) => plan.record_start(line),
            Plan::Pattern(_) | Plan::Ltsv(_) | Plan::Logfmt(_) => Some(0),
            Plan::Csv(plan) => plan.may_have_layout(line).then_some(0),
            Plan::Regex(_) | Plan::W3c(_) => None,
        }
    }

    /// The layout of a line that [`Plan::fill`] can read, if others may have the same. `columns`: as the scratch has them.
    pub(super) fn layout(&self, line: &str, columns: &[Option<usize>]) -> Option<Layout> {
        match self {
            Plan::Json(plan) | Plan::JsonRecords(plan, _) => plan.layout(line),
            Plan::Pattern(plan) => plan.layout(),
            Plan::Ltsv(plan) => plan.layout(line),
            Plan::Logfmt(plan) => plan.layout(line),
            Plan::Csv(plan) => plan.layout(line, columns),
            Plan::Regex(_) | Plan::W3c(_) => None,
        }
    }

    /// Fills the scratch's slots from a line.
    ///
    /// # Errors
    ///
    /// [`Reason::Malformed`] if the line is not as the kind and the format have it.
    pub(super) fn fill(&self, line: &str, scratch: &mut Scratch) -> Result<(), Reason> {
        match self {
            Plan::Json(plan) | Plan::JsonRecords(plan, _) => plan.fill(line, scratch),
            Plan::W3c(plan) => plan.fill(line, scratch),
            Plan::Pattern(plan) => plan.fill(line, scratch),
            Plan::Csv(plan) => plan.fill(line, scratch),
            Plan::Ltsv(plan) => plan.fill(line, scratch),
            Plan::Logfmt(plan) => plan.fill(line, scratch),
            Plan::Regex(plan) => plan.fill(line, scratch),
        }
    }
}

/// A name that is none of those there are.
fn missing<'n>(what: &str, name: &str, known: impl Iterator<Item = &'n str> + Clone) -> Refused {
    let all = known.clone().collect::<Vec<_>>().join(", ");
    let has = if all.is_empty() { "none at all".to_owned() } else { format!("it has {all}") };
    Refused { message: format!("{what} `{name}`, {has}"), hint: did_you_mean(name, known) }
}
