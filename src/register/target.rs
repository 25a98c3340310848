//! Request targets, reduced to what routes compare: a host and segments.
//!
//! Knows no routes. Templates go through the same reduction, so that both sides agree.

use std::borrow::Cow;
use std::fmt;

use wide::u8x16;

/// Where a segment stands in its text: start and end, in bytes.
pub(super) type Span = (usize, usize);

/// A request target reduced: `http://API.example:80/a//%7e/./b/../c?d` is host `api.example` and `/a/~/c`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The host of a full URL, in lower case, without port.
    pub host: Option<String>,
    /// The path's segments, none of them empty.
    pub segments: Vec<String>,
}

impl fmt::Display for Target {
    /// The path: a slash before each segment; of none, a slash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.segments.is_empty() {
            return f.write_str("/");
        }
        self.segments.iter().try_for_each(|segment| write!(f, "/{segment}"))
    }
}

/// Reduces a request target: cut at the first `?` or `#`; scheme, user and host of a full URL
/// taken off; escapes of unreserved characters decoded, hex digits of the others upper-cased,
/// broken ones left; empty and `.` segments removed, `..` with the segment before it.
pub fn normalise(target: &str) -> Target {
    let (mut text, mut segments) = (String::new(), Vec::new());
    let (host, path) = reduce(target, &mut text, &mut segments);
    Target {
        host: host.map(str::to_ascii_lowercase),
        segments: segments.iter().map(|&(start, end)| path[start..end].to_owned()).collect(),
    }
}

/// Reduces a target: the host of a full URL (bare, in its own case), and the path, whose segments are left in `segments`. It
/// is decoded into `buffer` if it has escapes.
pub(super) fn reduce<'t>(
    target: &'t str,
    buffer: &'t mut String,
    segments: &mut Vec<Span>,
) -> (Option<&'t str>, &'t str) {
    if let Some(path) = split_plain(target, segments) {
        return (None, path);
    }
    let (host, path) = cut(target);
    let path = decode_unreserved(path, buffer);
    split(path, segments);
    (host, path)
}

/// Bytes looked at in one step.
const STEP: usize = 16;

/// Cuts and splits a target in one go, if it is a path without escapes, as most are.
fn split_plain<'t>(target: &'t str, segments: &mut Vec<Span>) -> Option<&'t str> {
    let bytes = target.as_bytes();
    if bytes.first() != Some(&b'/') {
        return None;
    }
    segments.clear();
    let mut start = 1;
    for (step, base) in bytes.chunks(STEP).zip((0..).step_by(STEP)) {
        // What a short step is filled up with is nothing that is looked for.
        let mut padded = [0; STEP];
        match step.first_chunk() {
            Some(whole) => padded = *whole,
            None => padded[..step.len()].copy_from_slice(step),
        }
        let padded = u8x16::new(padded);
        let which = |byte| padded.simd_eq(u8x16::splat(byte)).to_bitmask();
        let ends = which(b'?') | which(b'#');
        // All bits below the first end.
        let before = !ends & ends.wrapping_sub(1);
        if which(b'%') & before != 0 {
            return None;
        }
        let mut slashes = which(b'/') & before & !u32::from(base == 0);
        while slashes != 0 {
            let at = base + slashes.trailing_zeros() as usize;
            push_segment(bytes, start, at, segments);
            start = at + 1;
            slashes &= slashes - 1;
        }
        if ends != 0 {
            let end = base + ends.trailing_zeros() as usize;
            push_segment(bytes, start, end, segments);
            return Some(&target[..end]);
        }
    }
    push_segment(bytes, start, bytes.len(), segments);
    Some(target)
}

/// Cuts a target into the host of a full URL (bare, in its own case) and the path, still escaped.
pub(super) fn cut(target: &str) -> (Option<&str>, &str) {
    let end = memchr::memchr2(b'?', b'#', target.as_bytes()).unwrap_or(target.len());
    let target = &target[..end];
    if target.starts_with('/') {
        return (None, target);
    }
    let Some(rest) = after_scheme(target) else {
        return (None, target);
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    (bare_host(host), path)
}

/// What follows `scheme://`, if the text begins so (RFC 3986, section 3.1).
fn after_scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once("://")?;
    let of_scheme = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    (is_scheme && scheme.bytes().all(of_scheme)).then_some(rest)
}

