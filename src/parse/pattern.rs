//! Format kind `pattern`: lines written after an nginx `log_format` or an Apache `LogFormat` string.
//!
//! A pattern is literals and captures in turn; a capture ends where the next literal begins, though times and request
//! lines know which blanks are their own. What a well-known variable means is told here as a [`Role`]; what becomes
//! of it is for the format to say.

use memchr::memmem::Finder;

use crate::call::Reason;
use crate::parse::directive::{
    Escapes, PatternError, Placed, Unwrapped, error, is_name, unwrapped,
};
use crate::parse::escape::unescape_log;
use crate::parse::instant::{TimeForm, Zone};
use crate::parse::layout::{Kind, Lacks, Layout, Literal};
use crate::parse::request::{is_method, is_version};
use crate::parse::{Cell, Scratch};

/// A compiled pattern. Each capture is the slot of its index.
#[derive(Debug)]
pub(crate) struct Plan {
    /// What the line begins with.
    prefix: String,
    captures: Vec<Capture>,
    apache: bool,
    escapes: Escapes,
}

/// One variable of a pattern.
#[derive(Debug)]
pub(crate) struct Capture {
    /// As written, without `$` or `%`.
    pub(crate) name: String,
    /// What the variable means, where it is well known.
    pub(crate) role: Option<Role>,
    /// Whether it is a time in several directives.
    pub(crate) joined: bool,
    /// Whether the format asks for it.
    wanted: bool,
    /// The literal that ends it; empty only for the last, and where `ends` needs none.
    until: Finder<'static>,
    ends: Ends,
}

/// Where a capture ends.
#[derive(Debug)]
enum Ends {
    /// Where the literal after it first stands.
    AtLiteral,
    /// Where the literal stands and no backslash escapes its quote.
    AtQuote,
    /// A time that may itself hold the literal: where the longest text that can be read as one ends.
    AfterTime(TimeForm),
    /// A request line whose own text may hold the literal: after its protocol version.
    AfterVersion,
    /// A name that callers choose, before a time that does not hold the literal: where that last stands before the time's
    /// end. No server escapes what the literal is made of.
    BeforeTime,
    /// Before the slash that begins the capture that follows at once.
    BeforeSlash,
}

/// A time with more blanks (or whatever ends it) than this is none.
const IN_TIME_MAX: usize = 8;

/// The longest version of a protocol with the blank before it, in bytes; those there are take nine.
const VERSION_BYTES_MAX: usize = 16;

/// The longest text that is tried as a time, in bytes.
const TIME_BYTES_MAX: usize = 128;

/// What a well-known variable means. Of several with one meaning the one with the lower rank counts first.
#[derive(Clone, Debug)]
pub(crate) enum Role {
    /// The time; whether it is that of the response, where the log tells how long it took.
    At { form: TimeForm, is_end: bool, rank: u8 },
    /// The whole request line.
    Request,
    /// The method alone.
    Method,
    /// The request target with its query.
    Target,
    /// Its path alone, decoded by the server.
    Path,
    /// The decoded path with its query behind it. With `dash` by nginx's `$is_args$args`: where there is no query,
    /// it writes a `-` for it.
    PathAndQuery { dash: bool },
    /// The query string alone.
    Query,
    /// The host.
    Host { rank: u8 },
    /// The port the request came in at: maps to nothing, but tells a column too many.
    Port,
    /// The status.
    Status { rank: u8 },
    /// Bytes sent.
    Bytes { rank: u8 },
    /// The latency, in units of ten to the `power` nanoseconds.
    Latency { power: i64, rank: u8 },
    /// The caller's address.
    RemoteAddr { rank: u8 },
    /// The caller's program.
    UserAgent,
    /// The request's id.
    RequestId { rank: u8 },
    /// The user who logged in.
    User,
}

impl Plan {
    /// Compiles a pattern. It is an Apache one if it has `%` and no `$name`.
    ///
    /// # Errors
    ///
    /// A directive that does not exist, captures with nothing between them, no capture at all.
    pub(crate) fn new(pattern: &str) -> Result<Plan, PatternError> {
        let Unwrapped { chars, escapes } = unwrapped(pattern)?;
        let has_variable = chars
            .windows(2)
            .any(|pair| pair[0].0 == '$' && (pair[1].0 == '{' || is_name(pair[1].0)));
        let apache = !has_variable && chars.iter().any(|(c, _)| *c == '%');
        let mut tokens = if apache { apache_tokens(&chars)? } else { nginx_tokens(&chars)? };
        join_times(&mut tokens);
        join_targets(&mut tokens);
        assemble(tokens, apache, escapes)
    }

    /// The captures, in order.
    pub(crate) fn captures(&self) -> &[Capture] {
        &self.captures
    }

    /// The slot of a variable, named with or without its `$` or `%`, and asks for it.
    pub(crate) fn ask(&mut self, name: &str) -> Option<usize> {
        let bare = name.strip_prefix(if self.apache { '%' } else { '$' }).unwrap_or(name);
        let same = |capture: &Capture| capture.name == bare;
        let alike = |capture: &Capture| {
            self.apache
                && unmodified(&capture.name).eq_ignore_ascii_case_in_braces(unmodified(bare))
        };
        let slot =
            self.captures.iter().position(same).or_else(|| self.captures.iter().position(alike))?;
        self.captures[slot].wanted = true;
        Some(slot)
    }

    /// The slot of a request header, and asks for it.
    pub(crate) fn ask_header(&mut self, header: &str) -> Option<usize> {
        if self.apache {
            return self.ask(&format!("{{{header}}}i"));
        }
        self.ask(&format!("http_{}", header.to_ascii_lowercase().replace('-', "_")))
    }

    /// Asks for a capture by its slot.
    pub(crate) fn ask_slot(&mut self, slot: usize) {
        self.captures[slot].wanted = true;
    }

    /// Says that a capture is a time of this form, so that it ends where the time does.
    pub(crate) fn set_time(&mut self, slot: usize, form: &TimeForm) {
        let capture = &mut self.captures[slot];
        if form.may_hold(capture.until.needle()) {
            capture.ends = Ends::AfterTime(form.clone());
        } else if matches!(capture.ends, Ends::AfterTime(_)) {
            capture.ends = Ends::AtLiteral;
        }
    }

