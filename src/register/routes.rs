//! Routes: from a request's host, method and target to an api and an operation.
//!
//! Compiled to a trie of segments once; looked up for every call, without allocating as a rule.
//! Knows neither grants nor verdicts.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use hashbrown::HashMap;

use super::ApiId;
use super::target::{self, Span};
use crate::word;

/// The path of a route; the default one is `/`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Template {
    /// Its segments, without the final `*`.
    pub segments: Vec<Segment>,
    /// Whether any rest fits behind them, also none: a final `*`.
    pub rest: bool,
}

/// One segment of a template.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Segment {
    /// This text, byte for byte.
    Literal(String),
    /// `{name}`: any one segment.
    Placeholder(String),
}

impl Template {
    /// Reads a template, normalised as a request target is.
    ///
    /// # Errors
    ///
    /// What was found and what was expected.
    pub fn parse(text: &str) -> Result<Template, String> {
        let mut template = Template { segments: Vec::new(), rest: false };
        let parts = target::normalise(text).segments;
        for (i, part) in parts.iter().enumerate() {
            if part == "*" {
                if i + 1 < parts.len() {
                    return Err(
                        "found \"*\" before the end, expected it as the last segment".into()
                    );
                }
                template.rest = true;
                break;
            }
            let segment = Segment::parse(part)?;
            if matches!(segment, Segment::Placeholder(_)) && template.segments.contains(&segment) {
                return Err(format!(
                    "found the placeholder {part:?} twice, expected distinct names"
                ));
            }
            template.segments.push(segment);
        }
        Ok(template)
    }

    /// The names of its placeholders.
    pub fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Placeholder(name) => Some(name.as_str()),
            Segment::Literal(_) => None,
        })
    }

    /// The template without the names of its placeholders: two of one shape fit the same targets.
    pub(super) fn shape(&self) -> Template {
        let unnamed = |segment: &Segment| match segment {
            Segment::Literal(text) => Segment::Literal(text.clone()),
            Segment::Placeholder(_) => Segment::Placeholder(String::new()),
        };
        Template { segments: self.segments.iter().map(unnamed).collect(), rest: self.rest }
    }
}

impl Segment {
    fn parse(part: &str) -> Result<Segment, String> {
        let inner = part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        match inner {
            Some("") => Err("found \"{}\", expected a placeholder with a name".into()),
            Some(name) if !name.contains(['{', '}', '*']) => {
                Ok(Segment::Placeholder(name.to_owned()))
            }
            None if !part.contains(['{', '}']) => Ok(Segment::Literal(part.to_owned())),
            _ => Err(format!(
                "found the segment {part:?}, expected a placeholder {{name}} to be a whole segment"
            )),
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => write!(f, "/{text}")?,
                Segment::Placeholder(name) => write!(f, "/{{{name}}}")?,
            }
        }
        match (self.rest, self.segments.is_empty()) {
            (true, _) => f.write_str("/*"),
            (false, true) => f.write_str("/"),
            (false, false) => Ok(()),
        }
    }
}

/// One row of the routes table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The host it is for, lower case, without port; `None`: any.
    pub host: Option<String>,
    /// The method it is for, upper case; `None`: any.
    pub method: Option<String>,
    /// The path it is for.
    pub template: Template,
    /// The api as the row names it.
    pub api: String,
    /// That api, if the register knows it.
    pub api_id: Option<ApiId>,
    /// What a call there does; `None`: what its method says, see [`operation_of_method`].
    pub operation: Option<String>,
}

/// What a call of a method does, where neither log nor route says it.
pub fn operation_of_method(method: Option<&str>) -> Cow<'_, str> {
    let Some(method) = method else {
        return Cow::Borrowed("unknown");
    };
    let is_one_of = |names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(method));
    if is_one_of(&["GET", "HEAD", "OPTIONS"]) {
        Cow::Borrowed("read")
    } else if is_one_of(&["POST", "PUT", "PATCH"]) {
        Cow::Borrowed("write")
    } else if is_one_of(&["DELETE"]) {
        Cow::Borrowed("delete")
    } else {
        Cow::Owned(method.to_lowercase())
    }
}

