//! Request lines and request targets: method, target, and what its query holds.
//!
//! Knows no routes: the target is handed on as logged.

use std::borrow::Cow;

/// What a field that holds a request says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request<'a> {
    /// The method, where one stands before the target.
    pub(crate) method: Option<&'a str>,
    /// The request target: path with query, or full URL.
    pub(crate) target: &'a str,
}

/// Takes a request line apart: `GET /x HTTP/1.1`, or `GET /x` as HTTP/0.9 has it.
///
/// The target may hold spaces, since servers log what clients send. `None` for anything else,
/// such as the TLS hello of a client that took the port for another.
pub(crate) fn request_line(text: &str) -> Option<Request<'_>> {
    let (method, rest) = text.split_once(' ')?;
    if !is_method(method) {
        return None;
    }
    // Servers take blanks behind the version, and log them.
    let rest = rest.trim_end_matches(' ');
    let target = match rest.rsplit_once(' ') {
        Some((target, version)) if is_version(version) => target,
        _ if rest.starts_with('/') || rest.contains("://") => rest,
        _ => return None,
    };
    let target = target.trim_matches(' ');
    (!target.is_empty()).then_some(Request { method: Some(method), target })
}

/// Takes apart what may be a request line or a target alone.
///
/// A text that is neither, because it holds control characters or because it has spaces and does
/// not begin as a path or URL does, is `None`.
pub(crate) fn request_or_target(text: &str) -> Option<Request<'_>> {
    if text.starts_with('/') {
        return Some(Request { method: None, target: text });
    }
    if let Some(request) = request_line(text) {
        return Some(request);
    }
    let odd = |c: char| c.is_control() || c == ' ';
    let is_target = text.contains("://") || !text.contains(odd);
    (is_target && !text.is_empty()).then_some(Request { method: None, target: text })
}

/// Whether the text can be a method: a token (RFC 9110, section 5.6.2) that begins with a letter. Tokens may begin with
/// others, but every registered method begins so, and what does not is more likely to be a column too early.
pub(crate) fn is_method(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Whether the text is the version at the end of a request line: `HTTP/1.1`.
pub(crate) fn is_version(text: &str) -> bool {
    text.strip_prefix("HTTP/").is_some_and(|version| {
        !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit() || b == b'.')
    })
}

/// The form-decoded value of the first query parameter of that name in a request target.
///
/// The query goes from the first `?` to a `#` or the end. `None` if there is no such parameter.
pub(crate) fn query_parameter<'a>(target: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let (_, query) = target.split_once('?')?;
    let query = query.split('#').next().unwrap_or_default();
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (form_decoded(key) == name).then(|| form_decoded(value))
    })
}

/// Decodes `+` and `%XX` (WHATWG URL standard, application/x-www-form-urlencoded). A broken escape stays as it is,
/// bytes that are no UTF-8 become U+FFFD.
fn form_decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['+', '%']) {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        match bytes[i] {
            b'+' => decoded.push(b' '),
            b'%' => match bytes.get(i + 1..i + 3).and_then(hex_pair) {
                Some(byte) => {
                    decoded.push(byte);
                    i += 2;
                }
                None => decoded.push(b'%'),
            },
            byte => decoded.push(byte),
        }
        i += 1;
    }
    Cow::Owned(
        String::from_utf8(decoded)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
    )
}

/// Two hex digits as a byte.
pub(crate) fn hex_pair(digits: &[u8]) -> Option<u8> {
    let [high, low] = digits else { return None };
    let value = |digit: u8| char::from(digit).to_digit(16);
    u8::try_from(value(*high)? * 16 + value(*low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Option<(&str, &str)> {
        request_line(text).map(|request| (request.method.unwrap(), request.target))
    }

    #[test]
    fn request_lines_in_all_versions() {
        assert_eq!(line("GET /x?y=1 HTTP/1.1"), Some(("GET", "/x?y=1")));
        assert_eq!(line("GET /a b c HTTP/2.0"), Some(("GET", "/a b c")));
        assert_eq!(line("GET /x HTTP/1.1 "), Some(("GET", "/x")));
        assert_eq!(line("GET /x HTTP/1.1   "), Some(("GET", "/x")));
        assert_eq!(line("POST http://h/x HTTP/1.0"), Some(("POST", "http://h/x")));
        assert_eq!(line("OPTIONS * HTTP/1.1"), Some(("OPTIONS", "*")));
        assert_eq!(line("CONNECT h:443 HTTP/1.1"), Some(("CONNECT", "h:443")));
        assert_eq!(line("GET /x"), Some(("GET", "/x")));
        assert_eq!(line("GET /x y"), Some(("GET", "/x y")));
    }

    #[test]
    fn what_is_no_http_is_no_request() {
        for bad in [
            "",
            "-",
            "\u{16}\u{3}\u{1}",
            "\u{16}\u{3} /x HTTP/1.1",
            "GET",
            "GET  HTTP/1.1",
            "t3 12.1.2",
            "+0100 /x HTTP/1.1",
            "200 /x",
        ] {
            assert_eq!(line(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_target_alone_is_taken_as_it_is() {
        let target = |text| request_or_target(text).map(|request| request.target);
        assert_eq!(target("/a b HTTP/1.1"), Some("/a b HTTP/1.1"));
        assert_eq!(target("https://h/x y"), Some("https://h/x y"));
        assert_eq!(target("v1/users"), Some("v1/users"));
        assert_eq!(target("GET /x HTTP/1.1"), Some("/x"));
        assert_eq!(target("\u{16}\u{3}"), None);
        assert_eq!(target("no http at all"), None);
    }

    #[test]
    fn query_parameters_are_form_decoded_and_the_first_counts() {
        let key = |target| query_parameter(target, "api key").map(Cow::into_owned);
        assert_eq!(key("/x?a=1&api+key=k%2B1+2&api%20key=z"), Some("k+1 2".to_owned()));
        assert_eq!(key("/x?api+key=1#&api+key=2"), Some("1".to_owned()));
        assert_eq!(key("/x?y?api+key=1"), None);
        assert_eq!(key("/x?api+key"), Some(String::new()));
        assert_eq!(key("/x#?api+key=frag"), Some("frag".to_owned()));
        assert_eq!(key("/api+key=1"), None);
        assert_eq!(key("/x?api+key=100%&b"), Some("100%".to_owned()));
        assert_eq!(key("/x?api+key=%ff"), Some("\u{fffd}".to_owned()));
        assert_eq!(key("/x?API+KEY=1"), None);
    }
}