    /// Fills the scratch's slots from a line.
    ///
    /// # Errors
    ///
    /// [`Reason::Malformed`] unless the whole line, blanks at its end aside, is as the pattern says.
    pub(crate) fn fill(&self, line: &str, scratch: &mut Scratch) -> Result<(), Reason> {
        scratch.text.clear();
        scratch.slots.clear();
        if !line.starts_with(&self.prefix) {
            return Err(Reason::Malformed);
        }
        let mut start = self.prefix.len();
        for (slot, capture) in self.captures.iter().enumerate() {
            let (end, next) = self.end(slot, line, start).ok_or(Reason::Malformed)?;
            if !capture.fits(&line[start..end]) {
                return Err(Reason::Malformed);
            }
            let cell = match capture.wanted {
                true => self.cell(line, start, self.value_end(capture, line, start, end), scratch),
                false => Cell::Absent,
            };
            scratch.slots.push(cell);
            start = next;
        }
        if line[start..].trim_end_matches([' ', '\t']).is_empty() {
            Ok(())
        } else {
            Err(Reason::Malformed)
        }
    }

    /// The layout of the plainest lines: those in which each value ends at the first byte of the literal after it. None if a
    /// value's own text may hold that by the rules, so that no look at one byte tells.
    pub(crate) fn layout(&self) -> Option<Layout> {
        let mut elements = Vec::new();
        let mut literal = self.prefix.as_bytes();
        let mut is_after_name = false;
        for (index, capture) in self.captures.iter().enumerate() {
            let until = capture.until.needle();
            let is_last = index + 1 == self.captures.len();
            let is_name = matches!(capture.ends, Ends::BeforeTime);
            // What is not to have a blank has none if it ends at the first.
            let is_word = match &capture.role {
                Some(Role::PathAndQuery { dash: true } | Role::Port) => return None,
                Some(
                    Role::Method
                    | Role::Status { .. }
                    | Role::Bytes { .. }
                    | Role::Latency { .. }
                    | Role::RemoteAddr { .. }
                    | Role::User,
                ) => true,
                _ => false,
            };
            let kind = match (&capture.ends, until) {
                // No longer text is a time, if one is that ends so.
                (Ends::AfterTime(TimeForm::Rfc3339 | TimeForm::Auto), [b' ', ..]) => Kind::Zulu,
                (Ends::AfterTime(_) | Ends::AfterVersion | Ends::BeforeSlash, _) => return None,
                (_, []) if is_last && is_word => Kind::Rest { without: *b" \"" },
                (_, []) if is_last => Kind::Rest { without: [0; 2] },
                (_, [first, ..]) if !is_word || *first == b' ' => {
                    // Where the first byte is that values seldom have, the literal is; it can't be before.
                    let rare = |byte: &u8| *byte != b' ' && !byte.is_ascii_alphanumeric();
                    let back = until.iter().position(rare).filter(|_| !is_word).unwrap_or(0);
                    let without = match capture.role {
                        // Apache's words for an empty name.
                        Some(Role::User) => b'"',
                        // A name ends where the literal stands last before the end of the time.
                        _ if is_after_name => *literal.last()?,
                        _ => until[back],
                    };
                    Kind::Until { byte: until[back], back, without }
                }
                _ => return None,
            };
            elements.push((Literal::new(literal), kind));
            literal = until;
            is_after_name = is_name;
        }
        let slots = (0..self.captures.len()).map(|slot| vec![slot]).collect();
        Some(Layout::new(elements, Literal::new(literal), slots).lacking(Lacks::Escapes))
    }

    /// Where a capture that begins at `start` ends, and where the next one begins.
    fn end(&self, slot: usize, line: &str, start: usize) -> Option<(usize, usize)> {
        let capture = &self.captures[slot];
        if let Ends::BeforeSlash = capture.ends {
            // Fields further on have slashes of their own: only up to where the path ends is looked for one.
            let (both, _) = self.end(slot + 1, line, start)?;
            let slash = memchr::memchr(b'/', &line.as_bytes()[start..both]);
            let end = slash.map_or(both, |at| start + at);
            return Some((end, end));
        }
        let literal = capture.until.needle();
        if literal.is_empty() {
            let value = line[start..].trim_end_matches([' ', '\t']);
            return Some((start + value.len(), line.len()));
        }
        let end = match &capture.ends {
            Ends::AtQuote => capture.first_unescaped(line, start),
            Ends::AfterTime(form) => capture.after_time(line, start, form),
            Ends::AfterVersion => capture.after_version(line, start),
            Ends::BeforeTime => self.before_time(slot, line, start),
            Ends::AtLiteral | Ends::BeforeSlash => capture.ends_at(line, start).next(),
        }?;
        Some((end, end + literal.len()))
    }

    /// The last place before the end of the time that follows where the literal after a capture stands: no time holds it,
    /// but the name in front may.
    fn before_time(&self, slot: usize, line: &str, start: usize) -> Option<usize> {
        let capture = &self.captures[slot];
        let literal = capture.until.needle();
        let first = capture.ends_at(line, start).next()?;
        // Nobody; and a name that begins so does not fit.
        if &line[start..first] == "-" {
            return Some(first);
        }
        let begin = first + literal.len();
        let Some((end, _)) = self.end(slot + 1, line, begin) else { return Some(first) };
        let last = memchr::memmem::rfind(&line.as_bytes()[begin..end], literal);
        Some(last.map_or(first, |at| begin + at))
    }

    /// Where a value ends that stands between these places, without what the server writes for nothing.
    fn value_end(&self, capture: &Capture, line: &str, start: usize, end: usize) -> usize {
        let raw = &line[start..end];
        match capture.role {
            Some(Role::PathAndQuery { dash: true })
                if self.escapes == Escapes::Default && !raw.contains('?') && raw.ends_with('-') =>
            {
                end - 1
            }
            // Apache's words for an empty name.
            Some(Role::User) if raw == "\"\"" => start,
            _ => end,
        }
    }