/// The routes, ready to match.
#[derive(Clone, Debug)]
pub struct Routes {
    rows: Vec<Route>,
    nodes: Vec<Node>,
    /// For each row the names of its placeholders.
    names: Vec<Vec<Box<str>>>,
    /// For each row the bytes between its placeholders, if no target that has them could be of another row.
    sure: Vec<Option<Sure>>,
}

/// What of a template is the same in each of its targets: the bytes before, between and behind the placeholders.
///
/// It lies in one place, to be fetched at once. Templates that are too long for it are looked up as all others are.
#[derive(Clone, Copy, Debug)]
struct Sure {
    text: [u8; SURE_BYTES],
    /// Where each part ends in it.
    ends: [u8; SURE_PARTS],
    parts: u8,
}

/// Bytes and parts of the longest: with these it takes a line of a cache.
const SURE_BYTES: usize = 57;
const SURE_PARTS: usize = 6;

const _: () = assert!(size_of::<Sure>() == 64 && SURE_BYTES <= u8::MAX as usize);

impl Sure {
    /// Whether a target, as written, is one of the template's: then what stands for its placeholders is left in `placed`.
    #[inline]
    fn fits(&self, target: &[u8], placed: &mut Vec<Span>) -> bool {
        placed.clear();
        let mut at = 0;
        let mut start = 0;
        for (i, end) in self.ends[..usize::from(self.parts)].iter().enumerate() {
            if i > 0 {
                let end = target::plain_segment_end(target, at);
                // Those that are none, and those that stand for something else.
                if matches!(&target[at..end], b"" | b"." | b"..") {
                    return false;
                }
                placed.push((at, end));
                at = end;
            }
            let end = usize::from(*end);
            if !self.has(start..end, target, at) {
                return false;
            }
            at += end - start;
            start = end;
        }
        matches!(target.get(at), None | Some(b'?' | b'#'))
    }

    /// Whether a part stands in a target from `at` on.
    #[inline]
    fn has(&self, part: Range<usize>, target: &[u8], at: usize) -> bool {
        let length = part.len();
        let end = at + length;
        // Most parts fit two words.
        let words = (word::long_at(&self.text, part.start), word::long_at(target, at));
        match words {
            (Some(ours), Some(theirs)) if length <= word::LONG => {
                end <= target.len() && (ours ^ theirs) & word::FIRST[length] == 0
            }
            (Some(ours), Some(theirs)) if length <= 2 * word::LONG => {
                let last = |text, end: usize| word::long_at(text, end - word::LONG);
                end <= target.len()
                    && ours == theirs
                    && last(&self.text, part.end) == last(target, end)
            }
            _ => target.get(at..).is_some_and(|target| target.starts_with(&self.text[part])),
        }
    }
}

/// A place in the trie: what templates have in common up to some segment.
#[derive(Clone, Debug, Default)]
struct Node {
    /// Where a literal segment leads.
    literals: HashMap<Box<str>, u32>,
    /// Where a placeholder leads.
    placeholder: Option<u32>,
    /// The rows whose template ends here.
    ends: Ends,
    /// The rows whose template goes on with `*` here.
    rests: Ends,
}

/// Rows of one template shape: host, method, index of the row. Sorted, host and method distinct.
type Ends = Vec<(Option<Box<str>>, Option<Box<str>>, u32)>;

/// Buffers of a lookup, kept between lookups so that none allocates.
#[derive(Debug, Default)]
pub struct Scratch {
    text: String,
    host: String,
    method: String,
    segments: Vec<Span>,
    untried: Vec<Untried>,
    likely: Likely,
}

/// The rows of the targets before, by how they began.
#[derive(Debug)]
struct Likely(Box<[[u32; GUESSES]; LIKELY]>);

/// Beginnings told apart, and their length in bytes: mostly the version and the api.
const LIKELY: usize = 1 << LIKELY_BITS;
const LIKELY_BITS: u32 = 10;
const BEGINNING: usize = 16;

/// Rows for each beginning, that of the last target in front.
const GUESSES: usize = 2;

impl Default for Likely {
    fn default() -> Likely {
        Likely(Box::new([[u32::MAX; GUESSES]; LIKELY]))
    }
}

