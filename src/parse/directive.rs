//! A format string out of the configuration that a server has it in: nginx's `log_format main '…' '…';`, Apache's
//! `LogFormat "…" combined`.
//!
//! Takes a directive apart as its server does, or refuses it: a part of a format that went missing would shift every
//! value of every line. Knows nothing of variables.

/// A character of a pattern and its column.
pub(super) type Placed = (char, usize);

/// A pattern that cannot be compiled.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PatternError {
    /// Characters before the place, plus one.
    pub(crate) column: usize,
    pub(crate) message: String,
}

pub(super) fn error(column: usize, message: impl Into<String>) -> PatternError {
    PatternError { column, message: message.into() }
}

/// How a server writes values that need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escapes {
    /// With backslashes, and `-` for what is not there: Apache, and nginx unless it is told otherwise.
    Default,
    /// nginx's `escape=json`: with backslashes, and nothing for what is not there.
    Json,
    /// nginx's `escape=none`: as they are, and nothing for what is not there.
    None,
}

/// The directives that are known.
const DIRECTIVES: [&str; 4] = ["log_format", "LogFormat", "CustomLog", "GlobalLog"];

/// A pattern out of its wrapping.
pub(super) struct Unwrapped {
    pub(super) chars: Vec<Placed>,
    pub(super) escapes: Escapes,
}

/// The pattern itself, out of the directive that a server's configuration has it in: `log_format main '…' '…';`,
/// `LogFormat "…" combined`, `CustomLog logs/access.log "…"`, or quoted strings alone.
/// Backslash escapes are resolved, as the server does when it reads them.
///
/// # Errors
///
/// A directive that is not whole, or that is not alone.
pub(super) fn unwrapped(pattern: &str) -> Result<Unwrapped, PatternError> {
    let all: Vec<Placed> = pattern.chars().zip(1..).collect();
    let all = without_carriage_returns(&all);
    // A pattern of one line may begin with any character.
    let all = trimmed(&all);
    let on_lines = all.iter().any(|(c, _)| *c == '\n');
    let placed = if on_lines { after_comments(all) } else { all };
    let text = text_of(placed);
    let first = text.split_whitespace().next().unwrap_or_default();
    let is = |directive: &str| first.eq_ignore_ascii_case(directive);
    let unwrapped = match () {
        () if first == "log_format" => nginx(placed, 2),
        () if first.starts_with("escape=") || first.starts_with('\'') => nginx(placed, 0),
        () if is("LogFormat") => apache(placed, first, 1),
        () if is("CustomLog") || is("GlobalLog") => apache(placed, first, 2),
        () if is_one_string(text.trim()) => apache(placed, first, 0),
        () if first.starts_with('"') && on_lines => nginx(placed, 0),
        () => alone(placed),
    }?;
    // The server would write it, and no line has one in it.
    if let Some((_, column)) = unwrapped.chars.iter().find(|(c, _)| *c == '\n') {
        return Err(error(
            *column,
            "line break in a pattern, expected one line, or one whole `log_format` or `LogFormat` directive and nothing else",
        ));
    }
    Ok(unwrapped)
}

/// A pattern with nothing around it.
fn alone(placed: &[Placed]) -> Result<Unwrapped, PatternError> {
    let text = text_of(placed);
    let directive = text.trim_start_matches(['#', ' ', '\t']).split_whitespace().next();
    let is_directive = |name: &str| DIRECTIVES.iter().any(|known| known.eq_ignore_ascii_case(name));
    if let (true, Some(directive)) =
        (text.trim_start().starts_with('#'), directive.filter(|name| is_directive(name)))
    {
        return Err(error(
            placed.first().map_or(1, |(_, column)| *column),
            format!("`{directive}` is commented out, expected it without the `#`"),
        ));
    }
    Ok(Unwrapped { chars: unescaped(placed), escapes: Escapes::Default })
}

