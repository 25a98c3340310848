//! What syslog and container runtimes write in front of a line.

/// The line behind what shippers wrote in front of it; `None` if nothing of theirs is there.
///
/// Known are syslog's two forms, with and without priority, also with a time after RFC 3339; what container runtimes
/// write into their files, and tools such as `docker compose logs` and `kubectl logs --prefix` before lines.
pub(crate) fn bare(line: &str) -> Option<&str> {
    // Most lines have nothing in front, so what they begin with is looked at first.
    let bytes = line.as_bytes();
    match *bytes.first()? {
        b'<' => syslog(line),
        b'0'..=b'9' if bytes.get(4) == Some(&b'-') => dated(line),
        b'A'..=b'Z' if bytes.get(3) == Some(&b' ') => behind_month(line).and_then(behind_tag),
        b'[' if line.starts_with("[pod/") => {
            let (pod, rest) = line.split_once("] ")?;
            (!pod.contains(' ')).then_some(rest)
        }
        _ => composed(line),
    }
}

/// Behind a priority: a line of RFC 5424, or of RFC 3164 as it says and as it is written.
fn syslog(line: &str) -> Option<&str> {
    let (priority, rest) = line.get(1..)?.split_once('>')?;
    if !matches!(priority.len(), 1..=3) || !is_digits(priority) {
        return None;
    }
    if let Some(rest) = rest.strip_prefix("1 ") {
        // Time, host, program, process, kind of message.
        let rest = behind_words(rest, 5)?;
        let rest = behind_data(rest)?;
        return Some(rest.strip_prefix('\u{feff}').unwrap_or(rest));
    }
    behind_month(rest).or_else(|| behind_time(rest)).and_then(behind_tag)
}

/// Behind a time: the stream and whether the line is whole (CRI), the host and the program (syslog), or nothing.
fn dated(line: &str) -> Option<&str> {
    let rest = behind_time(line)?;
    for stream in ["stdout ", "stderr "] {
        if let Some(rest) = rest.strip_prefix(stream) {
            return rest.strip_prefix("F ").or_else(|| rest.strip_prefix("P ")).or(Some(rest));
        }
    }
    behind_tag(rest).or(Some(rest))
}

/// Behind a time such as `2018-12-18T09:30:00.123+01:00` and a blank.
fn behind_time(line: &str) -> Option<&str> {
    let (time, rest) = line.split_once(' ')?;
    let shape: &[u8] = b"0000-00-00T00:00:00";
    let fits = |(byte, like): (&u8, &u8)| match like {
        b'0' => byte.is_ascii_digit(),
        _ => byte == like,
    };
    (time.len() > shape.len()
        && time.len() < 40
        && time.bytes().zip(shape).all(|(a, b)| fits((&a, b))))
    .then_some(rest)
}

/// Behind a time such as `Dec  8 09:30:00` and a blank.
fn behind_month(line: &str) -> Option<&str> {
    let bytes = line.as_bytes().get(..16)?;
    let is = |at: usize, of: fn(&u8) -> bool| of(&bytes[at]);
    let digits = [5, 7, 8, 10, 11, 13, 14];
    let fits = is(0, u8::is_ascii_uppercase)
        && is(1, u8::is_ascii_lowercase)
        && is(2, u8::is_ascii_lowercase)
        && matches!(bytes[4], b' ' | b'0'..=b'3')
        && digits.into_iter().all(|at| is(at, u8::is_ascii_digit))
        && [bytes[3], bytes[6], bytes[9], bytes[12], bytes[15]] == *b"  :: ";
    fits.then(|| &line[16..])
}

/// Behind the program's name and colon, with or without the host in front.
fn behind_tag(line: &str) -> Option<&str> {
    let (first, rest) = line.split_once(' ')?;
    if is_tag(first) {
        return Some(rest);
    }
    let (second, rest) = rest.split_once(' ')?;
    is_tag(second).then_some(rest)
}