impl Likely {
    /// The rows of the targets before that began like this one; of no row where there was none.
    #[inline]
    fn of(&mut self, target: &str) -> &mut [u32; GUESSES] {
        let beginning = target.as_bytes().first_chunk::<BEGINNING>().copied().unwrap_or_default();
        // A hash by multiplication (D. Knuth, The Art of Computer Programming 3, section 6.4), with an odd constant near
        // the golden ratio; what collides is only slower.
        let word = u128::from_le_bytes(beginning);
        let word = (word as u64) ^ ((word >> 64) as u64).rotate_left(29);
        let hash = word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - LIKELY_BITS);
        &mut self.0[hash as usize]
    }
}

/// A branch of the trie that a lookup passed by for a better one.
#[derive(Clone, Copy, Debug)]
enum Untried {
    /// Go on at this node with this many segments matched.
    Node(u32, usize),
    /// Take one of this node's rests.
    Rests(u32),
}

/// The route that fits a request best.
#[derive(Clone, Copy, Debug)]
pub struct Match<'r, 't> {
    /// The row.
    pub route: &'r Route,
    /// Its index among [`Routes::rows`].
    pub row: usize,
    /// Those of its placeholders.
    names: &'r [Box<str>],
    text: &'t str,
    /// What stands for its placeholders.
    placed: &'t [Span],
}

impl<'t> Match<'_, 't> {
    /// What stands in the request for a placeholder, percent-decoded; as it is, normalised, where
    /// that gives no UTF-8. Never empty. `None` if the template has no such placeholder.
    pub fn value(&self, name: &str) -> Option<Cow<'t, str>> {
        self.escaped(name).map(target::decode)
    }

    /// As [`Match::value`], with its escapes.
    #[inline]
    pub fn escaped(&self, name: &str) -> Option<&'t str> {
        // Names are short: a call to compare memory would cost more than the comparison.
        let i = self.names.iter().position(|known| known.bytes().eq(name.bytes()))?;
        let &(start, end) = self.placed.get(i)?;
        self.text.get(start..end)
    }
}

impl Default for Routes {
    fn default() -> Routes {
        Routes::new(Vec::new())
    }
}

impl Routes {
    /// Compiles rows. Of rows that can't be told apart the first counts; `check` refuses them.
    pub fn new(rows: Vec<Route>) -> Routes {
        let mut nodes = vec![Node::default()];
        for (i, row) in rows.iter().enumerate() {
            let mut at = 0;
            for segment in &row.template.segments {
                at = step(&mut nodes, at, segment);
            }
            let ends = match row.template.rest {
                true => &mut nodes[at].rests,
                false => &mut nodes[at].ends,
            };
            let key = (row.host.as_deref(), row.method.as_deref());
            if let Err(place) =
                ends.binary_search_by(|end| (as_str(&end.0), as_str(&end.1)).cmp(&key))
            {
                let owned = |text: Option<&str>| text.map(Box::from);
                ends.insert(place, (owned(key.0), owned(key.1), index(i)));
            }
        }
        let names =
            rows.iter().map(|row| row.template.placeholders().map(Box::from).collect()).collect();
        let mut routes = Routes { rows, nodes, names, sure: Vec::new() };
        routes.sure = routes.rows.iter().zip(0..).map(|(row, i)| routes.sure(row, i)).collect();
        routes
    }

    fn sure(&self, row: &Route, index: u32) -> Option<Sure> {
        let mut node = self.nodes.first()?;
        let mut parts = vec![Vec::new()];
        for segment in &row.template.segments {
            let text = parts.last_mut()?;
            text.push(b'/');
            let next = match segment {
                // A target with these very bytes may be reduced to others: `/%41` is `/A`.
                Segment::Literal(literal) if literal.contains('%') => return None,
                Segment::Literal(literal) => {
                    text.extend_from_slice(literal.as_bytes());
                    node.literal(literal)?
                }
                // Beside a placeholder nothing else may fit.
                Segment::Placeholder(_) if node.literals.is_empty() => {
                    parts.push(Vec::new());
                    node.placeholder?
                }
                Segment::Placeholder(_) => return None,
            };
            node = &self.nodes[next as usize];
        }
        let is_only = matches!(node.ends.as_slice(), [(None, None, row)] if *row == index);
        // The template of no segment fits the empty target too.
        let is_sure = is_only && !row.template.rest && !row.template.segments.is_empty();
        let mut sure = Sure { text: [0; SURE_BYTES], ends: [0; SURE_PARTS], parts: 0 };
        let mut start = 0;
        for part in parts.into_iter().filter(|_| is_sure) {
            let end = start + part.len();
            sure.text.get_mut(start..end)?.copy_from_slice(&part);
            *sure.ends.get_mut(usize::from(sure.parts))? = end as u8;
            sure.parts += 1;
            start = end;
        }
        is_sure.then_some(sure)
    }