/// nginx's strings, which it joins, after so many other words and its `escape=`.
fn nginx(placed: &[Placed], before: usize) -> Result<Unwrapped, PatternError> {
    let words = nginx_words(placed)?;
    let mut strings = words.iter().skip(before).peekable();
    let escape = strings.peek().and_then(|word| {
        let text = text_of(&word.chars);
        Some((word.column, text.strip_prefix("escape=")?.to_owned()))
    });
    let escapes = match escape.as_ref().map(|(column, name)| (*column, name.as_str())) {
        None | Some((_, "default")) => Escapes::Default,
        Some((_, "json")) => Escapes::Json,
        Some((_, "none")) => Escapes::None,
        Some((column, other)) => {
            return Err(error(
                column,
                format!("`escape` is `{other}`, expected default, json or none"),
            ));
        }
    };
    if escape.is_some() {
        strings.next();
    }
    if strings.peek().is_none() {
        let column = words.last().map_or(1, |word| word.column);
        return Err(error(
            column,
            "found no format string, expected `log_format NAME 'STRING' …;`",
        ));
    }
    // nginx would take any word for a part of the format. One without a variable is rather the next directive's, where
    // the `;` got lost.
    let is_odd = |word: &&Word| !word.quoted && !word.chars.iter().any(|(c, _)| *c == '$');
    if let Some(word) = strings.clone().find(is_odd) {
        return Err(error(
            word.column,
            format!(
                "found `{}`, expected quoted strings, and `;` at the end of the directive",
                text_of(&word.chars)
            ),
        ));
    }
    let chars = strings.flat_map(|word| word.chars.iter().copied()).collect();
    Ok(Unwrapped { chars, escapes })
}

/// The words of nginx's directive up to its `;` (nginx, `ngx_conf_read_token`).
fn nginx_words(placed: &[Placed]) -> Result<Vec<Word>, PatternError> {
    let mut words = Vec::new();
    let mut i = 0;
    while let Some(&(c, _)) = placed.get(i) {
        if c.is_whitespace() {
            i += 1;
        } else if c == '#' {
            i = line_end(placed, i);
        } else if c == ';' {
            return match after_comments(&placed[i + 1..]).first() {
                None => Ok(words),
                Some((_, column)) => Err(error(
                    *column,
                    "text after the `;` that ends the directive, expected nothing",
                )),
            };
        } else {
            let (word, end) = word(placed, i, |c| c.is_whitespace() || c == ';')?;
            let next = placed.get(end);
            if let Some((_, column)) = next.filter(|(c, _)| !c.is_whitespace() && *c != ';') {
                return Err(error(
                    *column,
                    "text right after a quoted string, expected a blank or `;`",
                ));
            }
            words.push(word);
            i = end;
        }
    }
    Ok(words)
}

/// The format string of Apache's directive, which has so many words before it.
fn apache(placed: &[Placed], directive: &str, before: usize) -> Result<Unwrapped, PatternError> {
    let words = apache_words(placed)?;
    let Some(word) = words.get(before) else {
        let column = words.last().map_or(1, |word| word.column);
        return Err(error(column, format!("found no format string after `{directive}`")));
    };
    // The nickname, or on which condition to log.
    if let Some(word) = words.get(before + 2) {
        return Err(error(
            word.column,
            format!("found `{}`, expected the end of the directive", text_of(&word.chars)),
        ));
    }
    let nickname = |c: &Placed| is_name(c.0) || matches!(c.0, '-' | '.');
    if !word.quoted && word.chars.iter().all(nickname) {
        let (column, name) = (word.column, text_of(&word.chars));
        return Err(error(
            column,
            format!(
                "`{name}` is the nickname of a format, expected the string of its LogFormat line"
            ),
        ));
    }
    Ok(Unwrapped { chars: word.chars.clone(), escapes: Escapes::Default })
}