    /// The cell of a value, its escapes resolved.
    fn cell(&self, line: &str, start: usize, end: usize, scratch: &mut Scratch) -> Cell {
        let raw = &line[start..end];
        if self.escapes != Escapes::None && memchr::memchr(b'\\', raw.as_bytes()).is_some() {
            let begin = scratch.text.len();
            if unescape_log(raw, &mut scratch.text, &mut scratch.bytes) {
                return Cell::decoded(&scratch.text, begin);
            }
        }
        Cell::in_line(line, start, end)
    }
}

impl Capture {
    /// Whether it is a time that Apache was told how to write, and that tells no instant by itself.
    pub(crate) fn is_partial_time(&self) -> bool {
        self.role.is_none() && self.name.ends_with("}t")
    }

    /// All places at or after `start` where the literal after the capture stands.
    fn ends_at<'a>(&'a self, line: &'a str, start: usize) -> impl Iterator<Item = usize> + 'a {
        let mut from = start;
        std::iter::from_fn(move || {
            let at = from + self.until.find(line.as_bytes().get(from..)?)?;
            from = at + 1;
            Some(at)
        })
    }

    /// The first of them with no backslash that escapes it.
    fn first_unescaped(&self, line: &str, start: usize) -> Option<usize> {
        let bytes = line.as_bytes();
        self.ends_at(line, start).find(|&at| {
            let slashes = bytes[start..at].iter().rev().take_while(|&&b| b == b'\\').count();
            slashes.is_multiple_of(2)
        })
    }

    /// The last of them up to which the text is a time; the first if none is.
    fn after_time(&self, line: &str, start: usize, form: &TimeForm) -> Option<usize> {
        let mut ends = self.ends_at(line, start);
        let first = ends.next()?;
        let near = |end: &usize| end - start <= TIME_BYTES_MAX;
        std::iter::once(first)
            .chain(ends)
            .take(IN_TIME_MAX)
            .take_while(near)
            .filter(|&end| form.read(&line[start..end], &Zone::UTC).is_some())
            .last()
            .or(Some(first))
    }

    /// The first of them that has the version of a protocol in front; the very first if none has, and if the text
    /// does not begin as a request line does: fields further on may have a version in them too.
    fn after_version(&self, line: &str, start: usize) -> Option<usize> {
        let first = self.ends_at(line, start).next()?;
        let has_method = line[start..].split_once(' ').is_some_and(|(method, _)| is_method(method));
        let has_version = |&end: &usize| {
            // Not from the beginning each time: a hostile line has the literal everywhere.
            let tail = &line.as_bytes()[start.max(end.saturating_sub(VERSION_BYTES_MAX))..end];
            let word = memchr::memrchr(b' ', tail).map(|blank| &tail[blank + 1..]);
            word.and_then(|word| std::str::from_utf8(word).ok()).is_some_and(is_version)
        };
        let after = self.ends_at(line, start).filter(|_| has_method).find(has_version);
        Some(after.unwrap_or(first))
    }

    /// Whether a value can be what the variable writes. It tells lines apart that have a column more or
    /// less, such as combined ones from common ones, or from those with the virtual host in front.
    fn fits(&self, value: &str) -> bool {
        match self.role {
            Some(
                Role::Method
                | Role::Status { .. }
                | Role::Bytes { .. }
                | Role::Latency { .. }
                | Role::RemoteAddr { .. },
            ) => memchr::memchr(b' ', value.as_bytes()).is_none(),
            Some(Role::Port) => value == "-" || value.bytes().all(|b| b.is_ascii_digit()),
            // User names may have spaces; but a word `-` means none, so with others a column is too many.
            Some(Role::User) => {
                memchr::memchr(b' ', value.as_bytes()).is_none()
                    || !value.split(' ').any(|word| word == "-")
            }
            _ => true,
        }
    }
}

/// Compares Apache directives: header names without regard to case, the rest as it is.
trait Directive {
    fn eq_ignore_ascii_case_in_braces(&self, other: &str) -> bool;
}

impl Directive for str {
    fn eq_ignore_ascii_case_in_braces(&self, other: &str) -> bool {
        match (self.rsplit_once('}'), other.rsplit_once('}')) {
            (Some((name, letter)), Some((other, same))) => {
                letter == same && name.eq_ignore_ascii_case(other)
            }
            _ => self == other,
        }
    }
}

/// A part of a pattern.
#[derive(Debug)]
enum Token {
    Literal(String),
    Capture {
        name: String,
        column: usize,
        role: Option<Role>,
        time: Option<TimePart>,
        joined: bool,
    },
}

/// What an Apache time directive writes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum TimePart {
    /// A strftime pattern.
    Strftime { pattern: String, is_end: bool },
    /// A fraction of the second, in units of ten to the `power` nanoseconds.
    Fraction { power: i64, is_end: bool },
}

fn push_literal(tokens: &mut Vec<Token>, text: &str) {
    match tokens.last_mut() {
        Some(Token::Literal(literal)) => literal.push_str(text),
        _ => tokens.push(Token::Literal(text.to_owned())),
    }
}

fn nginx_tokens(chars: &[Placed]) -> Result<Vec<Token>, PatternError> {
    let mut tokens = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        let (c, column) = chars[i];
        let braced = chars.get(i + 1).is_some_and(|(c, _)| *c == '{');
        let start = if braced { i + 2 } else { i + 1 };
        let name: String = chars[start.min(chars.len())..]
            .iter()
            .map(|(c, _)| *c)
            .take_while(|c| is_name(*c))
            .collect();
        if c != '$' || (name.is_empty() && !braced) {
            push_literal(&mut tokens, c.encode_utf8(&mut [0; 4]));
            i += 1;
            continue;
        }
        i = start + name.len();
        if braced {
            if name.is_empty() || chars.get(i).is_none_or(|(c, _)| *c != '}') {
                return Err(error(column, "`${` without a name and `}`"));
            }
            i += 1;
        }
        let role = nginx_role(&name);
        tokens.push(Token::Capture { name, column, role, time: None, joined: false });
    }
    Ok(tokens)
}

