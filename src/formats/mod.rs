//! Log formats: data, not code. The built-ins are TOML texts in the very language a user
//! writes under `[formats.NAME]`, and both are compiled by the same function.
//!
//! Opens no files: a format's text comes from the program or from a config already read.

mod detect;
mod language;
mod plan;

use std::sync::Arc;

pub use detect::{Undetected, detect, first_lines};

use crate::call::{Call, Parsed, Reason};
use crate::error::Problems;
use crate::input::Framing;
use crate::limits::LINE_BYTES_MAX;
use crate::parse::fields::Fields;
use crate::parse::{Scratch, Values, shipped};
use plan::Plan;

/// A compiled format: how a line becomes a call.
#[derive(Debug)]
pub struct Format {
    name: String,
    plan: Plan,
    fields: Fields,
    /// Tells its layouts from those of other formats.
    identity: Arc<()>,
    /// How lines are read that do not have the form of the plan.
    otherwise: Option<Box<Format>>,
    dedupe: bool,
    /// Whether lines are read without what shippers write in front of them.
    is_prefixed: bool,
    is_built_in: bool,
}

/// What a format can tell of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tells {
    /// Whether it maps what the call presents.
    pub credential: bool,
    /// Whether it maps the person: to the log's own fields, or to this placeholder of the route alone.
    pub subject: Option<Option<String>>,
    /// Whether it maps what the API did.
    pub outcome: bool,
    /// Whether it maps how long the call took.
    pub latency: bool,
    /// Whether the only time is that at which the response was done.
    pub end: bool,
}

/// Names and texts of the built-in formats, in the order in which they are listed.
const TEXTS: [(&str, &str); 32] = [
    ("json", include_str!("json.toml")),
    ("common", include_str!("common.toml")),
    ("combined", include_str!("combined.toml")),
    ("ltsv", include_str!("ltsv.toml")),
    ("logfmt", include_str!("logfmt.toml")),
    ("aws-alb", include_str!("aws-alb.toml")),
    ("aws-apigateway", include_str!("aws-apigateway.toml")),
    ("aws-apigateway-clf", include_str!("aws-apigateway-clf.toml")),
    ("aws-cloudfront", include_str!("aws-cloudfront.toml")),
    ("aws-cloudtrail", include_str!("aws-cloudtrail.toml")),
    ("aws-elb", include_str!("aws-elb.toml")),
    ("aws-s3", include_str!("aws-s3.toml")),
    ("azure-apim", include_str!("azure-apim.toml")),
    ("caddy", include_str!("caddy.toml")),
    ("ecs", include_str!("ecs.toml")),
    ("envoy", include_str!("envoy.toml")),
    ("gcp-audit", include_str!("gcp-audit.toml")),
    ("gcp-lb", include_str!("gcp-lb.toml")),
    ("google-workspace-token", include_str!("google-workspace-token.toml")),
    ("haproxy", include_str!("haproxy.toml")),
    ("iis", include_str!("iis.toml")),
    ("istio", include_str!("istio.toml")),
    ("k8s-audit", include_str!("k8s-audit.toml")),
    ("kong", include_str!("kong.toml")),
    ("ms-graph-activity", include_str!("ms-graph-activity.toml")),
    ("nginx-ingress", include_str!("nginx-ingress.toml")),
    ("nginx-main", include_str!("nginx-main.toml")),
    ("ocsf-api-activity", include_str!("ocsf-api-activity.toml")),
    ("squid", include_str!("squid.toml")),
    ("traefik", include_str!("traefik.toml")),
    ("traefik-clf", include_str!("traefik-clf.toml")),
    ("vcombined", include_str!("vcombined.toml")),
];

impl Format {
    /// The names of the built-in formats.
    pub const BUILT_IN: [&'static str; TEXTS.len()] = {
        let mut names = [""; TEXTS.len()];
        let mut idx = 0;
        while idx < TEXTS.len() {
            names[idx] = TEXTS[idx].0;
            idx += 1;
        }
        names
    };