    /// All rows, in the order in which they were given.
    pub fn rows(&self) -> &[Route] {
        &self.rows
    }

    /// The route that fits best. The host of a target that is a full URL beats `host`.
    ///
    /// Of the rows whose host and method fit, compared segment by segment from the left: literal
    /// before `{name}` before `*`, a template that ends before one that goes on with `*`; then one
    /// that names the host, then one that names the method.
    pub fn find<'r, 't>(
        &'r self,
        host: Option<&str>,
        method: Option<&str>,
        target: &'t str,
        scratch: &'t mut Scratch,
    ) -> Option<Match<'r, 't>> {
        let Scratch { text, host: host_buffer, method: method_buffer, segments, untried, likely } =
            scratch;
        let guess = likely.of(target);
        if let Some(row) = self.guess(guess, target, segments) {
            return Some(self.matched(row, target, segments));
        }
        let (url_host, text) = target::reduce(target, text, segments);
        let host = url_host.or_else(|| host.and_then(target::bare_host));
        let host = host.map(|host| {
            in_case(host, host_buffer, u8::is_ascii_uppercase, |text| {
                text.make_ascii_lowercase();
            })
        });
        let method = method.map(|method| {
            in_case(method, method_buffer, u8::is_ascii_lowercase, |text| {
                text.make_ascii_uppercase()
            })
        });
        let row = self.best(host, method, text, segments, untried)?;
        if self.sure[row].is_some() {
            *guess = [index(row), guess[0]];
        }
        let mut of_template = self.rows[row].template.segments.iter();
        segments.retain(|_| matches!(of_template.next(), Some(Segment::Placeholder(_))));
        Some(self.matched(row, text, segments))
    }

    /// The route that fits best whatever the host and the method are, if that was found before for a target that began like
    /// this one. What stands for its placeholders has no escapes.
    #[inline]
    pub fn find_again<'r, 't>(
        &'r self,
        target: &'t str,
        scratch: &'t mut Scratch,
    ) -> Option<Match<'r, 't>> {
        let Scratch { segments, likely, .. } = scratch;
        let row = self.guess(likely.of(target), target, segments)?;
        Some(self.matched(row, target, segments))
    }

    fn matched<'r, 't>(&'r self, row: usize, text: &'t str, placed: &'t [Span]) -> Match<'r, 't> {
        Match { route: &self.rows[row], row, names: &self.names[row], text, placed }
    }

    /// A target is likely to be of one of the rows that those were of that began like it.
    #[inline]
    fn guess(
        &self,
        guess: &mut [u32; GUESSES],
        target: &str,
        segments: &mut Vec<Span>,
    ) -> Option<usize> {
        for i in 0..GUESSES {
            let row = guess[i] as usize;
            if let Some(Some(sure)) = self.sure.get(row)
                && sure.fits(target.as_bytes(), segments)
            {
                guess.swap(0, i);
                return Some(row);
            }
        }
        None
    }

    /// Walks the trie depth first, the better branch first, so that the first row found is the best.
    /// A node is entered at most once: it stands for one way to match the segments before it.
    fn best(
        &self,
        host: Option<&str>,
        method: Option<&str>,
        text: &str,
        segments: &[Span],
        untried: &mut Vec<Untried>,
    ) -> Option<usize> {
        untried.clear();
        untried.push(Untried::Node(0, 0));
        while let Some(branch) = untried.pop() {
            let (mut at, mut depth) = match branch {
                Untried::Node(at, depth) => (at, depth),
                Untried::Rests(at) => match pick(&self.nodes[at as usize].rests, host, method) {
                    Some(row) => return Some(row),
                    None => continue,
                },
            };
            loop {
                let node = &self.nodes[at as usize];
                let Some(&(start, end)) = segments.get(depth) else {
                    let found = pick(&node.ends, host, method);
                    match found.or_else(|| pick(&node.rests, host, method)) {
                        Some(row) => return Some(row),
                        None => break,
                    }
                };
                if !node.rests.is_empty() {
                    untried.push(Untried::Rests(at));
                }
                depth += 1;
                at = match (node.literal(&text[start..end]), node.placeholder) {
                    (Some(literal), Some(placeholder)) => {
                        untried.push(Untried::Node(placeholder, depth));
                        literal
                    }
                    (Some(next), None) | (None, Some(next)) => next,
                    (None, None) => break,
                };
            }
        }
        None
    }
}

