//! Format kind `regex`: a regular expression with named groups, which the whole line must match.
//!
//! Matching takes time linear in the line, whatever the expression (finite automata, no backtracking), and
//! memory is bounded. What a group means is not known here.

use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Hir, Look};

use crate::call::Reason;
use crate::limits::REGEX_BYTES_MAX;
use crate::parse::escape::unescape_log;
use crate::parse::labels::Listed;
use crate::parse::{Cell, Scratch};

/// A compiled expression. Each named group is the slot of its place among the named ones.
#[derive(Debug)]
pub(crate) struct Plan {
    regex: Regex,
    groups: Listed,
    /// The index of each among all groups, named or not; 0 is the whole match.
    indexes: Vec<usize>,
    /// Whether backslash escapes in values are resolved.
    escapes: bool,
}

impl Plan {
    /// Compiles an expression. It is anchored at both ends, whether it says so or not. With `escapes` the
    /// backslash escapes that nginx and Apache write are resolved in what its groups match.
    ///
    /// # Errors
    ///
    /// What is wrong and at which column (in characters, from 1), as a sentence.
    pub(crate) fn new(expression: &str, escapes: bool) -> Result<Plan, String> {
        let hir = regex_syntax::parse(expression).map_err(|error| syntax(&error, expression))?;
        // Anchored as parsed, not as text: `(?x)a # b` would take a closing parenthesis for a comment.
        let whole = Hir::concat(vec![Hir::look(Look::Start), hir, Hir::look(Look::End)]);
        let regex = RegexBuilder::new(&whole.to_string())
            .size_limit(REGEX_BYTES_MAX)
            .dfa_size_limit(REGEX_BYTES_MAX)
            .build()
            .map_err(|error| size(&error))?;
        let named =
            || regex.capture_names().enumerate().filter_map(|(idx, name)| Some((idx, name?)));
        let groups = Listed::new(named().map(|(_, name)| name));
        let indexes = named().map(|(idx, _)| idx).collect();
        Ok(Plan { regex, groups, indexes, escapes })
    }

    /// Its groups that have a name.
    pub(crate) fn listed(&self) -> &Listed {
        &self.groups
    }

    /// The slot of a group, and asks for it. `None` if there is no such group.
    pub(crate) fn ask(&mut self, name: &str) -> Option<usize> {
        self.groups.ask(name)
    }

    /// Fills the scratch's slots from a line. A group that takes no part in the match is absent.
    ///
    /// # Errors
    ///
    /// [`Reason::Malformed`] unless the whole line matches.
    pub(crate) fn fill(&self, line: &str, scratch: &mut Scratch) -> Result<(), Reason> {
        scratch.text.clear();
        scratch.slots.clear();
        // Locations are those of one expression, and workers go from log to log.
        let plan = std::ptr::from_ref(self).addr();
        let locations = match &mut scratch.groups {
            Some((of, locations))
                if *of == plan && locations.len() == self.regex.captures_len() =>
            {
                locations
            }
            other => &mut other.insert((plan, self.regex.capture_locations())).1,
        };
        if self.regex.captures_read(locations, line).is_none() {
            return Err(Reason::Malformed);
        }
        let (text, bytes) = (&mut scratch.text, &mut scratch.bytes);
        let groups = self.groups.slots().zip(&self.indexes);
        scratch.slots.extend(groups.map(|((_, wanted), &idx)| {
            let Some((start, end)) = locations.get(idx).filter(|_| wanted) else {
                return Cell::Absent;
            };
            let raw = &line[start..end];
            if self.escapes && memchr::memchr(b'\\', raw.as_bytes()).is_some() {
                let begin = text.len();
                if unescape_log(raw, text, bytes) {
                    return Cell::decoded(text, begin);
                }
            }
            Cell::in_line(line, start, end)
        }));
        Ok(())
    }
}

/// What is wrong with an expression's syntax, and where.
fn syntax(error: &regex_syntax::Error, expression: &str) -> String {
    let (start, message) = match error {
        regex_syntax::Error::Parse(error) => (error.span().start, error.kind().to_string()),
        regex_syntax::Error::Translate(error) => (error.span().start, error.kind().to_string()),
        other => return other.to_string(),
    };
    if expression.contains('\n') {
        format!("line {}, column {}: {message}", start.line, start.column)
    } else {
        format!("column {}: {message}", start.column)
    }
}