/// The words of Apache's directive, which ends with its line; a backslash at its end continues it.
fn apache_words(placed: &[Placed]) -> Result<Vec<Word>, PatternError> {
    let mut words = Vec::new();
    let mut i = 0;
    while let Some(&(c, _)) = placed.get(i) {
        if c == '\\' && placed.get(i + 1).is_some_and(|(c, _)| *c == '\n') {
            i += 2;
        } else if c == '\n' && !words.is_empty() {
            return match after_comments(&placed[i..]).first() {
                None => Ok(words),
                Some((_, column)) => Err(error(
                    *column,
                    "text after the directive's line, expected nothing but the one directive",
                )),
            };
        } else if c.is_whitespace() {
            i += 1;
        } else {
            let (word, end) = word(placed, i, char::is_whitespace)?;
            words.push(word);
            i = end;
        }
    }
    Ok(words)
}

/// A word of a server's configuration, its quotes and escapes resolved.
struct Word {
    chars: Vec<Placed>,
    /// Where it begins.
    column: usize,
    quoted: bool,
}

/// The word that begins at an index, and the index after it. One without quotes goes up to what ends such a one.
fn word(
    placed: &[Placed],
    begin: usize,
    ends_bare: impl Fn(char) -> bool,
) -> Result<(Word, usize), PatternError> {
    let (first, column) = placed[begin];
    let quoted = matches!(first, '\'' | '"');
    let ends = |c: char| if quoted { c == first } else { ends_bare(c) };
    let start = begin + usize::from(quoted);
    let mut i = start;
    while placed.get(i).is_some_and(|(c, _)| !ends(*c)) {
        i += if placed[i].0 == '\\' { 2 } else { 1 };
    }
    if quoted && i >= placed.len() {
        return Err(error(column, "quoted string without its closing quote"));
    }
    let end = i.min(placed.len());
    let word = Word { chars: unescaped(&placed[start..end]), column, quoted };
    Ok((word, end + usize::from(quoted)))
}

/// What follows the blanks and the comments that a text begins with.
fn after_comments(placed: &[Placed]) -> &[Placed] {
    let mut rest = placed;
    loop {
        let blanks = rest.iter().take_while(|(c, _)| c.is_whitespace()).count();
        rest = &rest[blanks..];
        if rest.first().is_none_or(|(c, _)| *c != '#') {
            return rest;
        }
        rest = &rest[line_end(rest, 0)..];
    }
}

/// The index of the next line break, or of the end.
fn line_end(placed: &[Placed], from: usize) -> usize {
    let to_end = placed[from..].iter().position(|(c, _)| *c == '\n');
    to_end.map_or(placed.len(), |length| from + length)
}

/// Without the carriage returns of a file with Windows' line endings.
fn without_carriage_returns(placed: &[Placed]) -> Vec<Placed> {
    let is_ending =
        |i: usize| placed[i].0 == '\r' && placed.get(i + 1).is_none_or(|(c, _)| *c == '\n');
    (0..placed.len()).filter(|&i| !is_ending(i)).map(|i| placed[i]).collect()
}

/// Without the line breaks around it, and the blanks that stand there with them. Those of a pattern that has its line for
/// itself may be part of it.
fn trimmed(placed: &[Placed]) -> &[Placed] {
    let is_text = |(c, _): &Placed| !c.is_whitespace();
    let (Some(first), Some(last)) =
        (placed.iter().position(is_text), placed.iter().rposition(is_text))
    else {
        return placed;
    };
    let has_break = |blanks: &[Placed]| blanks.iter().any(|(c, _)| *c == '\n');
    // Between lines of their own blanks are an indentation.
    if has_break(&placed[..first]) || has_break(&placed[last + 1..]) {
        return &placed[first..=last];
    }
    placed
}

fn text_of(chars: &[Placed]) -> String {
    chars.iter().map(|(c, _)| *c).collect()
}

/// Whether a text is one string in double quotes, as a configuration has it: of those inside each is escaped.
/// A line that begins and ends with a quoted value has more of them.
fn is_one_string(text: &str) -> bool {
    let Some(inner) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else {
        return false;
    };
    let mut escaped = false;
    let closed = |c: char| {
        let closes = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        closes
    };
    !inner.chars().any(closed) && inner.contains(char::is_whitespace)
}