impl Node {
    fn literal(&self, segment: &str) -> Option<u32> {
        self.literals.get(segment).copied()
    }
}

/// The node that a segment leads to, made if there is none yet.
fn step(nodes: &mut Vec<Node>, at: usize, segment: &Segment) -> usize {
    let new = index(nodes.len());
    let node = &mut nodes[at];
    let next = match segment {
        Segment::Placeholder(_) => *node.placeholder.get_or_insert(new),
        Segment::Literal(text) => *node.literals.entry(text.as_str().into()).or_insert(new),
    };
    if next == new {
        nodes.push(Node::default());
    }
    next as usize
}

/// The row for this host and method: one that names the host first, then one that names the method.
fn pick(ends: &Ends, host: Option<&str>, method: Option<&str>) -> Option<usize> {
    // Most templates are of one row, and most rows for any host and method.
    match ends.as_slice() {
        [] => return None,
        [(None, None, row)] => return Some(*row as usize),
        _ => {}
    }
    let row = |host: Option<&str>, method: Option<&str>| {
        let key = (host, method);
        let place = ends.binary_search_by(|end| (as_str(&end.0), as_str(&end.1)).cmp(&key)).ok()?;
        Some(ends[place].2 as usize)
    };
    // Without a host or method the narrower keys coincide with the wider ones: looked up twice, found once.
    row(host, method)
        .or_else(|| row(host, None))
        .or_else(|| row(None, method))
        .or_else(|| row(None, None))
}

fn as_str(text: &Option<Box<str>>) -> Option<&str> {
    text.as_deref()
}

/// `text`, changed in `buffer` if a byte of it needs that.
fn in_case<'a>(
    text: &'a str,
    buffer: &'a mut String,
    needs: fn(&u8) -> bool,
    change: fn(&mut String),
) -> &'a str {
    // Without an early exit this is a few vector instructions.
    if !text.as_bytes().iter().fold(false, |any, byte| any | needs(byte)) {
        return text;
    }
    buffer.clear();
    buffer.push_str(text);
    change(buffer);
    buffer
}

