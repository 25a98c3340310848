//! From a message to the bytes that a receiver reads. What stands in a message is hostile text: it came from logs and registers.

use std::fmt::Write as _;
use std::io;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};
use serde_json::{Value as Json, json};

use super::attempts::shortened;
use super::channel::Delivery;
use crate::limits;
use crate::render::for_terminal;
use crate::report::text;
use crate::time::parse_rfc3339;

/// JSON, as a type of content.
const JSON: &str = "application/json";

/// How a message is written.
#[derive(Clone, Debug)]
pub(crate) enum Template {
    /// As this program knows how.
    BuiltIn(BuiltIn),
    /// As a file of the user says.
    File {
        /// Its path as the configuration has it.
        path: String,
        /// The type of content that it makes.
        content_type: String,
        /// What stands in it, or why it can't be read.
        text: Result<String, String>,
    },
}

/// The templates that come with the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BuiltIn {
    /// The message as it is.
    Json,
    /// Slack, Mattermost and what reads the same.
    Chat,
    /// An adaptive card for Teams.
    Teams,
    /// Alertmanager's API, version 2.
    Alertmanager,
    /// A mail without From and To.
    Mail,
}

impl BuiltIn {
    /// All of them.
    pub(crate) const ALL: [BuiltIn; 5] =
        [BuiltIn::Json, BuiltIn::Chat, BuiltIn::Teams, BuiltIn::Alertmanager, BuiltIn::Mail];

    /// The word in configurations.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            BuiltIn::Json => "json",
            BuiltIn::Chat => "chat",
            BuiltIn::Teams => "teams",
            BuiltIn::Alertmanager => "alertmanager",
            BuiltIn::Mail => "mail",
        }
    }

    /// Its text; the message as it is needs none.
    const fn source(self) -> &'static str {
        match self {
            BuiltIn::Json => "",
            BuiltIn::Chat => include_str!("templates/chat.json.j2"),
            BuiltIn::Teams => include_str!("templates/teams.json.j2"),
            BuiltIn::Alertmanager => include_str!("templates/alertmanager.json.j2"),
            BuiltIn::Mail => include_str!("templates/mail.txt.j2"),
        }
    }

    const fn content_type(self) -> &'static str {
        match self {
            BuiltIn::Mail => "message/rfc822",
            _ => JSON,
        }
    }

    /// How many changes it shows, where people read it: then what does not fit is counted instead.
    const fn shown_max(self) -> Option<usize> {
        match self {
            BuiltIn::Json | BuiltIn::Alertmanager => None,
            BuiltIn::Chat | BuiltIn::Teams | BuiltIn::Mail => Some(limits::ALERT_CHANGES_SHOWN_MAX),
        }
    }

    /// How long each value is at most, in characters.
    const fn value_chars_max(self) -> usize {
        match self {
            BuiltIn::Json => usize::MAX,
            // A line of a mail has at most 998 bytes.
            BuiltIn::Mail => limits::ALERT_VALUE_CHARS_MAX / 2,
            _ => limits::ALERT_VALUE_CHARS_MAX,
        }
    }

    fn fits(self, body: &str) -> bool {
        match self {
            BuiltIn::Chat => body.chars().count() <= limits::ALERT_CHAT_CHARS_MAX,
            BuiltIn::Teams => body.len() <= limits::ALERT_CARD_BYTES_MAX,
            BuiltIn::Json | BuiltIn::Alertmanager | BuiltIn::Mail => true,
        }
    }
}

impl Template {
    /// The type of content that it makes.
    pub(crate) fn content_type(&self) -> &str {
        match self {
            Template::BuiltIn(built_in) => built_in.content_type(),
            Template::File { content_type, .. } => content_type,
        }
    }

    /// A message as its receiver reads it.
    ///
    /// # Errors
    ///
    /// Why it can't be made: of a template of the user, with file and line.
    pub(super) fn render(
        &self,
        delivery: &Delivery<'_>,
        remind_every_s: u64,
    ) -> Result<String, String> {
        match self {
            Template::BuiltIn(BuiltIn::Json) => Ok(data(delivery, usize::MAX)?.to_string()),
            Template::BuiltIn(built_in) => {
                let whole = data(delivery, built_in.value_chars_max())?;
                let mut shown = built_in.shown_max();
                loop {
                    let context = context(whole.clone(), shown, remind_every_s);
                    let name = built_in.as_str();
                    let escape = escape_for(built_in.content_type());
                    let body = rendered(name, built_in.source(), escape, context)?;
                    match &mut shown {
                        Some(shown @ 1..) if !built_in.fits(&body) => *shown /= 2,
                        _ => return Ok(body),
                    }
                }
            }
            Template::File { path, content_type, text } => {
                let text = text.as_ref().map_err(|why| format!("{path}: {why}"))?;
                let context = context(data(delivery, usize::MAX)?, None, remind_every_s);
                let body = rendered(path, text, escape_for(content_type), context)?;
                if is_json(content_type)
                    && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&body)
                {
                    return Err(format!(
                        "{path}: what it made is no JSON at its line {}, expected JSON, since its content_type is {content_type}; \
                         write {{{{ value }}}} without quotes around, they come with it",
                        error.line()
                    ));
                }
                Ok(body)
            }
        }
    }

    /// Why it can make no message, as far as that can be told without one.
    pub(crate) fn doubt(&self) -> Option<String> {
        let Template::File { path, text, .. } = self else { return None };
        match text {
            Ok(text) => environment(AutoEscape::None)
                .template_from_named_str(path, text)
                .err()
                .map(|error| told(path, &error)),
            Err(why) => Some(format!("{path}: {why}")),
        }
    }
}