    /// Compiles what stands under `[formats.NAME]`.
    ///
    /// # Errors
    ///
    /// All there are: unknown keys (with the nearest known one as hint), values of the wrong type, a pattern that can't
    /// be read (with the column), names the log does not hold, needed call fields that are not mapped.
    pub fn from_toml(name: &str, table: &toml::Table) -> std::result::Result<Format, Problems> {
        let mut problems = Problems::default();
        let compiled = language::compile(name, table).map_err(|error| problems.0.extend(error.0));
        let is_prefixed = match &compiled {
            Ok(_) => problems.note(language::prefixed(name, table)).unwrap_or_default(),
            Err(()) => false,
        };
        let otherwise = match problems.note(language::otherwise(name, table)).flatten() {
            Some(other) => Format::from_toml(&format!("{name}.otherwise"), other)
                .map_err(|error| problems.0.extend(error.0))
                .ok(),
            None => None,
        };
        let dedupe = problems.note(language::dedupe(name, table)).unwrap_or_default();
        match compiled {
            Ok((plan, fields)) if problems.0.is_empty() => {
                let (name, otherwise) = (name.to_owned(), otherwise.map(Box::new));
                let format = Format {
                    name,
                    plan,
                    fields,
                    identity: Arc::default(),
                    otherwise,
                    dedupe,
                    is_prefixed,
                    is_built_in: false,
                };
                Ok(format)
            }
            _ => Err(problems),
        }
    }

    /// The built-in format of that name, if there is one.
    pub fn built_in(name: &str) -> Option<Format> {
        let text = Format::built_in_text(name)?;
        let table = text.parse().expect("built-in formats are TOML");
        let format = Format::from_toml(name, &table).expect("built-in formats compile");
        Some(Format { is_built_in: true, ..format })
    }