fn unescaped(placed: &[Placed]) -> Vec<Placed> {
    let mut out = Vec::with_capacity(placed.len());
    let mut i = 0;
    while i < placed.len() {
        let (c, column) = placed[i];
        let escaped = match placed.get(i + 1) {
            Some(('"' | '\'' | '\\', _)) if c == '\\' => Some(placed[i + 1].0),
            Some(('t', _)) if c == '\\' => Some('\t'),
            // A line that goes on in the next.
            Some(('\n', _)) if c == '\\' => {
                i += 2;
                continue;
            }
            _ => None,
        };
        out.push((escaped.unwrap_or(c), column));
        i += if escaped.is_some() { 2 } else { 1 };
    }
    out
}

pub(super) fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(pattern: &str) -> Result<String, (usize, String)> {
        unwrapped(pattern)
            .map(|unwrapped| text_of(&unwrapped.chars))
            .map_err(|error| (error.column, error.message))
    }

    #[test]
    fn parts_are_joined_as_nginx_joins_them() {
        for directive in [
            "log_format main '$a ' '$b';",
            "log_format \"main\" '$a ' '$b';",
            "log_format main '$a ' $b;",
            "log_format main \"$a \"\n  \"$b\";\n",
            "log_format main # isn't that \"it\"\n  '$a ' # more\n '$b'; # the end",
            "# edge's own\n\n  log_format main escape=default '$a ' '$b';",
            "'$a '\n'$b'",
            "\"$a \"\n\"$b\"",
        ] {
            assert_eq!(text(directive).as_deref(), Ok("$a $b"), "{directive}");
        }
    }

    #[test]
    fn a_directive_is_alone_and_whole() {
        for (pattern, column, part) in [
            ("log_format main '$a'; log_format x '$b';", 23, "after the `;`"),
            ("log_format main '$a'$b;", 21, "right after a quoted string"),
            ("log_format main;", 12, "no format string"),
            ("log_format main escape=json;", 17, "no format string"),
            ("log_format '$a';", 12, "no format string"),
            ("<IfModule log_config_module>\nLogFormat \"%h\" x\n</IfModule>", 29, "line break"),
            ("LogFormat \"%h\" x LogFormat \"%u\" y", 18, "expected the end of the directive"),
            ("log_format m '$a'\naccess_log /x m;", 19, "found `access_log`"),
            ("log_format m '$a\n$b';", 17, "line break"),
            ("LogFormat \"%h\n%u\" x", 14, "line break"),
            ("# LogFormat \"%h\" x", 1, "commented out"),
            ("LogFormat \"%h\" x\nLogFormat \"%u\" y", 18, "after the directive's line"),
            ("LogFormat", 1, "no format string after `LogFormat`"),
            ("$a\n$b", 3, "line break"),
        ] {
            let (found, message) = text(pattern).unwrap_err();
            assert_eq!(found, column, "{pattern}: {message}");
            assert!(message.contains(part), "{pattern}: {message}");
        }
    }

    #[test]
    fn comments_around_an_apache_directive_are_none_of_it() {
        for pattern in [
            "LogFormat \\\r\n \"%h %u\" mine\r\n",
            "LogFormat \"%h \\\r\n%u\" mine",
            "\"%h %u\"\r\n",
        ] {
            assert_eq!(text(pattern).as_deref(), Ok("%h %u"), "{pattern:?}");
        }
        let pattern = "# the \"old\" one\n    LogFormat \"%h %u\" mine\n# and no more\n";
        assert_eq!(text(pattern).as_deref(), Ok("%h %u"));
    }

    #[test]
    fn a_pattern_alone_may_begin_with_anything() {
        for pattern in ["# $a", " $a", "\"$a\" \"$b\"", "$a; '$b'"] {
            assert_eq!(text(pattern).as_deref(), Ok(pattern));
        }
        assert_eq!(text("$a\n").as_deref(), Ok("$a"));
        // In a block of its own blanks are an indentation.
        assert_eq!(text("  $a $b\n  ").as_deref(), Ok("$a $b"));
        assert_eq!(text("\"$a\" \"$b\"\n  ").as_deref(), Ok("\"$a\" \"$b\""));
    }
}