/// What nginx's variables mean (nginx, `ngx_http_log_module` and `ngx_http_core_module`).
///
/// nginx writes a line when the response is done, and its times are that moment's.
fn nginx_role(name: &str) -> Option<Role> {
    let at = |form, rank| Role::At { form, is_end: true, rank };
    Some(match name {
        "msec" => at(TimeForm::Epoch(9), 0),
        "time_iso8601" => at(TimeForm::Rfc3339, 1),
        "time_local" => at(TimeForm::Clf, 2),
        "request" => Role::Request,
        "request_method" => Role::Method,
        "request_uri" => Role::Target,
        "uri" | "document_uri" => Role::Path,
        "args" | "query_string" => Role::Query,
        "host" => Role::Host { rank: 0 },
        "http_host" => Role::Host { rank: 1 },
        "status" => Role::Status { rank: 0 },
        "body_bytes_sent" => Role::Bytes { rank: 0 },
        "bytes_sent" => Role::Bytes { rank: 1 },
        "request_time" => Role::Latency { power: 9, rank: 0 },
        "remote_addr" => Role::RemoteAddr { rank: 0 },
        "http_user_agent" => Role::UserAgent,
        "request_id" => Role::RequestId { rank: 0 },
        "http_x_request_id" => Role::RequestId { rank: 1 },
        "remote_user" => Role::User,
        _ => return None,
    })
}

fn apache_tokens(chars: &[Placed]) -> Result<Vec<Token>, PatternError> {
    let mut tokens = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        let (c, column) = chars[i];
        i += 1;
        if c != '%' {
            push_literal(&mut tokens, c.encode_utf8(&mut [0; 4]));
            continue;
        }
        if chars.get(i).is_some_and(|(c, _)| *c == '%') {
            push_literal(&mut tokens, "%");
            i += 1;
            continue;
        }
        let start = i;
        while chars.get(i).is_some_and(|(c, _)| matches!(c, '!' | ',' | '<' | '>' | '0'..='9')) {
            i += 1;
        }
        let mut argument = None;
        if chars.get(i).is_some_and(|(c, _)| *c == '{') {
            let Some(length) = chars[i..].iter().position(|(c, _)| *c == '}') else {
                return Err(error(column, "`%{` without `}`"));
            };
            argument = Some(chars[i + 1..i + length].iter().map(|(c, _)| *c).collect::<String>());
            i += length + 1;
        }
        let letters = if chars.get(i).is_some_and(|(c, _)| *c == '^') { 3 } else { 1 };
        let end = (i + letters).min(chars.len());
        let letter: String = chars[i..end].iter().map(|(c, _)| *c).collect();
        i = end;
        let name: String = chars[start..end].iter().map(|(c, _)| *c).collect();
        let needs_argument = matches!(
            letter.as_str(),
            // The last two are mod_ssl's.
            "C" | "e" | "i" | "n" | "o" | "^ti" | "^to" | "x" | "c"
        );
        let known = needs_argument
            || letter == "^FB"
            || (letter.len() == 1 && "aABbDfhHIklLmpPqrRsStTuUvVXO".contains(&letter));
        if !known {
            return Err(error(column, format!("`%{name}` is no directive of Apache's LogFormat")));
        }
        if needs_argument && argument.is_none() {
            return Err(error(
                column,
                format!("`%{name}` needs a name in braces: `%{{NAME}}{letter}`"),
            ));
        }
        let bracketed = letter == "t" && argument.is_none();
        let (role, time) = match (letter.as_str(), &argument) {
            ("t", Some(format)) => apache_time(format, column)?,
            ("t", None) => {
                // A fraction may follow it.
                let pattern = "%d/%b/%Y:%H:%M:%S %z".to_owned();
                (
                    apache_role(&name, &letter, None),
                    Some(TimePart::Strftime { pattern, is_end: false }),
                )
            }
            _ => (apache_role(&name, &letter, argument.as_deref()), None),
        };
        if bracketed {
            push_literal(&mut tokens, "[");
        }
        tokens.push(Token::Capture { name, column, role, time, joined: false });
        if bracketed {
            push_literal(&mut tokens, "]");
        }
    }
    Ok(tokens)
}

/// What Apache's directives mean (Apache HTTP Server, `mod_log_config`). `%t` is the time the request was received.
fn apache_role(name: &str, letter: &str, argument: Option<&str>) -> Option<Role> {
    let is_header = |header: &str| argument.is_some_and(|name| name.eq_ignore_ascii_case(header));
    Some(match (letter, argument) {
        ("t", _) => Role::At { form: TimeForm::Clf, is_end: false, rank: 0 },
        ("r", _) => Role::Request,
        ("m", _) => Role::Method,
        ("U", _) => Role::Path,
        ("q", _) => Role::Query,
        ("V", _) => Role::Host { rank: 0 },
        ("v", _) => Role::Host { rank: 2 },
        ("i", _) if is_header("Host") => Role::Host { rank: 1 },
        ("p", _) => Role::Port,
        ("s", _) => Role::Status { rank: u8::from(!name.contains('>')) },
        ("b", _) => Role::Bytes { rank: 0 },
        ("B", _) => Role::Bytes { rank: 1 },
        ("O", _) => Role::Bytes { rank: 2 },
        ("D", _) | ("T", Some("us")) => Role::Latency { power: 3, rank: 0 },
        ("T", Some("ms")) => Role::Latency { power: 6, rank: 1 },
        ("T", None | Some("s")) => Role::Latency { power: 9, rank: 2 },
        ("a", None) => Role::RemoteAddr { rank: 0 },
        ("h", _) => Role::RemoteAddr { rank: 1 },
        ("a", Some(_)) => Role::RemoteAddr { rank: 2 },
        ("i", _) if is_header("User-Agent") => Role::UserAgent,
        ("i" | "o", _) if is_header("X-Request-Id") => Role::RequestId { rank: 0 },
        ("L", _) => Role::RequestId { rank: 1 },
        ("u", _) => Role::User,
        _ => return None,
    })
}