    /// The TOML text of the built-in format of that name, if there is one.
    pub fn built_in_text(name: &str) -> Option<&'static str> {
        TEXTS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
    }

    /// The format's name, as reports show it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether its records are commonly delivered twice: repeats are then sought, unless a source says otherwise.
    pub fn dedupe(&self) -> bool {
        self.dedupe
    }

    /// Whether it maps an id of the request: without one no record can be told to repeat another.
    pub fn maps_request_id(&self) -> bool {
        let formats = std::iter::successors(Some(self), |format| format.otherwise.as_deref());
        formats.into_iter().any(|format| !format.fields.request_id.is_empty())
    }

    /// The format's kind, as its `kind` key has it.
    pub fn kind(&self) -> &'static str {
        self.plan.kind()
    }

    /// What it says of itself: the first sentence of the comment that its text begins with. Empty for formats of the config.
    pub fn about(&self) -> String {
        let text = Format::built_in_text(&self.name).unwrap_or_default();
        let comment: Vec<&str> =
            text.lines().map_while(|line| line.strip_prefix('#')).map(str::trim).collect();
        let comment = comment.join(" ");
        comment.split_inclusive(". ").next().unwrap_or_default().trim().to_owned()
    }

    /// What it can tell of a call, where the log holds it.
    pub fn tells(&self) -> Tells {
        let Fields { at, credential, status, outcome, latency, subject, .. } = &self.fields;
        Tells {
            credential: !credential.is_empty(),
            subject: match &subject.route {
                _ if !subject.before.is_empty() || !subject.after.is_empty() => Some(None),
                Some(name) => Some(Some(name.clone())),
                None => None,
            },
            outcome: !status.is_empty() || !outcome.is_empty(),
            latency: !latency.is_empty(),
            end: at.iter().all(|source| source.is_end),
        }
    }

    /// Whether its lines name their values, so that a line of another format may well be one of it too.
    fn names_its_fields(&self) -> bool {
        self.plan.names_its_fields()
    }

    /// Whether it says which fields it requires a line to hold.
    fn has_requirement(&self) -> bool {
        !self.fields.requires.is_empty()
            || self.otherwise.as_ref().is_some_and(|format| format.has_requirement())
    }

    /// Whether it is a built-in that any line may be of that has a few common names.
    fn is_common(&self) -> bool {
        self.is_built_in && self.names_its_fields() && !self.has_requirement()
    }

    /// The placeholders of routes whose values it asks for.
    pub fn placeholders(&self) -> impl Iterator<Item = &str> {
        let formats = std::iter::successors(Some(self), |format| format.otherwise.as_deref());
        let sources = formats.flat_map(|format| [&format.fields.subject, &format.fields.actor]);
        sources.filter_map(|sources| sources.route.as_deref())
    }

    /// What makes lines of a log's bytes.
    pub fn framing(&self) -> Framing {
        self.plan.framing()
    }

    /// Readies the scratch for the lines of a piece: `directive` is the last one before it, if there is any.
    pub fn begin(&self, directive: Option<&[u8]>, scratch: &mut Scratch) {
        let before = std::mem::take(&mut scratch.columns);
        self.plan.begin(directive, scratch);
        if scratch.columns != before {
            scratch.layouts.forget(&self.identity);
        }
    }

    /// Whether a line may change how those after it are read.
    #[inline]
    pub fn may_be_directive(&self, line: &[u8]) -> bool {
        matches!(self.plan, Plan::W3c(_)) && line.starts_with(b"#")
    }

    /// Whether a line is no record but says how those after it are to be read, which is noted in the scratch.
    pub fn directive(&self, line: &[u8], scratch: &mut Scratch) -> bool {
        let is_directive = self.plan.directive(line, scratch);
        if is_directive {
            // What follows may have other columns.
            scratch.layouts.forget(&self.identity);
        }
        is_directive
    }

    /// Reads one line, given without its line ending. The call borrows from all three.
    ///
    /// # Errors
    ///
    /// The first reason that applies, in the order of [`Reason`].
    pub fn parse<'a>(
        &'a self,
        line: &'a [u8],
        scratch: &'a mut Scratch,
    ) -> std::result::Result<Call<'a>, Reason> {
        self.parse_briefly(line, scratch).map(Call::from)
    }

    /// As [`Format::parse`]; but a plain call may be left as brief as it is.
    ///
    /// # Errors
    ///
    /// As [`Format::parse`].
    #[inline]
    pub fn parse_briefly<'a>(
        &'a self,
        line: &'a [u8],
        scratch: &'a mut Scratch,
    ) -> std::result::Result<Parsed<'a>, Reason> {
        if line.len() > LINE_BYTES_MAX {
            return Err(Reason::TooLong);
        }
        let line = simdutf8::basic::from_utf8(line).map_err(|_| Reason::NotUtf8)?;
        let bare = if self.is_prefixed { shipped::bare(line) } else { None };
        let read = bare.and_then(|bare| Some((bare, self.read(bare, scratch).ok()?)));
        let (text, by) = match read {
            Some(read) => read,
            None => match (self.read(line, scratch), &self.otherwise) {
                (Ok(by), _) => (line, by),
                (Err(_), Some(format)) => return format.parse_briefly(line.as_bytes(), scratch),
                (Err(reason), None) => return Err(reason),
            },
        };
        let values = Values::new(text, scratch);
        match by {
            By::Layout => scratch.layouts.call(values),
            By::Plan => self.fields.call(values).map(Parsed::Whole),
        }
    }

    /// Finds the values of a line.
    fn read(&self, text: &str, scratch: &mut Scratch) -> std::result::Result<By, Reason> {
        let start = self.plan.layout_start(text);
        if start.is_some_and(|start| scratch.has_layout(&self.identity, text, start)) {
            return Ok(By::Layout);
        }
        self.plan.fill(text, scratch)?;
        if start.is_some() && scratch.layouts.is_ready() {
            let layout = self.plan.layout(text, &scratch.columns);
            scratch.layouts.learn(&self.identity, &self.fields, layout);
        }
        Ok(By::Plan)
    }
}

/// What found the values of a line: its kind's plan, or a layout that was learned before.
#[derive(Clone, Copy)]
enum By {
    Plan,
    Layout,
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_audit;

#[cfg(test)]
mod tests_layouts;

#[cfg(test)]
mod tests_loggers;

#[cfg(test)]
mod tests_web;

#[cfg(test)]
mod tests_gateways;