fn index(i: usize) -> u32 {
    u32::try_from(i).expect("a register has fewer than 2^32 rows and segments")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A route that names its own row as api: `[HOST] [METHOD] PATH`.
    fn route(host: Option<&str>, method: Option<&str>, path: &str) -> Route {
        Route {
            host: host.map(str::to_owned),
            method: method.map(str::to_owned),
            template: Template::parse(path).unwrap(),
            api: "messages".to_owned(),
            api_id: None,
            operation: None,
        }
    }

    /// The path of the route found among routes for any host and method.
    fn found(paths: &[&str], target: &str) -> Option<String> {
        let routes = Routes::new(paths.iter().map(|path| route(None, None, path)).collect());
        let mut scratch = Scratch::default();
        let found = routes.find(None, Some("GET"), target, &mut scratch);
        found.map(|found| found.route.template.to_string())
    }

    #[test]
    fn literal_before_placeholder_before_rest() {
        let paths = ["/users/{id}", "/users/me", "/users/*", "/*"];
        assert_eq!(found(&paths, "/users/me"), Some("/users/me".into()));
        assert_eq!(found(&paths, "/users/7"), Some("/users/{id}".into()));
        assert_eq!(found(&paths, "/users/7/x"), Some("/users/*".into()));
        assert_eq!(found(&paths, "/users"), Some("/users/*".into()));
        assert_eq!(found(&paths, "/"), Some("/*".into()));
    }

    #[test]
    fn the_leftmost_segment_decides() {
        let paths = ["/{a}/x/y", "/v1/{b}/{c}", "/v1/*"];
        assert_eq!(found(&paths, "/v1/x/y"), Some("/v1/{b}/{c}".into()));
        assert_eq!(found(&paths, "/v1/x"), Some("/v1/*".into()));
        assert_eq!(found(&paths, "/v2/x/y"), Some("/{a}/x/y".into()));
    }

    #[test]
    fn a_literal_that_leads_nowhere_is_left_again() {
        let paths = ["/a/b/c", "/{x}/b/d", "/a/{y}/e"];
        assert_eq!(found(&paths, "/a/b/d"), Some("/{x}/b/d".into()));
        assert_eq!(found(&paths, "/a/b/e"), Some("/a/{y}/e".into()));
        assert_eq!(found(&paths, "/a/b/f"), None);
    }

    #[test]
    fn a_template_that_ends_goes_before_one_with_a_rest() {
        assert_eq!(found(&["/a/*", "/a"], "/a"), Some("/a".into()));
        assert_eq!(found(&["/a/*", "/{x}"], "/a"), Some("/a/*".into()));
    }

    #[test]
    fn templates_are_normalised_like_targets() {
        assert_eq!(
            found(&["//a//%7euser/./x/../{id}/"], "/a/~user/7"),
            Some("/a/~user/{id}".into())
        );
        assert_eq!(found(&["/a%2fb"], "/a%2Fb/"), Some("/a%2Fb".into()));
        assert_eq!(found(&["/a"], "/A"), None);
        assert_eq!(found(&["/"], ""), Some("/".into()));
    }

    /// Escapes are decoded once, so that what one target is reduced to, another is written as.
    #[test]
    fn a_target_written_like_a_template_with_an_escape_is_another() {
        let routes = Routes::new(vec![route(None, None, "/%%34%31"), route(None, None, "/y")]);
        let mut scratch = Scratch::default();
        for (target, row) in [("/%%34%31", Some(0)), ("/%41", None), ("/%%34%31", Some(0))] {
            let found = routes.find(None, None, target, &mut scratch).map(|found| found.row);
            assert_eq!(found, row, "{target}");
        }
    }

    #[test]
    fn a_row_with_the_host_goes_before_one_with_the_method() {
        let routes = Routes::new(vec![
            route(None, Some("GET"), "/a"),
            route(Some("api.example"), None, "/a"),
            route(Some("api.example"), Some("PUT"), "/a"),
            route(Some("other.example"), None, "/a/{x}"),
            route(None, None, "/a/*"),
        ]);
        let mut scratch = Scratch::default();
        let mut row = |host, method, target| {
            routes.find(host, method, target, &mut scratch).map(|found| found.row)
        };
        assert_eq!(row(Some("API.example:443"), Some("get"), "/a"), Some(1));
        assert_eq!(row(Some("api.example"), Some("put"), "/a"), Some(2));
        assert_eq!(row(Some("x.example"), Some("get"), "/a"), Some(0));
        assert_eq!(row(None, None, "/a"), Some(4));
        assert_eq!(row(Some("x.example"), None, "https://other.example/a/b"), Some(3));
        assert_eq!(row(Some("other.example"), None, "https://x.example/a/b"), Some(4));
    }

    #[test]
    fn placeholders_give_decoded_values() {
        let routes = Routes::new(vec![route(None, None, "/users/{user}/mail/{id}")]);
        let mut scratch = Scratch::default();
        let target = "/x/../users/%41nn%40x.org/mail/%C3?q";
        let found = routes.find(None, None, target, &mut scratch).unwrap();
        assert_eq!(found.value("user").as_deref(), Some("Ann@x.org"));
        assert_eq!(found.value("id").as_deref(), Some("%C3"));
        assert_eq!(found.value("mail"), None);
    }

    #[test]
    fn unreadable_templates() {
        let error = |path| Template::parse(path).unwrap_err();
        assert!(error("/a/*/b").contains("before the end"));
        assert!(error("/{}/b").contains("with a name"));
        assert!(error("/{a}/b/{a}").contains("twice"));
        for path in ["/{a}.json", "/a{b", "/a}", "/{*rest}", "/{a/b}"] {
            assert!(error(path).contains("whole segment"), "{path}");
        }
        for path in ["/", "*", "/a*b", "/{a}/{b}", "/%7Bx%7D", "/*/../a"] {
            assert!(Template::parse(path).is_ok(), "{path}");
        }
    }

    #[test]
    fn operations_of_methods() {
        for (method, operation) in [
            ("GET", "read"),
            ("head", "read"),
            ("Options", "read"),
            ("POST", "write"),
            ("put", "write"),
            ("PATCH", "write"),
            ("delete", "delete"),
            ("PROPFIND", "propfind"),
        ] {
            assert_eq!(operation_of_method(Some(method)), operation);
        }
        assert_eq!(operation_of_method(None), "unknown");
    }

    #[test]
    fn deep_templates_and_targets_do_not_exhaust_the_stack() {
        let deep = "/x".repeat(300_000);
        assert!(found(&[&deep, "/*"], &deep).is_some());
        assert_eq!(found(&["/x/{a}"], &deep), None);
    }

    /// Fits each row by itself and takes the least by the order of the contract: the judge of the trie.
    fn naive(
        rows: &[Route],
        host: Option<&str>,
        method: Option<&str>,
        target: &str,
    ) -> Option<usize> {
        let segments = target::normalise(target).segments;
        let rank = |row: &Route| {
            let mut ranks: Vec<u8> = Vec::new();
            for (i, segment) in row.template.segments.iter().enumerate() {
                match segment {
                    Segment::Literal(text) if segments.get(i) == Some(text) => ranks.push(0),
                    Segment::Placeholder(_) if i < segments.len() => ranks.push(1),
                    _ => return None,
                }
            }
            if !row.template.rest && segments.len() > row.template.segments.len() {
                return None;
            }
            ranks.push(if row.template.rest { 3 } else { 2 });
            let fits = |named: &Option<String>, of_call: Option<&str>| {
                named.is_none() || named.as_deref() == of_call
            };
            let both = fits(&row.host, host) && fits(&row.method, method);
            both.then(|| (ranks, row.host.is_none(), row.method.is_none()))
        };
        let ranked = rows.iter().enumerate().filter_map(|(i, row)| Some((rank(row)?, i)));
        ranked.min().map(|(_, i)| i)
    }

    fn path() -> impl Strategy<Value = String> {
        // `%%36%31` is reduced to `%61`, once.
        let segment = prop_oneof![
            3 => Just("a"), 3 => Just("b"), 3 => Just("{}"), 1 => Just(".."), 1 => Just("%61"), 1 => Just("%%36%31")
        ];
        (prop::collection::vec(segment, 0..5), any::<bool>()).prop_map(|(segments, rest)| {
            let mut path = String::new();
            for (i, segment) in segments.into_iter().enumerate() {
                path += &format!("/{}", segment.replace("{}", &format!("{{p{i}}}")));
            }
            path + if rest { "/*" } else { "" }
        })
    }

    fn maybe(words: [&'static str; 2]) -> impl Strategy<Value = Option<&'static str>> {
        prop_oneof![2 => Just(None), 1 => Just(Some(words[0])), 1 => Just(Some(words[1]))]
    }

    proptest! {
        #[test]
        fn the_trie_finds_what_the_naive_matcher_finds(
            rows in prop::collection::vec((maybe(["h", "g"]), maybe(["GET", "PUT"]), path()), 0..24),
            host in maybe(["h", "g"]),
            method in maybe(["GET", "PUT"]),
            targets in prop::collection::vec(
                prop::collection::vec("a|b|c|\\.\\.|%62|%61|%%36%31|", 0..6), 1..6,
            ),
        ) {
            let rows: Vec<Route> = rows.iter().map(|(h, m, path)| route(*h, *m, path)).collect();
            let routes = Routes::new(rows.clone());
            // Whatever was looked up before.
            let mut scratch = Scratch::default();
            for segments in targets {
                let target = segments.iter().map(|segment| format!("/{segment}")).collect::<String>();
                let again = routes.find_again(&target, &mut scratch).map(|found| found.row);
                let expected = naive(&rows, host, method, &target);
                prop_assert!(again.is_none_or(|again| expected == Some(again)), "{}", target);
                let found = routes.find(host, method, &target, &mut scratch).map(|found| found.row);
                prop_assert_eq!(found, expected, "{}", target);
            }
        }

        #[test]
        fn any_target_can_be_looked_up(target in "[a-z%/?#.{}*:@\\[\\]é0-9]{0,40}", host in ".{0,9}") {
            let routes = Routes::new(vec![route(None, None, "/{a}/{b}/*"), route(None, None, "/")]);
            let mut scratch = Scratch::default();
            if let Some(found) = routes.find(Some(&host), None, &target, &mut scratch) {
                let _ = (found.value("a"), found.value("b"));
            }
        }
    }
}
