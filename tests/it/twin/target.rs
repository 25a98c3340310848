//! Request targets and routes, the slow way: every route is tried on every target.
//!
//! Knows nothing of grants or verdicts.

use super::rows::RouteRow;

/// A request target in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The host of a full URL, lower case, without port.
    pub host: Option<String>,
    /// The normalised segments.
    pub segments: Vec<String>,
}

/// "The request target is cut at the first `?` or `#`; a full URL loses scheme and host (the host, lower case,
/// without port, is matched against `host`)"
pub fn target(text: &str) -> Target {
    let text = text.split(['?', '#']).next().unwrap();
    let Some((scheme, rest)) = text.split_once("://") else {
        return Target { host: None, segments: segments(text) };
    };
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    if !is_scheme {
        return Target { host: None, segments: segments(text) };
    }
    let (authority, path) = match rest.find('/') {
        Some(i) => rest.split_at(i),
        None => (rest, ""),
    };
    Target { host: Some(host(authority)), segments: segments(path) }
}

/// "the host, lower case, without port, …; so is the call field `host`"
pub fn host(text: &str) -> String {
    let text = text.rsplit('@').next().unwrap();
    let (name, port) = text.rsplit_once(':').unwrap_or((text, ""));
    if port.chars().all(|c| c.is_ascii_digit()) { name } else { text }.to_lowercase()
}

/// "percent-escapes of unreserved characters are decoded (…), empty and `.` segments removed, `..` takes the
/// segment before it along; what is left is compared segment by segment"
pub fn segments(path: &str) -> Vec<String> {
    let mut segments = Vec::new();
    for segment in decode_unreserved(path).split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            _ => segments.push(segment.to_owned()),
        }
    }
    segments
}

/// "(other escapes keep their place, hex digits upper-cased; a broken escape stays as it is)"
fn decode_unreserved(path: &str) -> String {
    let chars: Vec<char> = path.chars().collect();
    let mut out = String::new();
    let mut i = 0;
    while i < chars.len() {
        match escape(&chars, i) {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                out.push(char::from(byte));
                i += 3;
            }
            Some(byte) => {
                out += &format!("%{byte:02X}");
                i += 3;
            }
            None => {
                out.push(chars[i]);
                i += 1;
            }
        }
    }
    out
}

/// The byte that an escape at this place stands for.
fn escape(chars: &[char], i: usize) -> Option<u8> {
    if chars[i] != '%' {
        return None;
    }
    let high = chars.get(i + 1)?.to_digit(16)?;
    let low = chars.get(i + 2)?.to_digit(16)?;
    u8::try_from(high * 16 + low).ok()
}

/// "(one segment; its value is handed on percent-decoded)"; what does not decode to UTF-8 stays encoded.
fn decode(segment: &str) -> String {
    let chars: Vec<char> = segment.chars().collect();
    let mut bytes: Vec<u8> = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        match escape(&chars, i) {
            Some(byte) => {
                bytes.push(byte);
                i += 3;
            }
            None => {
                bytes.extend(chars[i].to_string().bytes());
                i += 1;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| segment.to_owned())
}

/// The name in `{name}`.
fn placeholder(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// "A template is literal segments, `{name}` (one segment …) and a final `*` (any rest, also none)."
fn fits(template: &[String], target: &[String]) -> bool {
    match (template.first().map(String::as_str), target.first()) {
        (Some("*"), _) => true,
        (None, None) => true,
        (Some(segment), Some(given)) => {
            (placeholder(segment).is_some() || segment == given)
                && fits(&template[1..], &target[1..])
        }
        _ => false,
    }
}

/// "Where several fit, compare segment by segment from the left: literal before `{name}` before `*`, and a template
/// that ends before one that goes on with `*`; then a row that names the host before one that does not, then the
/// method likewise."
///
/// The smallest comes first.
fn precedence(row: &RouteRow) -> (Vec<u8>, bool, bool) {
    const LITERAL: u8 = 0;
    const NAME: u8 = 1;
    const END: u8 = 2;
    const REST: u8 = 3;
    let rank = |segment: &String| match segment.as_str() {
        "*" => REST,
        segment if placeholder(segment).is_some() => NAME,
        _ => LITERAL,
    };
    let mut ranks: Vec<u8> = segments(&row.path).iter().map(rank).collect();
    ranks.push(END);
    (ranks, row.host.is_none(), row.method.is_none())
}

/// The route of a call, of those known.
pub fn route<'a>(
    routes: &'a [RouteRow],
    host_of_call: Option<&str>,
    method: Option<&str>,
    path: &str,
) -> Option<&'a RouteRow> {
    let target = target(path);
    // "The host of a full URL in the target beats the call field `host`."
    let given_host = target.host.clone().or(host_of_call.map(host));
    let mut fitting: Vec<&RouteRow> = Vec::new();
    for row in routes {
        // "(blank host or method: any)"
        let host_fits = row.host.as_ref().is_none_or(|wanted| Some(host(wanted)) == given_host);
        // "Methods compare without regard to case"
        let method_fits = row
            .method
            .as_ref()
            .is_none_or(|wanted| method.is_some_and(|method| method.eq_ignore_ascii_case(wanted)));
        if host_fits && method_fits && fits(&segments(&row.path), &target.segments) {
            fitting.push(row);
        }
    }
    fitting.into_iter().min_by_key(|row| precedence(row))
}

/// The value of a placeholder of the matched route.
pub fn value(row: &RouteRow, path: &str, name: &str) -> Option<String> {
    let segments_of_template = segments(&row.path);
    let index = segments_of_template.iter().position(|s| placeholder(s) == Some(name))?;
    Some(decode(&target(path).segments[index]))
}

/// The path of a run without a register: "a segment is folded to `{id}` if it has a digit, unless it is a version (`v`
/// and numbers of at most three digits, with dots between), or is a UUID, or contains `@`, or is > 40 chars."
pub fn templated(path: &str) -> String {
    let version = |segment: &str| {
        let Some(numbers) = segment.to_lowercase().strip_prefix('v').map(str::to_owned) else {
            return false;
        };
        let number =
            |text: &str| text.len() <= 3 && text.parse::<u16>().is_ok() && !text.starts_with('+');
        numbers.split('.').all(number)
    };
    let fold = |segment: &String| {
        let some_digit = segment.chars().any(char::is_numeric);
        let length = segment.chars().count();
        let is_id = is_uuid(segment)
            || segment.contains('@')
            || (some_digit && !version(segment))
            || length > 40;
        if is_id { "{id}".to_owned() } else { segment.clone() }
    };
    let folded: Vec<String> = target(path).segments.iter().map(fold).collect();
    format!("/{}", folded.join("/"))
}

fn is_uuid(segment: &str) -> bool {
    let groups: Vec<&str> = segment.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12]
        && groups.iter().all(|group| group.chars().all(|c| c.is_ascii_hexdigit()))
}