/// What `%{FORMAT}t` writes: a role where it is a time by itself, and its part of a longer one.
fn apache_time(
    format: &str,
    column: usize,
) -> Result<(Option<Role>, Option<TimePart>), PatternError> {
    let is_end = format.starts_with("end:");
    let format = format.strip_prefix("end:").or(format.strip_prefix("begin:")).unwrap_or(format);
    let at = |form| Role::At { form, is_end, rank: 0 };
    let part = |pattern: &str| Some(TimePart::Strftime { pattern: pattern.to_owned(), is_end });
    Ok(match format {
        "sec" => (Some(at(TimeForm::Epoch(9))), part("%s")),
        "msec" => (Some(at(TimeForm::Epoch(6))), None),
        "usec" => (Some(at(TimeForm::Epoch(3))), None),
        "msec_frac" => (None, Some(TimePart::Fraction { power: 6, is_end })),
        "usec_frac" => (None, Some(TimePart::Fraction { power: 3, is_end })),
        "" => return Err(error(column, "`%{}t` without a format")),
        _ => {
            // A date or a time of day alone is no time, but may be part of one.
            (whole_time(format).map(at), part(format))
        }
    })
}

/// The form of a strftime pattern that tells an instant: a date without a time of day would tell its midnight.
fn whole_time(pattern: &str) -> Option<TimeForm> {
    let has_hour = pattern.replace("%%", "").split('%').skip(1).any(|directive| {
        let letter =
            directive.trim_start_matches(['-', '_', '0', '^', '#', 'E', 'O']).chars().next();
        letter.is_some_and(|letter| "HIklTRrcXs+".contains(letter))
    });
    TimeForm::parse(pattern).ok().filter(|_| has_hour)
}

/// Makes one capture of a time written in several directives, as Apache's manual does it:
/// `%{%d/%b/%Y %T}t.%{msec_frac}t %{%z}t`.
fn join_times(tokens: &mut Vec<Token>) {
    let mut i = 0;
    while i + 1 < tokens.len() {
        let (between, count) = match &tokens[i + 1] {
            Token::Literal(between) => (between.as_str(), 3),
            Token::Capture { .. } => ("", 2),
        };
        let joined = match (&tokens[i], tokens.get(i + count - 1)) {
            (
                Token::Capture { name, column, time: Some(time), .. },
                Some(Token::Capture { time: Some(next), .. }),
            ) => time.joined(between, next).map(|(form, time)| {
                let is_end = time.is_end();
                let role = form.map(|form| Role::At { form, is_end, rank: 0 });
                Token::Capture {
                    name: name.clone(),
                    column: *column,
                    role,
                    time: Some(time),
                    joined: true,
                }
            }),
            _ => None,
        };
        match joined {
            Some(joined) => drop(tokens.splice(i..i + count, [joined])),
            None => i += 1,
        }
    }
}

impl TimePart {
    fn is_end(&self) -> bool {
        match self {
            TimePart::Strftime { is_end, .. } | TimePart::Fraction { is_end, .. } => *is_end,
        }
    }

    /// The time of this part, some literal text and the next part, and what of it may be continued;
    /// `None` where they are two times.
    fn joined(&self, between: &str, next: &TimePart) -> Option<(Option<TimeForm>, TimePart)> {
        let is_end = self.is_end();
        let TimePart::Strftime { pattern, .. } = self else { return None };
        if next.is_end() != is_end {
            return None;
        }
        let next_pattern = match next {
            TimePart::Strftime { pattern: next, .. }
                if whole_time(next).is_some()
                    || (whole_time(pattern).is_some() && TimeForm::parse(next).is_ok()) =>
            {
                return None;
            }
            TimePart::Strftime { pattern, .. } => pattern,
            TimePart::Fraction { .. } => "%f",
        };
        let whole = format!("{pattern}{}{next_pattern}", between.replace('%', "%%"));
        let form = match next {
            // Seconds and their fraction with nothing between are a number of finer units.
            TimePart::Fraction { power, .. } if pattern == "%s" && between.is_empty() => {
                Some(TimeForm::Epoch(*power))
            }
            _ => whole_time(&whole),
        };
        if form.is_none() && whole_time(pattern).is_some() {
            return None;
        }
        Some((form, TimePart::Strftime { pattern: whole, is_end }))
    }
}

/// Makes one capture of a path and the query that follows it at once: `%U%q`, `$uri$is_args$args`.
fn join_targets(tokens: &mut Vec<Token>) {
    let is = |token: Option<&Token>, names: &[&str]| matches!(token, Some(Token::Capture { name, .. }) if names.contains(&unmodified(name)));
    for i in 0..tokens.len() {
        let path = is(tokens.get(i), &["U", "uri", "document_uri"]);
        let (count, joined) = if path && is(tokens.get(i + 1), &["q"]) {
            (1, Role::PathAndQuery { dash: false })
        } else if path
            && is(tokens.get(i + 1), &["is_args"])
            && is(tokens.get(i + 2), &["args", "query_string"])
        {
            (2, Role::PathAndQuery { dash: true })
        } else {
            continue;
        };
        tokens.drain(i + 1..=i + count);
        if let Some(Token::Capture { role, .. }) = tokens.get_mut(i) {
            *role = Some(joined);
        }
    }
}

/// An Apache directive without the conditions and the choice of request before it: `>s` is `s`.
fn unmodified(name: &str) -> &str {
    name.trim_start_matches(|c: char| matches!(c, '!' | ',' | '<' | '>') || c.is_ascii_digit())
}