/// The type that a template's name tells, where nothing else does.
pub(crate) fn content_type_of(path: &str) -> &'static str {
    let name = path.strip_suffix(".j2").unwrap_or(path);
    match name.rsplit_once('.') {
        Some((_, "json")) => JSON,
        Some((_, "html")) => "text/html; charset=utf-8",
        _ => "text/plain; charset=utf-8",
    }
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == JSON || essence.ends_with("+json")
}

fn escape_for(content_type: &str) -> AutoEscape {
    match content_type {
        _ if is_json(content_type) => AutoEscape::Json,
        _ if content_type.to_ascii_lowercase().contains("html") => AutoEscape::Html,
        _ => AutoEscape::None,
    }
}

/// The message with its delivery id, and its values harmless: what commands a terminal or deceives the eye is spelled out.
fn data(delivery: &Delivery<'_>, chars_max: usize) -> Result<Json, String> {
    let mut data = serde_json::to_value(delivery.message).map_err(|error| error.to_string())?;
    data["delivery_id"] = json!(delivery.delivery_id);
    make_harmless(&mut data, chars_max);
    Ok(data)
}

fn make_harmless(data: &mut Json, chars_max: usize) {
    match data {
        Json::String(text) => *text = shortened(&for_terminal(text), chars_max),
        Json::Array(values) => values.iter_mut().for_each(|value| make_harmless(value, chars_max)),
        Json::Object(values) => {
            values.values_mut().for_each(|value| make_harmless(value, chars_max))
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

/// What templates see: the message, with so many of its changes, and how many `more` there are.
fn context(mut data: Json, shown: Option<usize>, remind_every_s: u64) -> Value {
    let mut left = shown.unwrap_or(usize::MAX);
    let mut more = 0;
    if let Some(Json::Array(groups)) = data.get_mut("groups") {
        for group in &mut *groups {
            let Some(Json::Array(changes)) = group.get_mut("changes") else { continue };
            let kept = changes.len().min(left);
            more += changes.len() - kept;
            changes.truncate(kept);
            left -= kept;
        }
        let is_empty = |group: &Json| group["changes"].as_array().is_none_or(Vec::is_empty);
        groups.retain(|group| !is_empty(group));
    }
    data["more"] = json!(more);
    data["remind_every_s"] = json!(remind_every_s);
    Value::from(Serde(data))
}

fn rendered(
    name: &str,
    source: &str,
    escape: AutoEscape,
    context: Value,
) -> Result<String, String> {
    let environment = environment(escape);
    let mut body = Bounded(Vec::new());
    let template = environment.template_from_named_str(name, source);
    let made =
        template.and_then(|template| template.render_captured_to(context, &mut body).map(drop));
    made.map_err(|error| told(name, &error))?;
    String::from_utf8(body.0).map_err(|_| format!("{name}: found bytes that are not UTF-8"))
}

fn environment(escape: AutoEscape) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(move |_| escape.clone());
    environment.set_fuel(Some(limits::ALERT_TEMPLATE_STEPS_MAX));
    // Lines that hold nothing but a block leave nothing. These delimiters are the usual ones: they fit.
    if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
        environment.set_syntax(syntax);
    }
    environment.add_filter("mrkdwn", |text: &str| mrkdwn(text));
    environment.add_filter("adaptive", |text: &str| adaptive(text));
    environment.add_filter("span", text::duration);
    environment.add_filter("thousands", text::thousands);
    environment.add_filter("shorten", |text: &str, chars_max: usize| shortened(text, chars_max));
    environment.add_filter("later", later);
    environment
}

/// What is wrong with a template, with its file and line.
fn told(name: &str, error: &minijinja::Error) -> String {
    // The root of it says most, the outermost where.
    let line = error.line().map(|line| format!(" {line}:")).unwrap_or_default();
    let what = match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => "does not come to an end, expected one that does".to_owned(),
        (ErrorKind::WriteFailure, _) => {
            format!("makes more than {}", text::bytes(limits::ALERT_BODY_BYTES_MAX as u64))
        }
        (ErrorKind::UndefinedError, None) => {
            "found a name or key that is not there; `is defined` asks whether it is".to_owned()
        }
        (kind, None) => kind.to_string(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
    };
    format!("{name}:{line} {what}")
}

/// Takes so many bytes and no more.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if self.0.len() + piece.len() > limits::ALERT_BODY_BYTES_MAX {
            return Err(io::Error::other("too much"));
        }
        self.0.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Text for Slack, Mattermost and their like: it calls nobody, links nowhere, and shows no image.
///
/// Slack reads `<…>` as commands, and its three entities; Mattermost reads Markdown, and `@name` wherever it stands.
fn mrkdwn(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + 16);
    let mut before = None;
    for (at, c) in text.char_indices() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            // It looks like one, and is none.
            '@' => safe.push('\u{ff20}'),
            '`' => safe.push('\''),
            '(' | '[' if before == Some(']') => {
                safe.push(' ');
                safe.push(c);
            }
            ':' if text[at..].starts_with("://") => safe.push_str("[:]"),
            _ => safe.push(c),
        }
        before = Some(c);
    }
    safe
}

/// Text for a text block of an adaptive card, which reads Markdown: nothing in it is markup.
fn adaptive(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if c.is_ascii_punctuation() {
            safe.push('\\');
        }
        safe.push(c);
    }
    safe
}

/// An instant so many seconds later.
fn later(at: &str, seconds: u64) -> Result<String, minijinja::Error> {
    let mut told = String::new();
    let at = parse_rfc3339(at.as_bytes()).map_err(|_| {
        minijinja::Error::new(
            ErrorKind::InvalidOperation,
            "later: expected an instant of the message",
        )
    })?;
    // Alertmanager, among others, knows no year after 9999, nor does an instant.
    let _ = write!(told, "{}", at.saturating_add_s(seconds));
    Ok(told)
}