/// Whether a word is the name of a program with what syslog writes behind it, and no address.
fn is_tag(word: &str) -> bool {
    let Some(tag) = word.strip_suffix(':') else { return false };
    let name = tag.split_once('[').map_or(tag, |(name, _)| name);
    !name.is_empty() && !name.contains(':') && name.bytes().any(|b| b.is_ascii_alphabetic())
}

/// Behind structured data of RFC 5424: a dash, or elements in brackets in which `\]` ends nothing.
fn behind_data(line: &str) -> Option<&str> {
    if let Some(rest) = line.strip_prefix("- ") {
        return Some(rest);
    }
    let mut rest = line;
    while rest.starts_with('[') {
        let ends = rest.match_indices(']').map(|(at, _)| at);
        let end = ends.into_iter().find(|&at| !rest[..at].ends_with('\\'))?;
        rest = &rest[end + 1..];
    }
    (rest.len() < line.len()).then(|| rest.strip_prefix(' ')).flatten()
}

/// Behind the name of a container and a bar, as `docker compose` writes them.
fn composed(line: &str) -> Option<&str> {
    let (name, rest) = line.split_once(' ')?;
    let rest = rest.trim_start_matches(' ').strip_prefix("| ")?;
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    name.bytes().all(is_name).then_some(rest)
}

fn behind_words(line: &str, count: usize) -> Option<&str> {
    (0..count).try_fold(line, |rest, _| rest.split_once(' ').map(|(_, rest)| rest))
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shippers_write_is_left_aside() {
        let line = r#"10.0.0.7 - - [18/Dec/2018:09:30:00 +0000] "GET / HTTP/1.1" 200 5"#;
        for prefix in [
            "Dec 18 09:30:00 web1 nginx: ",
            "Dec  8 09:30:00 web1 nginx[71]: ",
            "<190>Dec 18 09:30:00 web1 nginx: ",
            "<134>Dec 18 09:30:00 haproxy[71]: ",
            "<134>2018-12-18T09:30:00.1+01:00 web1 httpd[7]: ",
            "2018-12-18T09:30:00+01:00 web1 httpd[7]: ",
            "<134>1 2018-12-18T09:30:00.123Z web1 nginx 71 - - ",
            "<134>1 2018-12-18T09:30:00Z web1 nginx - id1 [a@1 x=\"\\]\"][b@1 y=\"z\"] ",
            "<13>1 - - - - - - \u{feff}",
            "2018-12-18T09:30:00.123456789Z stdout F ",
            "2018-12-18T09:30:00.123456789+01:00 stderr P ",
            "2018-12-18T09:30:00.123456789Z ",
            "web_1  | ",
            "shop-web-1 | ",
            "[pod/web-5d/nginx] ",
        ] {
            assert_eq!(bare(&format!("{prefix}{line}")), Some(line), "{prefix}");
        }
    }

    #[test]
    fn other_lines_have_nothing_in_front() {
        for line in [
            "",
            "-",
            "10.0.0.7 - - [18/Dec/2018:09:30:00 +0000] \"GET /|x HTTP/1.1\" 200 5",
            "2001:db8::7 - - [18/Dec/2018:09:30:00 +0000] \"GET / HTTP/1.1\" 200 5",
            "api.example.com:443 10.0.0.7 - - [18/Dec/2018:09:30:00 +0000] \"GET / HTTP/1.1\" 200 5",
            "Dec 18 09:30:00 web1 no program",
            "Déc 18 09:30:00 web1 nginx: x",
            "<134",
            "<x> Dec 18",
            "<134>1 2018-12-18T09:30:00Z web1 nginx 71 - [a \\] x",
            "2018-12-18 09:30:00 web1 nginx: x",
            "[18/Dec/2018:09:30:00 +0000] x",
            "é | x",
        ] {
            assert_eq!(bare(line), None, "{line}");
        }
    }
}