fn assemble(tokens: Vec<Token>, apache: bool, escapes: Escapes) -> Result<Plan, PatternError> {
    let mut prefix = None;
    let mut captures: Vec<Capture> = Vec::new();
    let mut tokens = tokens.into_iter().peekable();
    if let Some(Token::Literal(literal)) =
        tokens.next_if(|token| matches!(token, Token::Literal(_)))
    {
        prefix = Some(literal);
    }
    while let Some(token) = tokens.next() {
        let Token::Capture { name, role, joined, .. } = token else { continue };
        let mut until = String::new();
        let mut ends = Ends::AtLiteral;
        match tokens.peek() {
            Some(Token::Literal(literal)) => {
                until.clone_from(literal);
                tokens.next();
            }
            Some(Token::Capture {
                role: Some(Role::Target | Role::PathAndQuery { .. } | Role::Path),
                ..
            }) => ends = Ends::BeforeSlash,
            Some(Token::Capture { name: next, column, .. }) => {
                return Err(error(
                    *column,
                    format!(
                        "nothing stands between `{name}` and `{next}`, so none can tell where one ends"
                    ),
                ));
            }
            None => {}
        }
        if tokens.peek().is_none() {
            // Blanks at the end of a line are no part of it.
            until.truncate(until.trim_end_matches([' ', '\t']).len());
        }
        match &role {
            Some(Role::At { form, .. }) if form.may_hold(until.as_bytes()) => {
                ends = Ends::AfterTime(form.clone());
            }
            // Every server that escapes at all escapes a quote, wherever the value stands.
            _ if escapes != Escapes::None && until.starts_with('"') => ends = Ends::AtQuote,
            Some(Role::Request) if !until.is_empty() => ends = Ends::AfterVersion,
            Some(Role::User) => {
                if let Some(Token::Capture { role: Some(Role::At { form, .. }), .. }) =
                    tokens.peek()
                    && !form.may_hold(until.as_bytes())
                {
                    ends = Ends::BeforeTime;
                }
            }
            _ => {}
        }
        let until = Finder::new(until.as_bytes()).into_owned();
        captures.push(Capture { name, role, joined, wanted: false, until, ends });
    }
    if captures.is_empty() {
        return Err(error(
            1,
            "found no variable, expected nginx's `$name` or Apache's `%` directives",
        ));
    }
    Ok(Plan { prefix: prefix.unwrap_or_default(), captures, apache, escapes })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The captures of a line, by name.
    fn captured(pattern: &str, line: &str) -> Result<Vec<(String, Option<String>)>, Reason> {
        let mut plan = Plan::new(pattern).unwrap();
        (0..plan.captures.len()).for_each(|slot| plan.ask_slot(slot));
        let mut scratch = Scratch::default();
        plan.fill(line, &mut scratch)?;
        let values = crate::parse::Values::new(line, &scratch);
        let value = |slot: usize| values.get(slot).map(str::to_owned);
        Ok(plan
            .captures
            .iter()
            .enumerate()
            .map(|(slot, c)| (c.name.clone(), value(slot)))
            .collect())
    }

    fn values(pattern: &str, line: &str) -> Result<Vec<String>, Reason> {
        let all = captured(pattern, line)?;
        Ok(all.into_iter().map(|(_, value)| value.unwrap_or_default()).collect())
    }

    fn refused(pattern: &str) -> usize {
        Plan::new(pattern).unwrap_err().column
    }

    #[test]
    fn a_capture_ends_at_the_first_occurrence_of_the_next_literal() {
        assert_eq!(values("$a - ${b} [$c]", "x - y z [w]").unwrap(), ["x", "y z", "w"]);
        assert_eq!(values("$a - $b", "x - y - z").unwrap(), ["x", "y - z"]);
        assert_eq!(values("<$a>$b", "<>x"), Ok(vec![String::new(), "x".to_owned()]));
    }

    #[test]
    fn the_whole_line_must_fit_but_for_blanks_at_its_end() {
        assert_eq!(values("$a \"$b\"", "x \"y\" \t").unwrap(), ["x", "y"]);
        assert_eq!(values("$a $b ", "x y ").unwrap(), ["x", "y"]);
        assert_eq!(values("$a $b", "x ").unwrap(), ["x", ""]);
        for bad in ["x \"y\" z", "x \"y", "x y", ""] {
            assert_eq!(values("$a \"$b\"", bad), Err(Reason::Malformed), "{bad}");
        }
        assert_eq!(values("A$a", "Bx"), Err(Reason::Malformed));
    }

    #[test]
    fn a_column_too_many_does_not_fit() {
        let combined = r#"%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i""#;
        let line =
            r#"10.0.0.7 - - [18/Dec/2018:09:30:00 +0000] "GET /x HTTP/1.1" 200 5 "-" "curl""#;
        assert!(values(combined, line).is_ok());
        for host in ["api.example:443 ", "- "] {
            assert_eq!(values(combined, &format!("{host}{line}")), Err(Reason::Malformed));
        }
        let common = r#"%h %l %u %t "%r" %>s %b"#;
        assert_eq!(values(common, line), Err(Reason::Malformed));
    }

    #[test]
    fn a_backslash_escapes_in_quotes_or_without() {
        let pattern = r#""$a" $b"#;
        assert_eq!(values(pattern, r#""x \" y" z\"\n"#).unwrap(), ["x \" y", "z\"\n"]);
        assert_eq!(values(pattern, r#""x\\" z"#).unwrap(), ["x\\", "z"]);
        assert_eq!(values(pattern, r#""\x22\xC3\xA9" z"#).unwrap(), ["\"é", "z"]);
        assert_eq!(values(pattern, r#""\xFF" z"#).unwrap(), [r"\xFF", "z"]);
        assert_eq!(values(pattern, r#""x\" z"#), Err(Reason::Malformed));
        assert_eq!(values("$a [$b]", r"m\xC3\xBCller [x]").unwrap(), ["müller", "x"]);
        assert_eq!(values("%u %s", r#"j\"doe\\ 200"#).unwrap(), ["j\"doe\\", "200"]);
        // Not only a value that fills its quotes.
        assert_eq!(values(r#""%m %U" %s"#, r#""GET /a\"b" 200"#).unwrap(), ["GET", "/a\"b", "200"]);
    }

    #[test]
    fn under_escape_none_a_backslash_is_one() {
        let with = |escape| format!("log_format x escape={escape} '\"$a\" $b'");
        for escape in ["default", "json"] {
            assert_eq!(values(&with(escape), r#""x\"\xC3\xBC" z\\"#).unwrap(), ["x\"ü", "z\\"]);
        }
        assert_eq!(values(&with("none"), r#""C:\new\" z\x22"#).unwrap(), [r"C:\new\", r"z\x22"]);
        assert_eq!(values("escape=none '$a'", r"\n").unwrap(), [r"\n"]);
        assert_eq!(refused(&with("html")), 14);
    }

    #[test]
    fn a_time_spans_its_own_blanks() {
        let pattern = "$remote_addr $time_local $request_method $request_uri $status";
        let line = "10.0.0.7 18/Dec/2018:09:30:00 +0100 GET /x 200";
        assert_eq!(
            values(pattern, line).unwrap(),
            ["10.0.0.7", "18/Dec/2018:09:30:00 +0100", "GET", "/x", "200"]
        );
        // A time that can't be read is one word, and the line's fault is its time.
        let line = "10.0.0.7 - GET /x 200";
        assert_eq!(values(pattern, line).unwrap(), ["10.0.0.7", "", "GET", "/x", "200"]);
        assert_eq!(
            values("%{%d %b %Y %H:%M:%S}t %m %s", "18 Dec 2018 09:30:00 GET 200").unwrap(),
            ["18 Dec 2018 09:30:00", "GET", "200"]
        );
        assert_eq!(
            values("$time_iso8601:$status", "2018-12-18T09:30:00+01:00:200").unwrap(),
            ["2018-12-18T09:30:00+01:00", "200"]
        );
    }

    #[test]
    fn a_request_line_without_quotes_ends_after_its_version() {
        let line = "18/Dec/2018:09:30:00 +0100 GET /a b HTTP/1.1 200";
        assert_eq!(
            values("$time_local $request $status", line).unwrap(),
            ["18/Dec/2018:09:30:00 +0100", "GET /a b HTTP/1.1", "200"]
        );
        assert_eq!(values("$request $status", "- 400").unwrap(), ["", "400"]);
        for literal in [",", "|", ";", " | ", "]", " ["] {
            let pattern = format!("$request{literal}$status{literal}$http_user_agent");
            let request = format!("GET /a?ids=1{literal}2&b HTTP/1.1");
            for (request, agent) in [(request.as_str(), "curl"), ("-", "x HTTP/1.1"), ("", "x")] {
                let line = format!("{request}{literal}200{literal}{agent}");
                let expected = [request.trim_matches('-'), "200", agent];
                assert_eq!(values(&pattern, &line).unwrap(), expected, "{line}");
            }
        }
        // Under `escape=none` the quotes around it protect nothing.
        assert_eq!(
            values("escape=none '\"$request\" $status'", "\"GET /\"x\" HTTP/1.1\" 200").unwrap(),
            ["GET /\"x\" HTTP/1.1", "200"]
        );
    }

    #[test]
    fn a_path_that_follows_at_once_begins_at_its_slash() {
        let pattern = "\"$scheme://$host$request_uri\" $status \"$http_user_agent\"";
        assert_eq!(
            values(pattern, "\"https://api.example:8443/x/y\" 200 \"curl/7\"").unwrap(),
            ["https", "api.example:8443", "/x/y", "200", "curl/7"]
        );
        assert_eq!(
            values(pattern, "\"https://\" 400 \"curl/7\"").unwrap(),
            ["https", "", "", "400", "curl/7"]
        );
        assert_eq!(
            values("%v%U%q %s", "api.example/x?y=/z 200").unwrap(),
            ["api.example", "/x?y=/z", "200"]
        );
    }

    #[test]
    fn a_name_may_hold_what_stands_before_the_time() {
        let pattern = "%h - %u %t \"%r\"";
        let line = "x - k [y [z [18/Dec/2018:09:30:00 +0000] \"GET / HTTP/1.1\"";
        let all = values(pattern, line).unwrap();
        assert_eq!(all[1..3], ["k [y [z", "18/Dec/2018:09:30:00 +0000"]);
        let all = values(pattern, "x - k [y [no time] \"-\"").unwrap();
        assert_eq!(all[1..3], ["k [y", "no time"]);
    }

    /// Each of them would take minutes if every place were looked at from the beginning.
    #[test]
    fn a_literal_everywhere_takes_no_longer() {
        let brackets = " [".repeat(500_000);
        let line = format!("x - k{brackets} [18/Dec/2018:09:30:00 +0000] \"-\"");
        assert_eq!(values("%h - %u %t \"%r\"", &line).unwrap()[2], "18/Dec/2018:09:30:00 +0000");
        let commas = ",".repeat(1_000_000);
        let line = format!("GET /{commas} HTTP/1.1,200");
        assert_eq!(values("$request,$status", &line).unwrap()[1], "200");
        assert_eq!(values("$request,$status", &format!("GET /{commas}200")).unwrap()[0], "GET /");
    }

    #[test]
    fn absent_values_are_absent() {
        let all = captured("$a $b|$c", "- |x").unwrap();
        let values: Vec<_> = all.into_iter().map(|(_, value)| value).collect();
        assert_eq!(values, [None, None, Some("x".to_owned())]);
    }

    #[test]
    fn apache_directives_in_all_their_spellings() {
        let combined = r#"%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-agent}i\""#;
        let line =
            r#"10.0.0.7 - j doe [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 - "-" "x \"y\"""#;
        let all = captured(combined, line).unwrap();
        let names: Vec<_> = all.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["h", "l", "u", "t", "r", ">s", "b", "{Referer}i", "{User-agent}i"]);
        assert_eq!(all[2].1.as_deref(), Some("j doe"));
        assert_eq!(all[3].1.as_deref(), Some("10/Oct/2000:13:55:36 -0700"));
        assert_eq!(all[8].1.as_deref(), Some("x \"y\""));
        let odd = "%400,501{User-agent}i|%!200,304{Referer}i|%<s|%{c}a|%{ms}T|%100%%|%{x}^ti";
        assert_eq!(refused(odd), 60);
        assert!(
            Plan::new(
                "%400,501{User-agent}i|%!200,304{Referer}i|%<s|%{c}a|%{ms}T|100%%|%{x}^ti|%^FB"
            )
            .is_ok()
        );
    }

    #[test]
    fn variables_are_asked_for_with_or_without_their_sign() {
        let mut plan = Plan::new("%h %>s %{X-Api-Key}i").unwrap();
        assert_eq!(plan.ask("s"), Some(1));
        assert_eq!(plan.ask("%>s"), Some(1));
        assert_eq!(plan.ask("{x-api-key}i"), Some(2));
        assert_eq!(plan.ask_header("x-API-key"), Some(2));
        assert_eq!(plan.ask("H"), None);
        let mut plan = Plan::new("$status $http_x_api_key").unwrap();
        assert_eq!(plan.ask("$status"), Some(0));
        assert_eq!(plan.ask_header("X-Api-Key"), Some(1));
        assert_eq!(plan.ask("%status"), None);
    }

    #[test]
    fn a_bad_pattern_says_at_which_column() {
        assert_eq!(refused("$a$b"), 3);
        assert_eq!(refused("%h%u"), 3);
        assert_eq!(refused("%h %Q"), 4);
        assert_eq!(refused("%h %i"), 4);
        assert_eq!(refused("%h %{x"), 4);
        assert_eq!(refused("%h %"), 4);
        assert_eq!(refused("é ${a"), 3);
        assert_eq!(refused("no variable"), 1);
        assert_eq!(refused("log_format main '$a"), 17);
    }

    #[test]
    fn a_directive_is_taken_as_the_user_has_it() {
        let nginx = "log_format main escape=json '$a - $b '\n    '\"$c\"';";
        assert_eq!(values(nginx, "x - y \"z\"").unwrap(), ["x", "y", "z"]);
        let apache = r#"LogFormat "%h \"%r\"" mine"#;
        assert_eq!(values(apache, "x \"y\"").unwrap(), ["x", "y"]);
        assert_eq!(values("'$a' ' $b'", "x y").unwrap(), ["x", "y"]);
        assert_eq!(values("log_format\tmain\n'$a '\t'$b';", "x y").unwrap(), ["x", "y"]);
        for apache in [
            r#""%h \"%r\"""#,
            "LogFormat\t\"%h \\\"%r\\\"\"\tmine",
            r#"CustomLog "logs/access log" "%h \"%r\"" env=!quiet"#,
            "customlog logs/access_log \\\n  \"%h \\\n\\\"%r\\\"\"",
        ] {
            assert_eq!(values(apache, "x \"y\"").unwrap(), ["x", "y"], "{apache}");
        }
        let nickname = Plan::new("CustomLog logs/access_log combined").unwrap_err();
        assert_eq!(nickname.column, 27);
        assert!(nickname.message.contains("`combined` is the nickname"), "{}", nickname.message);
        // Lines of quoted values are no string of a configuration.
        assert_eq!(values(r#""$a","$b""#, r#""x","y""#).unwrap(), ["x", "y"]);
    }

    #[test]
    fn a_time_in_several_directives_is_one() {
        let plan = Plan::new("[%{%d/%b/%Y %T}t.%{msec_frac}t %{%z}t] %s").unwrap();
        assert_eq!(plan.captures.len(), 2);
        let Some(Role::At { form, .. }) = &plan.captures[0].role else { panic!("no time") };
        let at = form.read("18/Dec/2018 00:00:00.250 +0000", &crate::parse::instant::Zone::UTC);
        assert_eq!(at.unwrap().to_string(), "2018-12-18T00:00:00.25Z");
    }

    #[test]
    fn times_in_parts_keep_their_fraction_however_they_are_joined() {
        let read = |pattern: &str, text: &str| {
            let plan = Plan::new(pattern).unwrap();
            assert_eq!(plan.captures.len(), 1, "{pattern}");
            let Some(Role::At { form, .. }) = &plan.captures[0].role else { panic!("no time") };
            form.read(text, &Zone::UTC).map(|at| at.to_string()).unwrap_or_default()
        };
        for (pattern, text) in [
            ("%{sec}t.%{usec_frac}t", "1545091200.250000"),
            ("%{sec}t.%{msec_frac}t", "1545091200.250"),
            ("%{sec}t,%{msec_frac}t", "1545091200,250"),
            ("%{sec}t%{msec_frac}t", "1545091200250"),
            ("%{sec}t%{usec_frac}t", "1545091200250000"),
            ("%{%F}tT%{%T}t.%{msec_frac}t%{%z}t", "2018-12-18T00:00:00.250+0000"),
            ("%{%Y%m%d}t%{%H%M%S}t.%{msec_frac}t", "20181218000000.250"),
            ("%{%c}t.%{msec_frac}t", "Tue Dec 18 00:00:00 2018.250"),
            ("%t.%{usec_frac}t", "18/Dec/2018:00:00:00 +0000].250000"),
            ("%t %{msec_frac}t", "18/Dec/2018:00:00:00 +0000] 250"),
            ("%{%F}tT%{%T}t,%{usec_frac}t", "2018-12-18T00:00:00,250000"),
        ] {
            assert_eq!(read(pattern, text), "2018-12-18T00:00:00.25Z", "{pattern}");
        }
        assert_eq!(
            values("%h %t.%{usec_frac}t \"%r\"", "x [18/Dec/2018:00:00:00 +0000].250000 \"-\"")
                .unwrap(),
            ["x", "18/Dec/2018:00:00:00 +0000].250000", ""]
        );
        assert_eq!(Plan::new("%t %{%!}t").unwrap().captures.len(), 2);
        // Two whole times are two.
        let plan = Plan::new("%{begin:%F %T}t %{end:%F %T}t %{sec}t").unwrap();
        assert_eq!(plan.captures.len(), 3);
    }

    #[test]
    fn variables_of_mod_ssl_are_directives() {
        assert_eq!(
            values("%h %{SSL_PROTOCOL}x %{cipher}c", "x TLSv1.3 y").unwrap(),
            ["x", "TLSv1.3", "y"]
        );
    }

    #[test]
    fn a_path_and_its_query_are_one() {
        assert_eq!(
            values("%m %U%q %H", "GET /x?y=1 HTTP/1.1").unwrap(),
            ["GET", "/x?y=1", "HTTP/1.1"]
        );
        assert_eq!(values("$uri$is_args$args $status", "/x?y 200").unwrap(), ["/x?y", "200"]);
    }
}