/// A host without its port and without the brackets of an IPv6 address; `None` if nothing is left.
pub(super) fn bare_host(text: &str) -> Option<&str> {
    let bare = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => match text.split_once(':') {
            // A second colon makes it an IPv6 address, which has no port without brackets.
            Some((host, port)) if !port.contains(':') => host,
            _ => text,
        },
    };
    (!bare.is_empty()).then_some(bare)
}

/// A host as the routes table has it: in lower case, without its port; `None` if it is no host's name.
pub fn legible_host(text: &str) -> Option<String> {
    let is_legible = !text.contains(|c: char| c.is_whitespace() || "*/?#@{}|,".contains(c));
    bare_host(text).filter(|_| is_legible).map(str::to_ascii_lowercase)
}

/// Decodes escapes of unreserved characters (RFC 3986, section 2.3) and upper-cases the others,
/// into `buffer` if there are escapes at all.
fn decode_unreserved<'t>(path: &'t str, buffer: &'t mut String) -> &'t str {
    if memchr::memchr(b'%', path.as_bytes()).is_none() {
        return path;
    }
    buffer.clear();
    let mut rest = path;
    while let Some(start) = memchr::memchr(b'%', rest.as_bytes()) {
        buffer.push_str(&rest[..start]);
        match escape(&rest.as_bytes()[start..]) {
            Some(byte) => {
                if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
                    buffer.push(char::from(byte));
                } else {
                    buffer.push('%');
                    buffer.extend([hex_digit(byte >> 4), hex_digit(byte & 15)]);
                }
                rest = &rest[start + 3..];
            }
            None => {
                buffer.push('%');
                rest = &rest[start + 1..];
            }
        }
    }
    buffer.push_str(rest);
    buffer
}

/// Finds the segments of a path that [`decode_unreserved`] gave: spans of its text.
fn split(path: &str, segments: &mut Vec<Span>) {
    segments.clear();
    let bytes = path.as_bytes();
    let mut start = 0;
    for end in memchr::memchr_iter(b'/', bytes).chain([bytes.len()]) {
        push_segment(bytes, start, end, segments);
        start = end + 1;
    }
}

/// Where a segment ends that begins at `start`, if there is no escape in it; else its beginning.
#[inline]
pub(super) fn plain_segment_end(target: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(step) = target.get(at..).and_then(<[u8]>::first_chunk::<STEP>) {
        let step = u8x16::new(*step);
        let is = |byte| step.simd_eq(u8x16::splat(byte));
        let found = (is(b'/') | is(b'?') | is(b'#') | is(b'%')).to_bitmask();
        if found != 0 {
            at += found.trailing_zeros() as usize;
            return if target[at] == b'%' { start } else { at };
        }
        at += STEP;
    }
    while let Some(byte) = target.get(at) {
        match byte {
            b'/' | b'?' | b'#' => break,
            b'%' => return start,
            _ => at += 1,
        }
    }
    at
}

/// Adds a segment, or does what it stands for.
#[inline]
fn push_segment(bytes: &[u8], start: usize, end: usize, segments: &mut Vec<Span>) {
    match &bytes[start..end] {
        b"" | b"." => {}
        b".." => {
            segments.pop();
        }
        _ => segments.push((start, end)),
    }
}

/// All escapes of a segment decoded; as it is if that gives no UTF-8. Broken escapes stay.
pub(super) fn decode(segment: &str) -> Cow<'_, str> {
    if memchr::memchr(b'%', segment.as_bytes()).is_none() {
        return Cow::Borrowed(segment);
    }
    let bytes = segment.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match escape(&bytes[at..]) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).map_or(Cow::Borrowed(segment), Cow::Owned)
}