/// Why an expression without fault cannot be compiled: it is too large.
fn size(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(limit) => {
            format!("takes more than {limit} bytes when compiled")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::parse::Values;

    /// The values of all named groups, in order.
    fn read(plan: &mut Plan, line: &str) -> Result<Vec<Option<String>>, Reason> {
        let names: Vec<String> = plan.listed().names().map(str::to_owned).collect();
        let slots: Vec<usize> = names.iter().map(|name| plan.ask(name).unwrap()).collect();
        let mut scratch = Scratch::default();
        plan.fill(line, &mut scratch)?;
        let values = Values::new(line, &scratch);
        Ok(slots.into_iter().map(|slot| values.get(slot).map(str::to_owned)).collect())
    }

    fn values(expression: &str, line: &str) -> Result<Vec<String>, Reason> {
        let values = read(&mut Plan::new(expression, false).unwrap(), line)?;
        Ok(values.into_iter().map(Option::unwrap_or_default).collect())
    }

    fn refused(expression: &str) -> String {
        Plan::new(expression, false).unwrap_err()
    }

    #[test]
    fn both_ways_to_name_a_group_and_groups_without_names() {
        let expression = r"(?P<at>\S+) (GET|PUT) (?<path>/\S*)(?: ([0-9]+))? (?<é>.*)";
        assert_eq!(values(expression, "1 GET /x 200 é").unwrap(), ["1", "/x", "é"]);
        let mut plan = Plan::new(expression, false).unwrap();
        assert_eq!(plan.listed().names().collect::<Vec<_>>(), ["at", "path", "é"]);
        assert_eq!((plan.ask("path"), plan.ask("1"), plan.ask("")), (Some(1), None, None));
    }

    #[test]
    fn the_whole_line_must_match() {
        assert_eq!(values("(?<a>[a-z]+)", "abc").unwrap(), ["abc"]);
        for bad in ["1abc", "abc1", "abc ", "", "abc\0"] {
            assert_eq!(values("(?<a>[a-z]+)", bad), Err(Reason::Malformed), "{bad}");
        }
        // A first alternative that fits the beginning only does not hide the one that fits the whole.
        assert_eq!(values("(?<a>a)|(?<b>ab)", "ab").unwrap(), ["", "ab"]);
        assert_eq!(values("^(?<a>a)$", "a").unwrap(), ["a"]);
        assert_eq!(values("(?m)^(?<a>a)$", "a\nb"), Err(Reason::Malformed));
        assert_eq!(values("(?x) (?<a>a) # an a", "a").unwrap(), ["a"]);
    }

    #[test]
    fn what_takes_no_part_is_empty_or_a_dash_is_absent() {
        let expression = "(?<a>x)?(?<b>-?)(?<c>y*)";
        assert_eq!(read(&mut Plan::new(expression, false).unwrap(), "-"), Ok(vec![None; 3]));
        assert_eq!(values(expression, "x-y").unwrap(), ["x", "", "y"]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_column() {
        assert_eq!(refused("(?<at>.*"), "column 1: unclosed group");
        assert!(refused("é[z-a]").starts_with("column 3: "), "{}", refused("é[z-a]"));
        assert!(refused("(?<a>.)(?<a>.)").starts_with("column 11: duplicate capture group name"));
        assert!(refused("(?x)a\n *b\n  (").starts_with("line 3, column 3: unclosed group"));
        assert!(refused(r"(?<a>.)\1").starts_with("column 8: backreferences are not supported"));
        assert!(refused(r"(?=a)").contains("look-around"));
        assert!(refused(r"a\p{Nope}").starts_with("column 2: Unicode property not found"));
        let nested = format!("{}{}", "(".repeat(1000), ")".repeat(1000));
        assert!(refused(&nested).starts_with("column 251: exceed the maximum"));
        assert!(refused(r"\w{1000}{1000}").contains("bytes when compiled"));
    }

    #[test]
    fn scratch_may_come_from_another_expression() {
        let mut plans = ["(?<a>a)(?<b>b)", "(?<c>a.)"].map(|text| Plan::new(text, false).unwrap());
        let mut scratch = Scratch::default();
        for plan in plans.iter_mut() {
            plan.ask("c");
            plan.fill("ab", &mut scratch).unwrap();
        }
        assert_eq!(Values::new("ab", &scratch).get(0), Some("ab"));
    }

    /// `AT METHOD PATH[ STATUS][ "TEXT"]`, by hand.
    fn naive(line: &str) -> Option<Vec<Option<String>>> {
        let (at, rest) = line.split_once(' ')?;
        let (method, rest) = rest.split_once(' ')?;
        let end = rest.find(' ').unwrap_or(rest.len());
        let (path, mut rest) = rest.split_at(end);
        let mut status = None;
        let is_status = |text: &str| text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit());
        if let Some(text) = rest.get(1..4).filter(|text| is_status(text)) {
            status = Some(text);
            rest = &rest[4..];
        }
        let text = match rest {
            "" => None,
            _ => Some(rest.strip_prefix(" \"")?.strip_suffix('"')?).filter(|t| !t.contains('"')),
        };
        let is_word = |text: &str| !text.is_empty() && !text.contains(' ');
        let ok = is_word(at)
            && !method.is_empty()
            && method.bytes().all(|b| b.is_ascii_uppercase())
            && path.starts_with('/')
            && (rest.is_empty() || text.is_some());
        let present = |text: &&str| !matches!(*text, "" | "-");
        let all = [Some(at), Some(method), Some(path), status, text];
        ok.then(|| all.map(|value| value.filter(present).map(str::to_owned)).into())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn equals_a_parser_by_hand_on_mutated_lines(
            frame in prop::sample::select(vec!["1 GET /x 200 \"é\"", "- PUT /", "1 GET /x \"-\"", ""]),
            parts in prop::collection::vec(
                (
                    any::<prop::sample::Index>(),
                    prop::sample::select(vec![" ", "GET", "/", "200", "\"", "-", "é", "1", ""]),
                ),
                0..4,
            )
        ) {
            let mut line: Vec<char> = frame.chars().collect();
            for (place, part) in parts {
                let at = place.index(line.len() + 1);
                line.splice(at..(at + usize::from(part.is_empty())).min(line.len()), part.chars());
            }
            let line: String = line.into_iter().collect();
            let mut plan = Plan::new(
                r#"(?<at>[^ ]+) (?<method>[A-Z]+) (?<path>/[^ ]*)(?: (?<status>[0-9]{3}))?(?: "(?<text>[^"]*)")?"#,
                false,
            )
            .unwrap();
            prop_assert_eq!(read(&mut plan, &line).ok(), naive(&line), "{:?}", line);
        }
    }
}
