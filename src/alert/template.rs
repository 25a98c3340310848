//! From a message to the bytes that a receiver reads. What stands in a message is hostile text: it came from logs and registers.

use std::fmt::Write as _;
use std::io;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};
use serde_json::{Value as Json, json};

use super::attempts::shortened;
use super::channel::Delivery;
use super::message::sample;
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

    /// How many changes it shows: what does not fit is counted instead.
    const fn shown_max(self) -> Option<usize> {
        match self {
            BuiltIn::Json => None,
            BuiltIn::Alertmanager => Some(limits::ALERT_ALERTS_MAX),
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
                    let body = rendered(name, built_in.source(), escape, context);
                    match &mut shown {
                        Some(shown @ 1..)
                            if !body.as_ref().is_ok_and(|body| built_in.fits(body)) =>
                        {
                            *shown /= 2;
                        }
                        _ => return body,
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

    /// Why it can make no message, as far as a sample shows it.
    pub(crate) fn doubt(&self, remind_every_s: u64) -> Option<String> {
        let Template::File { .. } = self else { return None };
        let sample = sample();
        let delivery = Delivery { delivery_id: "sample", message: &sample };
        self.render(&delivery, remind_every_s).err()
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
        Json::String(text) => {
            // Spelled out it is no shorter: more of it need not be looked at.
            if let Some((end, _)) = text.char_indices().nth(chars_max.saturating_add(1)) {
                text.truncate(end);
            }
            *text = shortened(&for_terminal(text), chars_max);
        }
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
    // Lines that hold nothing but a block leave nothing. The delimiters are the usual ones: they fit.
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true);
    if let Ok(syntax) = syntax.build() {
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

#[cfg(test)]
mod tests {
    use super::super::message::examples::{at, change, message};
    use super::super::{Change, Message, Observed, What};
    use super::*;
    use crate::findings::Severity;

    const WEEK_S: u64 = 7 * 86_400;

    fn body(template: &Template, message: &Message) -> Result<String, String> {
        template.render(&Delivery { delivery_id: "d-0123", message }, WEEK_S)
    }

    fn made(built_in: BuiltIn, message: &Message) -> String {
        body(&Template::BuiltIn(built_in), message).unwrap()
    }

    fn parsed(built_in: BuiltIn, message: &Message) -> Json {
        serde_json::from_str(&made(built_in, message)).unwrap()
    }

    fn file(content_type: &str, text: &str) -> Template {
        let (path, content_type) = ("my.j2".to_owned(), content_type.to_owned());
        Template::File { path, content_type, text: Ok(text.to_owned()) }
    }

    /// What a partner might be called who wants to do harm.
    fn hostile() -> String {
        let begin = "\"Evil\"\n<!channel> <@U1> @here ](javascript:alert(1)) [x](https://evil.example) ![i](http://e/i.png)";
        let middle = "\0\u{1b}[2J\u{202e}gpj.exe {{ 7 * 7 }} {% raw %} ```\r\nBcc: all@corp.example\r\n.\r\n</at> \\ & ' ";
        format!("{begin}{middle}{}", "A".repeat(10_240))
    }

    fn with_hostile() -> Message {
        let mut evil = change("os-1", &hostile(), Severity::Critical, What::New);
        (evil.api, evil.grant, evil.summary) = (Some(hostile()), Some(hostile()), hostile());
        let mut message = message(vec![evil]);
        message.groups[0].partner_name = Some(hostile());
        message.headline = hostile();
        message
    }

    /// All strings in it, keys too.
    fn strings(of: &Json) -> Vec<String> {
        match of {
            Json::String(text) => vec![text.clone()],
            Json::Array(values) => values.iter().flat_map(strings).collect(),
            Json::Object(values) => values
                .iter()
                .flat_map(|(key, of)| [vec![key.clone()], strings(of)].concat())
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Line breaks are those of the template.
    fn shows_itself(text: &str) -> bool {
        !text.chars().any(|c| c != '\n' && (c.is_control() || c == '\u{202e}'))
    }

    #[test]
    fn the_message_is_json_as_it_is() {
        let mut all = with_hostile();
        all.groups[0].changes[0].severity_before = Some(Severity::High);
        let told = parsed(BuiltIn::Json, &all);
        assert_eq!(told["schema"], "overstay.alert/1");
        assert_eq!(told["delivery_id"], "d-0123");
        assert_eq!(told["counts"]["critical"], 1);
        let change = &told["groups"][0]["changes"][0];
        assert_eq!(
            (&change["severity"], &change["severity_before"]),
            (&json!("critical"), &json!("high"))
        );
        assert_eq!(change["partner"], json!(for_terminal(&hostile())));
        assert!(strings(&told).iter().all(|text| shows_itself(text) && !text.contains('\n')));
    }

    #[test]
    fn a_chat_message_calls_nobody_and_links_nowhere() {
        let told = parsed(BuiltIn::Chat, &with_hostile());
        let text = told["text"].as_str().unwrap();
        assert!(shows_itself(text), "{text}");
        for harm in ["<", ">", "@", "](", "] [", "://", "`"] {
            let allowed = harm == "] [";
            assert!(allowed || !text.contains(harm), "{harm}: {text}");
        }
        assert!(
            text.contains("&lt;!channel&gt; &lt;\u{ff20}U1&gt; \u{ff20}here ] (javascript:"),
            "{text}"
        );
        assert!(text.contains("{{ 7 * 7 }} {% raw %}"), "{text}");
        assert!(text.contains("\\u{202e}gpj.exe"), "{text}");
        assert!(text.ends_with(&format!("_delivery d-0123, head {}_", "ab".repeat(32))), "{text}");
        // Headline, run, an empty line, partner, change, an empty line, footer: no line is of the partner's making.
        assert_eq!(text.lines().count(), 7, "{text}");
    }

    #[test]
    fn a_chat_message_reads_well() {
        let mut reopened = change("os-2", "acme", Severity::High, What::MoreSevere);
        reopened.severity_before = Some(Severity::Low);
        let mut message = message(vec![
            change("os-1", "acme", Severity::Critical, What::New),
            reopened,
            change("os-3", "globex", Severity::High, What::Resolved),
        ]);
        message.status = "partial".to_owned();
        message.groups[0].partner_name = Some("Acme & Sons".to_owned());
        let told = parsed(BuiltIn::Chat, &message);
        let expected = format!(
            "*overstay:* 1 of 9 partners overstayed\n\
             Run 12 of 2018-12-18T03:00:00Z, partial: not all logs could be read\n\
             \n\
             *Acme &amp; Sons*, grant g-acme\n\
             • CRITICAL, new: acme read messages of 81 people after its access was revoked (after-revocation, os-1)\n\
             • HIGH, more severe (was low): acme read messages of 81 people after its access was revoked (after-revocation, os-2)\n\
             \n\
             *globex*, grant g-globex\n\
             • HIGH, resolved: globex read messages of 81 people after its access was revoked (after-revocation, os-3)\n\
             \n\
             _delivery d-0123, head {}_",
            "ab".repeat(32)
        );
        assert_eq!(told["text"], expected);
        let test = Message::test("overstay 0.1.0".to_owned(), at("2018-12-18"));
        let told = parsed(BuiltIn::Chat, &test);
        let text = told["text"].as_str().unwrap();
        assert!(text.starts_with("*overstay test:* A test of the alerts"), "{text}");
        assert!(text.ends_with("\n_delivery d-0123_"), "{text}");
    }

    fn many(count: usize, name: &dyn Fn(usize) -> String) -> Message {
        let one = |i| change(&format!("os-{i:05}"), &name(i), Severity::High, What::New);
        message((0..count).map(one).collect::<Vec<Change>>())
    }

    #[test]
    fn what_is_too_much_to_read_is_counted() {
        let told = parsed(BuiltIn::Chat, &many(31, &|i| format!("p-{i:02}")));
        let text = told["text"].as_str().unwrap();
        assert_eq!(text.matches("\n• ").count(), 30);
        assert!(text.contains("\nand 1 more: see the report of run 12\n"), "{text}");
        assert!(!text.contains("p-30"), "{text}");
        let told = parsed(BuiltIn::Chat, &many(30, &|i| format!("p-{i:02}")));
        let text = told["text"].as_str().unwrap();
        assert!(text.matches("\n• ").count() == 30 && !text.contains("more:"), "{text}");

        let long = many(300, &|i| format!("{i}{}", "&".repeat(10_000)));
        let told = parsed(BuiltIn::Chat, &long);
        let text = told["text"].as_str().unwrap();
        let shown = text.matches("\n• ").count();
        assert!(text.chars().count() <= 35_000 && shown > 0, "{} {shown}", text.len());
        let more = format!("\nand {} more: see the report of run 12\n", 300 - shown);
        assert!(text.contains(&more), "{text}");

        let card = made(BuiltIn::Teams, &long);
        assert!(card.len() <= 25_000, "{}", card.len());
        let shown = card.matches("\"HIGH, new\"").count();
        assert!(shown > 0 && card.contains(&format!("and {} more: see", 300 - shown)), "{card}");
        let wide = many(300, &|i| format!("{i}{}", "\u{1f4a9}\u{202e}".repeat(10_000)));
        assert!(made(BuiltIn::Teams, &wide).len() <= 25_000);
        assert!(made(BuiltIn::Mail, &wide).contains("\nand 270 more: see"));
    }

    #[test]
    fn a_card_has_no_text_that_reads_markdown() {
        let card = parsed(BuiltIn::Teams, &with_hostile());
        let content = &card["attachments"][0]["content"];
        assert_eq!(
            (&content["type"], &content["version"]),
            (&json!("AdaptiveCard"), &json!("1.4"))
        );
        let mut runs = String::new();
        for block in content["body"].as_array().unwrap() {
            assert_eq!(block["type"], "RichTextBlock");
            for run in block["inlines"].as_array().unwrap() {
                assert_eq!(run["type"], "TextRun");
                assert!(run["text"].is_string() && run.get("selectAction").is_none());
                runs.push_str(run["text"].as_str().unwrap());
                runs.push('|');
            }
        }
        assert!(shows_itself(&runs) && !runs.contains('\n'), "{runs}");
        assert!(runs.contains("](javascript:alert(1))"), "{runs}");
        assert!(runs.contains("|CRITICAL, new|: \"Evil\""), "{runs}");
        assert!(runs.contains("|delivery d-0123, head abab"), "{runs}");
        // Markdown of a text block, by the filter that is there for own templates.
        let own = file("text/plain", "{{ groups[0].partner | shorten(30) | adaptive }}");
        assert_eq!(
            body(&own, &with_hostile()).unwrap(),
            r#"\"Evil\"\\u\{a\}\<\!channel\> \<\@U1\> \@…"#
        );
    }

    #[test]
    fn an_alertmanager_is_told_of_each_finding_and_until_when() {
        use Severity::{Critical, High, Medium};
        let mut risen = change("os-2", "acme", High, What::MoreSevere);
        risen.severity_before = Some(Medium);
        let mut nobody = change("os-4", "x", High, What::New);
        (nobody.partner, nobody.grant, nobody.overstay_s, nobody.last) = (None, None, None, None);
        let mut gone = change("os-3", "globex", High, What::Resolved);
        // Found by the very run that says it is no more: no alert may end before it starts.
        gone.first_seen = at("2018-12-19");
        let changes = vec![change("os-1", "acme", Critical, What::Reminder), risen, gone, nobody];
        let alerts = parsed(BuiltIn::Alertmanager, &message(changes));
        let told: Vec<[&str; 5]> = alerts
            .as_array()
            .unwrap()
            .iter()
            .map(|alert| {
                let of = |key: &str, in_it: &str| alert[key][in_it].as_str().unwrap();
                let whole = |key: &str| alert[key].as_str().unwrap();
                [
                    of("labels", "finding_id"),
                    of("labels", "severity"),
                    of("labels", "partner"),
                    whole("startsAt"),
                    whole("endsAt"),
                ]
            })
            .collect();
        let seen = "2018-12-18T03:00:00Z";
        assert_eq!(
            told,
            [
                // A week and a day, a year and a day; the run's time.
                ["os-1", "critical", "acme", seen, "2018-12-26T03:00:00Z"],
                ["os-2", "high", "acme", seen, "2019-12-19T03:00:00Z"],
                ["os-2", "medium", "acme", seen, seen],
                ["os-4", "high", "", seen, "2019-12-19T03:00:00Z"],
                ["os-3", "high", "globex", seen, seen],
            ]
        );
        assert_eq!(alerts[0]["labels"]["alertname"], "overstay_after_revocation");
        assert_eq!(alerts[0]["labels"]["grant"], "g-acme");
        let annotations = &alerts[0]["annotations"];
        assert_eq!(annotations["delivery_id"], "d-0123");
        assert_eq!(
            (&annotations["overstay"], &annotations["run"]),
            (&json!("199 d 21 h"), &json!("12"))
        );
        let strings_only = |of: &Json| of.as_object().unwrap().values().all(Json::is_string);
        for alert in alerts.as_array().unwrap() {
            assert!(
                strings_only(&alert["labels"]) && strings_only(&alert["annotations"]),
                "{alert}"
            );
        }
        let alerts = parsed(BuiltIn::Alertmanager, &with_hostile());
        let texts = strings(&alerts);
        assert!(texts.iter().all(|text| shows_itself(text) && !text.contains('\n')), "{texts:?}");
        assert!(texts.iter().all(|text| text.chars().count() <= 400), "{texts:?}");
        let test = parsed(
            BuiltIn::Alertmanager,
            &Message::test("overstay 0.1.0".to_owned(), at("2018-12-18")),
        );
        assert_eq!(test[0]["labels"], json!({"alertname": "overstay_test", "severity": "info"}));
        assert_eq!(
            (&test[0]["endsAt"], test.as_array().unwrap().len()),
            (&json!("2018-12-18T01:00:00Z"), 1)
        );
    }

    #[test]
    fn the_headers_of_a_mail_are_of_no_one_elses_making() {
        let mut all = with_hostile();
        all.counts.resolved = 2;
        let mail = made(BuiltIn::Mail, &all);
        let (headers, text) = mail.split_once("\n\n").unwrap();
        assert_eq!(
            headers.lines().collect::<Vec<_>>(),
            [
                "Subject: overstay run 12: 1 critical, 2 resolved",
                "To: undisclosed-recipients:;",
                "Message-ID: <d-0123@overstay.invalid>",
                "Auto-Submitted: auto-generated",
                "MIME-Version: 1.0",
                "Content-Type: text/plain; charset=utf-8",
                "Content-Transfer-Encoding: 8bit",
            ]
        );
        assert!(shows_itself(text), "{text}");
        assert!(mail.lines().all(|line| line.len() <= 998 && line != "."), "{mail}");
        assert!(text.contains("\n  1,200 served, 81 people, first seen 2018-12-18T03:00:00Z, overstayed 199 d 21 h\n  os-1\n"), "{text}");
        assert!(
            text.ends_with(&format!("\n-- \ndelivery d-0123\nhead {}\n", "ab".repeat(32))),
            "{text}"
        );
        // Of hours no calls are counted: what was, the summary says.
        all.groups[0].changes[0].anomaly = Some(Observed {
            observed: 900,
            expected: 104.0,
            score: Some(12.0),
            from: at("2018-12-18"),
            until: at("2018-12-19"),
            network: None,
        });
        let mail = made(BuiltIn::Mail, &all);
        assert!(mail.contains("\n  first seen 2018-12-18T03:00:00Z, "), "{mail}");
        let alerts: Json = serde_json::from_str(&made(BuiltIn::Alertmanager, &all)).unwrap();
        let told = &alerts[0]["annotations"];
        assert_eq!((&told["observed"], &told["expected"]), (&json!("900"), &json!("104.0")));
        assert_eq!(told["served"], Json::Null);
        let test =
            made(BuiltIn::Mail, &Message::test("overstay 0.1.0".to_owned(), at("2018-12-18")));
        assert!(test.starts_with("Subject: overstay test\nTo: "), "{test}");
    }

    #[test]
    fn an_own_template_is_filled_in_and_escaped_as_its_type_needs() {
        let message = with_hostile();
        let own = file(
            "application/json",
            r#"{"title": {{ "overstay: " ~ groups[0].partner | shorten(12) }}, "n": {{ counts.critical }}}"#,
        );
        let told: Json = serde_json::from_str(&body(&own, &message).unwrap()).unwrap();
        assert_eq!(told, json!({"title": "overstay: \"Evil\"\\u{a}…", "n": 1}));
        let html = file("text/html; charset=utf-8", "<b>{{ groups[0].partner | shorten(22) }}</b>");
        assert_eq!(
            body(&html, &message).unwrap(),
            "<b>&quot;Evil&quot;\\u{a}&lt;!channel&gt;…</b>"
        );
        let text = file(
            "text/plain",
            "{% for group in groups %}\n{{ group.changes | length }}: {{ delivery_id }}, {{ more }}\n{% endfor %}\n",
        );
        assert_eq!(body(&text, &message).unwrap(), "1: d-0123, 0\n");
    }

    #[test]
    fn what_is_wrong_with_an_own_template_is_told_with_its_line() {
        let message = with_hostile();
        for (content_type, text, told) in [
            ("text/plain", "a\n{{ partnr }}", "my.j2: 2: found a name or key that is not there"),
            ("text/plain", "a\n\n{{ groups[0].nam }}", "my.j2: 3: found a name or key"),
            ("text/plain", "a\n{% for x in %}", "my.j2: 2: syntax error"),
            ("text/plain", "{{ 1 | nofilter }}", "my.j2: 1: unknown filter"),
            (
                "text/plain",
                "{{ headline | later(1) }}",
                "my.j2: 1: invalid operation: later: expected an instant",
            ),
            (
                "application/json",
                "{\n\"a\": \"{{ headline }}\"}",
                "my.j2: what it made is no JSON at its line 2, expected JSON",
            ),
            (
                "text/plain",
                "{% for i in range(9999) %}{% for i in range(9999) %}{% endfor %}{% endfor %}",
                "my.j2: 1: does not come to an end",
            ),
        ] {
            let failed = body(&file(content_type, text), &message).unwrap_err();
            assert!(failed.starts_with(told), "{text}: {failed}");
        }
        let long = format!("{{% for i in range(9999) %}}{}{{% endfor %}}", "x".repeat(2000));
        let failed = body(&file("text/plain", &long), &message).unwrap_err();
        assert!(failed.contains("makes more than 16"), "{failed}");
        let doubt = |text: &str| file("text/plain", text).doubt(86_400);
        assert_eq!(doubt("{{ headline }}"), None);
        assert!(doubt("{{ partnr").unwrap().starts_with("my.j2: 1: syntax error"));
        // Also within what a test has none of.
        let group = "{% for group in groups %}\n{{ group.partnr_name }}{% endfor %}";
        assert!(doubt(group).unwrap().starts_with("my.j2: 2: found a name or key"));
        let change = "{% for group in groups %}{% for change in group.changes %}{{ change.overstay_s | span }}{{ change.anomaly.observed if change.anomaly else '' }}{% endfor %}{% endfor %}";
        assert_eq!(doubt(change), None);
    }
}