/// The byte that `%XX` at the beginning stands for.
fn escape(bytes: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = bytes else {
        return None;
    };
    let (high, low) = (char::from(*high).to_digit(16)?, char::from(*low).to_digit(16)?);
    Some((high * 16 + low) as u8)
}

/// A digit of 0 to 15 in upper case.
fn hex_digit(digit: u8) -> char {
    char::from(b"0123456789ABCDEF"[usize::from(digit)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(target: &str) -> String {
        normalise(target).to_string()
    }

    fn host(target: &str) -> Option<String> {
        normalise(target).host
    }

    #[test]
    fn cut_at_the_first_question_mark_or_hash() {
        assert_eq!(path("/a/b?c#d"), "/a/b");
        assert_eq!(path("/a#b?c"), "/a");
        assert_eq!(path("?x"), "/");
        assert_eq!(path("/go?to=http://other/x"), "/go");
        assert_eq!(path("http://api.example?x/y"), "/");
        assert_eq!(path("/a%3Fb"), "/a%3Fb");
    }

    #[test]
    fn a_full_url_loses_scheme_and_host() {
        assert_eq!(path("https://api.example/a/b"), "/a/b");
        assert_eq!(path("HTTP://api.example"), "/");
        assert_eq!(host("https://API.Example:8443/a"), Some("api.example".to_owned()));
        assert_eq!(host("https://user:p@ss@api.example:1/a"), Some("api.example".to_owned()));
        assert_eq!(host("https://[2001:DB8::1]:443/a"), Some("2001:db8::1".to_owned()));
        assert_eq!(host("file:///a"), None);
    }

    #[test]
    fn what_has_no_scheme_in_front_is_a_path() {
        for target in ["//api.example/a", "api.example/a", "/api.example/a"] {
            assert_eq!((host(target), path(target)), (None, "/api.example/a".to_owned()));
        }
        assert_eq!(path("/proxy/http://x/y"), "/proxy/http:/x/y");
        assert_eq!(path("1http://x/y"), "/1http:/x/y");
        assert_eq!(path("api.example:443"), "/api.example:443");
    }

    #[test]
    fn escapes_of_unreserved_characters_are_decoded_once() {
        assert_eq!(path("/%7Euser/%61%2D%5f%30"), "/~user/a-_0");
        assert_eq!(path("/a%2fb/%c3%a9"), "/a%2Fb/%C3%A9");
        assert_eq!(path("/%2561/%257e"), "/%2561/%257e");
        assert_eq!(path("/%/%6/%6g/%zz%7"), "/%/%6/%6g/%zz%7");
        assert_eq!(path("/%%41é%41"), "/%AéA");
    }

    #[test]
    fn empty_and_dot_segments_go_and_two_dots_take_one_along() {
        assert_eq!(path("//a///b/"), "/a/b");
        assert_eq!(path("/./a/./b/."), "/a/b");
        assert_eq!(path("/a/b/../c"), "/a/c");
        assert_eq!(path("/../../a"), "/a");
        assert_eq!(path("/a/%2E%2e/b/%2e"), "/b");
        assert_eq!(path("/a/..b/..."), "/a/..b/...");
        assert_eq!(path("/a//../b"), "/b");
        assert_eq!(path(""), "/");
    }

    #[test]
    fn hosts_lose_port_and_brackets() {
        assert_eq!(bare_host("api.example:443"), Some("api.example"));
        assert_eq!(bare_host("api.example"), Some("api.example"));
        assert_eq!(bare_host("[::1]:80"), Some("::1"));
        assert_eq!(bare_host("[::1]"), Some("::1"));
        assert_eq!(bare_host("2001:db8::1"), Some("2001:db8::1"));
        assert_eq!(bare_host(":80"), None);
    }

    #[test]
    fn values_are_decoded_whole_or_not_at_all() {
        assert_eq!(decode("a%40b%2Fc"), "a@b/c");
        assert_eq!(decode("%C3%A9%"), "é%");
        assert_eq!(decode("%C3x"), "%C3x");
    }
}
