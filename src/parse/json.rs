//! Format kind `json`: one JSON object a line.
//!
//! The names a format asks for are laid out as a tree once; a line is then walked along it, and what
//! the tree does not name is only checked to be JSON, never built. What a value means is not known here.

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::call::Reason;
use crate::limits::{LAYOUT_VALUES_MAX, NAME_SEGMENTS_MAX, WRAPPINGS_MAX};
use crate::parse::escape::unescape_json;
use crate::parse::layout::{self, Kind, Layout, Literal};
use crate::parse::{Cell, Name, Scratch};

/// Where in an object the slots' values are.
#[derive(Debug)]
pub(crate) struct Plan {
    root: Node,
    /// The name of the object that holds headers.
    headers: Option<String>,
    /// Where the record may be in logs that wrap it, the place that counts first in front.
    embedded: Vec<Wrapping>,
    /// Whether there may be text before the record in the line.
    prefixed: bool,
    /// For each slot its candidates; the first present one counts.
    slots: Vec<Vec<usize>>,
    candidates: usize,
}

/// A name under which a line may hold the record, as a string or an object.
#[derive(Debug)]
struct Wrapping {
    name: String,
    /// The first of its keys in quotes, which most lines do not have.
    quoted: String,
}

/// A place in an object that a name leads to or through.
#[derive(Debug, Default)]
struct Node {
    /// Sorted by key, then dotted before pointer.
    children: Vec<Child>,
    /// The candidate that is filled from a scalar here.
    candidate: Option<usize>,
    /// Candidates filled from an object of headers here: lower-case name and candidate.
    headers: Vec<(String, usize)>,
}

#[derive(Debug)]
struct Child {
    key: String,
    /// Of a pointer's `{name=value}`: the element that has this member with this value.
    element: Option<(String, String)>,
    /// Whether it was named by a pointer, which may lead into arrays.
    pointer: bool,
    node: Node,
}

impl Plan {
    /// A plan without names yet; `headers` names the object that holds headers, `embedded` where there may be a string or
    /// an object that holds the record. If `prefixed`, what stands before the first `{` of a line is left aside.
    pub(crate) fn new(headers: Option<&str>, embedded: &[&str], prefixed: bool) -> Plan {
        let headers = headers.map(str::to_owned);
        let wrapping = |name: &&str| {
            let first = name.split('.').next().unwrap_or_default();
            Wrapping { name: (*name).to_owned(), quoted: format!("\"{first}") }
        };
        let embedded = embedded.iter().map(wrapping).collect();
        let root = Node::default();
        Plan { root, headers, embedded, prefixed, slots: Vec::new(), candidates: 0 }
    }

    /// The slot of a dotted name, a JSON pointer or a header, and asks for it.
    ///
    /// # Errors
    ///
    /// What is wrong with the name, as a sentence.
    pub(crate) fn ask(&mut self, name: Name<'_>) -> Result<usize, String> {
        let (path, header) = match name {
            Name::Field(field) => (field, None),
            Name::Header(header) => {
                let Some(object) = &self.headers else {
                    return Err(format!(
                        "header `{header}` is asked for, but `headers` does not say where headers are"
                    ));
                };
                (object.as_str(), Some(header.to_ascii_lowercase()))
            }
        };
        let mut candidates = Vec::new();
        for (keys, pointer) in readings(path)? {
            let node = self.root.reach(&keys, pointer);
            let new = self.candidates;
            let candidate = match &header {
                None => *node.candidate.get_or_insert(new),
                Some(header) => match node.headers.iter().find(|(name, _)| name == header) {
                    Some((_, candidate)) => *candidate,
                    None => {
                        node.headers.push((header.clone(), new));
                        new
                    }
                },
            };
            self.candidates += usize::from(candidate == new);
            candidates.push(candidate);
        }
        // A name that was asked for before leads to the same candidates.
        let slot = self.slots.iter().position(|known| *known == candidates);
        Ok(slot.unwrap_or_else(|| {
            self.slots.push(candidates);
            self.slots.len() - 1
        }))
    }

    /// Fills the scratch's slots from a line.
    ///
    /// # Errors
    ///
    /// [`Reason::Malformed`] unless the line is one JSON object.
    pub(crate) fn fill(&self, line: &str, scratch: &mut Scratch) -> Result<(), Reason> {
        scratch.text.clear();
        scratch.candidates.clear();
        scratch.candidates.resize(self.candidates, Cell::Absent);
        scratch.record.clear();
        let object = &line[self.record_start(line).ok_or(Reason::Malformed)?..];
        let object = self.unwrapped(object, &mut scratch.record)?;
        let is_embedded = !scratch.record.is_empty();
        let record = if is_embedded { scratch.record.as_str() } else { object };
        let mut walk = Walk {
            line: (!is_embedded).then_some(line),
            candidates: &mut scratch.candidates,
            text: &mut scratch.text,
        };
        let mut parser = serde_json::Deserializer::from_str(record);
        Object { node: &self.root, walk: &mut walk }
            .deserialize(&mut parser)
            .and_then(|()| parser.end())
            .map_err(|_| Reason::Malformed)?;
        scratch.slots.clear();
        let candidates = &scratch.candidates;
        scratch.slots.extend(self.slots.iter().map(|of_slot| {
            of_slot
                .iter()
                .map(|&candidate| candidates[candidate])
                .find(|cell| *cell != Cell::Absent)
                .unwrap_or_default()
        }));
        Ok(())
    }
}

impl Plan {
    /// The layout of a line that [`Plan::fill`] can read. None if no other line could be told to be like it: where records
    /// are wrapped, or there are lists, which are of any length.
    pub(crate) fn layout(&self, line: &str) -> Option<Layout> {
        let start = self.record_start(line)?;
        let (elements, tail) = elements(line.as_bytes().get(start..)?)?;
        // A line of this layout with a value of its own in each place says where each goes.
        let mut marked = String::new();
        let mut values = Vec::new();
        for (index, (literal, kind)) in elements.iter().enumerate() {
            let value = match kind {
                Kind::JsonString => format!("v{index}"),
                _ => (VALUES_FROM + index).to_string(),
            };
            marked.push_str(std::str::from_utf8(literal).ok()?);
            marked.push_str(&value);
            values.push(value);
        }
        marked.push_str(std::str::from_utf8(tail).ok()?);
        // Where no name begins as that of a wrapping does, no line wraps its record, whatever its values. An escaped name may
        // be any.
        let may_wrap = |wrapping: &Wrapping| marked.contains(&wrapping.quoted);
        if self.embedded.iter().any(|wrapping| may_wrap(wrapping) || marked.contains('\\')) {
            return None;
        }
        let mut scratch = Scratch::default();
        self.fill(&marked, &mut scratch).ok()?;
        let element = |candidate: &usize| {
            let value = scratch.value(&marked, scratch.candidates[*candidate])?;
            values.iter().position(|marker| marker == value)
        };
        let slots = self.slots.iter().map(|of_slot| of_slot.iter().filter_map(element).collect());
        let elements = elements.iter().map(|(literal, kind)| (Literal::new(literal), *kind));
        Some(Layout::new(elements, Literal::new(tail), slots.collect()))
    }

    /// Where a line's object begins.
    pub(crate) fn record_start(&self, line: &str) -> Option<usize> {
        if self.prefixed { memchr::memchr(b'{', line.as_bytes()) } else { Some(0) }
    }

    /// The record within a line's object: a part of the line, or, where it stands in a string, what `decoded` then holds.
    fn unwrapped<'l>(&self, line: &'l str, decoded: &mut String) -> Result<&'l str, Reason> {
        let mut object = line;
        if self.embedded.is_empty() {
            return Ok(object);
        }
        for _ in 0..WRAPPINGS_MAX {
            if decoded.is_empty() {
                match self.embedded_in(object)? {
                    None => break,
                    Some(Embedded::Object(inner)) => object = inner,
                    Some(Embedded::Text(inner)) => unescape_json(inner, decoded),
                }
            } else {
                let mut inner = String::new();
                match self.embedded_in(decoded)? {
                    None => break,
                    Some(Embedded::Object(object)) => inner.push_str(object),
                    Some(Embedded::Text(text)) => unescape_json(text, &mut inner),
                }
                *decoded = inner;
            }
        }
        Ok(object)
    }

    /// The record that an object holds, if it does.
    fn embedded_in<'l>(&self, object: &'l str) -> Result<Option<Embedded<'l>>, Reason> {
        // Most lines have none of the keys, and need no second look.
        let may_hold =
            |key: &str| memchr::memmem::find(object.as_bytes(), key.as_bytes()).is_some();
        let mut wrappings =
            self.embedded.iter().filter(|wrapping| may_hold(&wrapping.quoted)).peekable();
        if wrappings.peek().is_none() {
            return Ok(None);
        }
        let members: Members<'l> = serde_json::from_str(object).map_err(|_| Reason::Malformed)?;
        for wrapping in wrappings {
            let Some(raw) = member(&members, &wrapping.name) else { continue };
            if raw.starts_with('{') {
                return Ok(Some(Embedded::Object(raw)));
            }
            // A text there that is no object is a field like any other.
            let text = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            if let Some(text) = text.filter(|text| holds_object(text)) {
                return Ok(Some(Embedded::Text(text)));
            }
        }
        Ok(None)
    }
}

/// A record within an object: itself, or the string that holds it, as written.
enum Embedded<'l> {
    Object(&'l str),
    Text(&'l str),
}

type Members<'l> = std::collections::BTreeMap<std::borrow::Cow<'l, str>, &'l RawValue>;

/// The value under a dotted name; a key that itself contains the dots goes first.
fn member<'l>(members: &Members<'l>, name: &str) -> Option<&'l str> {
    if let Some(raw) = members.get(name) {
        return Some(raw.get());
    }
    let (key, rest) = name.split_once('.')?;
    member(&serde_json::from_str(members.get(key)?.get()).ok()?, rest)
}

/// Numbers from here on stand for values where a layout is learned.
const VALUES_FROM: usize = 10_000;

/// The values of a valid object that are no objects, each with the bytes before it, and the bytes behind the last.
#[expect(clippy::type_complexity, reason = "two parts that belong together for a moment only")]
fn elements(object: &[u8]) -> Option<(Vec<(&[u8], Kind)>, &[u8])> {
    let mut elements = Vec::new();
    let (mut from, mut at) = (0, 0);
    let mut is_value = false;
    while let Some(byte) = object.get(at) {
        let (begin, end, kind) = match byte {
            b'"' => (at + 1, layout::json_string_end(object, at + 1)?, Kind::JsonString),
            b'{' | b',' | b'}' | b':' | b' ' | b'\t' => {
                is_value = (is_value && !matches!(byte, b'{' | b',')) || *byte == b':';
                at += 1;
                continue;
            }
            // A list, or a value.
            _ => (at, layout::json_scalar_end(object, at)?, Kind::JsonScalar),
        };
        at = end + usize::from(kind == Kind::JsonString);
        if is_value {
            elements.push((&object[from..begin], kind));
            from = end;
        }
    }
    (elements.len() <= LAYOUT_VALUES_MAX).then(|| (elements, &object[from..]))
}

/// Whether a string, as written, is the text of an object, blanks around it aside.
fn holds_object(text: &str) -> bool {
    let mut rest = text;
    loop {
        let blank = ["\\n", "\\r", "\\t", " "].into_iter().find(|blank| rest.starts_with(blank));
        match blank {
            Some(blank) => rest = &rest[blank.len()..],
            None => return rest.starts_with('{') || rest.starts_with("\\u007b"),
        }
    }
}

/// The ways to read a name as a path of keys, the one that counts first in front; and whether it is a pointer.
fn readings(name: &str) -> Result<Vec<(Vec<String>, bool)>, String> {
    if let Some(pointer) = name.strip_prefix('/') {
        // RFC 6901: `~1` is a slash, `~0` a tilde, in this order.
        let keys = pointer.split('/').map(|key| key.replace("~1", "/").replace("~0", "~"));
        return Ok(vec![(keys.collect(), true)]);
    }
    if name.is_empty() {
        return Err("a field name is empty".to_owned());
    }
    let segments: Vec<&str> = name.split('.').collect();
    if segments.len() > NAME_SEGMENTS_MAX {
        return Err(format!(
            "field name `{name}` has {} segments, at most {NAME_SEGMENTS_MAX} are read",
            segments.len()
        ));
    }
    let mut all = Vec::new();
    split(&segments, &mut Vec::new(), &mut all);
    Ok(all)
}

/// All splits of dotted segments into keys, those with the longer first key in front.
fn split(segments: &[&str], keys: &mut Vec<String>, all: &mut Vec<(Vec<String>, bool)>) {
    if segments.is_empty() {
        all.push((keys.clone(), false));
        return;
    }
    for count in (1..=segments.len()).rev() {
        keys.push(segments[..count].join("."));
        split(&segments[count..], keys, all);
        keys.pop();
    }
}

impl Node {
    /// The node at the end of a path, made if need be.
    fn reach(&mut self, keys: &[String], pointer: bool) -> &mut Node {
        let Some((key, rest)) = keys.split_first() else { return self };
        let wanted = (key.as_str(), pointer);
        let found = self
            .children
            .binary_search_by(|child| (child.key.as_str(), child.pointer).cmp(&wanted));
        let idx = found.unwrap_or_else(|idx| {
            let element =
                key.strip_prefix('{').and_then(|key| key.strip_suffix('}')?.split_once('='));
            let element = element.filter(|_| pointer).map(|(k, v)| (k.to_owned(), v.to_owned()));
            let child = Child { key: key.clone(), element, pointer, node: Node::default() };
            self.children.insert(idx, child);
            idx
        });
        self.children[idx].node.reach(rest, pointer)
    }

    /// The children of that key: one, or two if both a dotted name and a pointer lead there.
    fn children_of(&self, key: &str) -> impl Iterator<Item = &Child> {
        let start = self.children.partition_point(|child| child.key.as_str() < key);
        self.children[start..].iter().take_while(move |child| child.key == key)
    }

    /// Forgets what was found here and below: of a repeated key the last counts, whole.
    fn clear(&self, candidates: &mut [Cell]) {
        for candidate in self.candidate.iter().chain(self.headers.iter().map(|(_, c)| c)) {
            candidates[*candidate] = Cell::Absent;
        }
        for child in &self.children {
            child.node.clear(candidates);
        }
    }
}

/// Whether a value is an object that has a member of that name with that text.
fn has(raw: &RawValue, name: &str, text: &str) -> bool {
    let Ok(members) = serde_json::from_str::<Members<'_>>(raw.get()) else { return false };
    let Some(member) = members.get(name).map(|raw| raw.get()) else { return false };
    let inner = member.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(member);
    if !inner.contains('\\') {
        return inner == text;
    }
    let mut decoded = String::new();
    unescape_json(inner, &mut decoded);
    decoded == text
}

/// The record being walked and what was found in it so far.
struct Walk<'w, 'de> {
    /// The line, where the record is the line.
    line: Option<&'de str>,
    candidates: &'w mut [Cell],
    text: &'w mut String,
}

impl<'de> Walk<'_, 'de> {
    /// Takes what the tree wants of one value.
    fn value(&mut self, node: &Node, raw: &'de RawValue) -> Result<(), serde_json::Error> {
        node.clear(self.candidates);
        match raw.get().as_bytes().first() {
            Some(b'{') if !node.children.is_empty() || !node.headers.is_empty() => {
                let mut parser = serde_json::Deserializer::from_str(raw.get());
                Object { node, walk: self }.deserialize(&mut parser)
            }
            Some(b'[') if node.children.iter().any(|child| child.pointer) => {
                let mut parser = serde_json::Deserializer::from_str(raw.get());
                Array { node, walk: self }.deserialize(&mut parser)
            }
            _ => {
                if let Some(candidate) = node.candidate {
                    self.candidates[candidate] = self.scalar(raw);
                }
                Ok(())
            }
        }
    }

    /// The cell of a string, number or boolean; anything else is absent.
    fn scalar(&mut self, raw: &'de RawValue) -> Cell {
        let raw = raw.get();
        let inner = match raw.as_bytes() {
            [b'"', .., b'"'] => &raw[1..raw.len() - 1],
            [b'{' | b'[' | b'n', ..] => return Cell::Absent,
            _ => raw,
        };
        if memchr::memchr(b'\\', inner.as_bytes()).is_some() {
            let start = self.text.len();
            unescape_json(inner, self.text);
            return Cell::decoded(self.text, start);
        }
        let Some(line) = self.line else {
            let start = self.text.len();
            self.text.push_str(inner);
            return Cell::decoded(self.text, start);
        };
        // A raw value borrows from the line, so the distance of their addresses is its offset.
        let start = inner.as_ptr().addr() - line.as_ptr().addr();
        Cell::in_line(line, start, start + inner.len())
    }

    /// The cell of a header's value, which may be a list of which the first present counts.
    fn header(&mut self, raw: &'de RawValue) -> Result<Cell, serde_json::Error> {
        if !raw.get().starts_with('[') {
            return Ok(self.scalar(raw));
        }
        let elements: Vec<&RawValue> = serde_json::from_str(raw.get())?;
        let cells = elements.into_iter().map(|element| self.scalar(element));
        Ok(cells.into_iter().find(|cell| *cell != Cell::Absent).unwrap_or_default())
    }
}

/// An object to be walked along a node.
struct Object<'o, 'w, 'de> {
    node: &'o Node,
    walk: &'o mut Walk<'w, 'de>,
}

impl<'de> DeserializeSeed<'de> for Object<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        use serde::de::Error;
        // Keys are taken raw too: a lone surrogate in one is no reason to lose the line.
        while let Some(key) = map.next_key::<&RawValue>()? {
            let raw: &RawValue = map.next_value()?;
            let mut decoded = String::new();
            let raw_key = key.get();
            let inner = &raw_key[1..raw_key.len() - 1];
            let key = if inner.contains('\\') {
                unescape_json(inner, &mut decoded);
                decoded.as_str()
            } else {
                inner
            };
            for child in self.node.children_of(key) {
                self.walk.value(&child.node, raw).map_err(A::Error::custom)?;
            }
            for (name, candidate) in &self.node.headers {
                if name.eq_ignore_ascii_case(key) {
                    self.walk.candidates[*candidate] =
                        self.walk.header(raw).map_err(A::Error::custom)?;
                }
            }
        }
        Ok(())
    }
}

/// An array to be walked along a node that pointers lead through.
struct Array<'o, 'w, 'de> {
    node: &'o Node,
    walk: &'o mut Walk<'w, 'de>,
}

impl<'de> DeserializeSeed<'de> for Array<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Array<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        use serde::de::Error;
        let mut idx = 0usize;
        while let Some(raw) = seq.next_element::<&RawValue>()? {
            let key = idx.to_string();
            for child in self.node.children_of(&key).filter(|child| child.pointer) {
                self.walk.value(&child.node, raw).map_err(A::Error::custom)?;
            }
            // Of several elements the last counts, as of a repeated key.
            let named =
                |child: &&Child| child.element.as_ref().is_some_and(|(k, v)| has(raw, k, v));
            for child in self.node.children.iter().filter(named) {
                self.walk.value(&child.node, raw).map_err(A::Error::custom)?;
            }
            idx += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value that one name finds in a line; the error if the line is malformed.
    fn find(line: &str, name: &str) -> Result<Option<String>, Reason> {
        slot(line, Name::Field(name))
    }

    fn slot(line: &str, name: Name<'_>) -> Result<Option<String>, Reason> {
        let mut plan = Plan::new(Some("request.headers"), &[], false);
        assert_eq!((plan.ask(name), plan.ask(name)), (Ok(0), Ok(0)));
        let mut scratch = Scratch::default();
        plan.fill(line, &mut scratch)?;
        Ok(crate::parse::Values::new(line, &scratch).get(0).map(str::to_owned))
    }

    fn some(text: &str) -> Result<Option<String>, Reason> {
        Ok(Some(text.to_owned()))
    }

    #[test]
    fn text_is_taken_from_strings_numbers_and_booleans_only() {
        assert_eq!(find(r#"{"a":"x"}"#, "a"), some("x"));
        assert_eq!(find(r#"{"a":1.50}"#, "a"), some("1.50"));
        assert_eq!(find(r#"{"a": true }"#, "a"), some("true"));
        assert_eq!(find(r#"{"a":"\u0041\"\ud83d"}"#, "a"), some("A\"\u{fffd}"));
        for absent in [
            r#"{}"#,
            r#"{"a":null}"#,
            r#"{"a":""}"#,
            r#"{"a":"-"}"#,
            r#"{"a":["x"]}"#,
            r#"{"a":{"b":1}}"#,
            r#"{"a":"\u002d"}"#,
        ] {
            assert_eq!(find(absent, "a"), Ok(None), "{absent}");
        }
    }

    #[test]
    fn anything_but_one_valid_object_is_malformed() {
        for bad in [
            "",
            "[]",
            "1",
            "\"x\"",
            "{",
            r#"{"a":1"#,
            r#"{"a":1}{}"#,
            r#"{"a":1} x"#,
            r#"{"a":01}"#,
            r#"{"a":1,}"#,
            r#"{a:1}"#,
            r#"{"z":[1,}"#,
            r#"{"z":nul}"#,
            "{\"z\":\"a\tb\"}",
            "{\"z\tz\":1}",
            r#"{"z":"\x"}"#,
            r#"{"z":"\u12"}"#,
            r#"{1:2}"#,
            r#"{"a":1]"#,
        ] {
            assert_eq!(find(bad, "a"), Err(Reason::Malformed), "{bad}");
        }
        assert_eq!(find(" {\"a\" : 1 } \t", "a"), some("1"));
        let deep = format!(r#"{{"z":{}{},"a":1}}"#, "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(find(&deep, "a"), some("1"));
    }

    #[test]
    fn of_a_repeated_key_the_last_counts() {
        assert_eq!(find(r#"{"a":1,"a":2}"#, "a"), some("2"));
        assert_eq!(find(r#"{"a":1,"a":null}"#, "a"), Ok(None));
        assert_eq!(find(r#"{"a":{"b":1},"a":{"c":2}}"#, "a.b"), Ok(None));
        assert_eq!(find(r#"{"a":{"b":1},"a":3}"#, "a.b"), Ok(None));
        assert_eq!(find(r#"{"a":1,"\u0061":2}"#, "a"), some("2"));
    }

    #[test]
    fn a_key_with_the_dots_goes_before_nesting() {
        let line = r#"{"a":{"b":{"c":1},"b.c":2},"a.b":{"c":3},"a.b.c":4}"#;
        assert_eq!(find(line, "a.b.c"), some("4"));
        assert_eq!(find(&line.replace("\"a.b.c\":4", "\"a.b.c\":null"), "a.b.c"), some("3"));
        assert_eq!(find(r#"{"a":{"b":{"c":1},"b.c":2}}"#, "a.b.c"), some("2"));
        assert_eq!(find(r#"{"a":{"b":{"c":1}}}"#, "a.b.c"), some("1"));
        assert_eq!(find(r#"{"a.b":1,"a":{"b":2}}"#, "a.b"), some("1"));
    }

    #[test]
    fn pointers_lead_into_objects_and_arrays() {
        assert_eq!(find(r#"{"a":{"b":"x"}}"#, "/a/b"), some("x"));
        assert_eq!(find(r#"{"a":[1,{"b":"x"}]}"#, "/a/1/b"), some("x"));
        assert_eq!(find(r#"{"a/b":{"c~d":"x"}}"#, "/a~1b/c~0d"), some("x"));
        assert_eq!(find(r#"{"~1":"x"}"#, "/~01"), some("x"));
        assert_eq!(find(r#"{"a.b":"x"}"#, "/a.b"), some("x"));
        assert_eq!(find(r#"{"a":{"b":"x"}}"#, "/a.b"), Ok(None));
        assert_eq!(find(r#"{"a":["x"]}"#, "/a/00"), Ok(None));
        assert_eq!(find(r#"{"a":["x"]}"#, "a.0"), Ok(None));
    }

    #[test]
    fn pointers_lead_to_the_element_of_a_name() {
        let name = "/p/{name=id}/value";
        let line = r#"{"p":[{"name":"no","value":"x"},7,{"value":"k","name":"id"}]}"#;
        assert_eq!(find(line, name), some("k"));
        assert_eq!(find(r#"{"p":[{"name":"\u0069d","value":"k"}]}"#, name), some("k"));
        assert_eq!(
            find(r#"{"p":[{"name":"id","value":1},{"name":"id","value":2}]}"#, name),
            some("2")
        );
        assert_eq!(find(r#"{"p":[{"n":5,"v":"k"}]}"#, "/p/{n=5}/v"), some("k"));
        assert_eq!(find(r#"{"p":[{"name":"id"}]}"#, name), Ok(None));
        assert_eq!(find(r#"{"p":[{"name":"other","value":"k"}]}"#, name), Ok(None));
        assert_eq!(find(r#"{"p":{"{name=id}":{"value":"k"}}}"#, name), some("k"));
    }

    #[test]
    fn headers_are_found_in_any_case_and_may_be_lists() {
        let header = |line| slot(line, Name::Header("X-Api-Key"));
        assert_eq!(header(r#"{"request":{"headers":{"x-api-key":"k"}}}"#), some("k"));
        assert_eq!(header(r#"{"request.headers":{"X-API-KEY":["","k","l"]}}"#), some("k"));
        assert_eq!(header(r#"{"request":{"headers":{"x-api-key":[]}}}"#), Ok(None));
        assert_eq!(header(r#"{"request":{"headers":"x-api-key"}}"#), Ok(None));
        assert_eq!(
            header(r#"{"request":{"headers":{"x-api-key":"a","X-Api-Key":"b"}}}"#),
            some("b")
        );
    }

    #[test]
    fn names_that_cannot_be_read_are_refused() {
        let refused = |name: &str| Plan::new(None, &[], false).ask(Name::Field(name)).is_err();
        assert!(refused(""));
        assert!(refused("a.b.c.d.e.f.g.h.i"));
        assert!(Plan::new(None, &[], false).ask(Name::Header("x")).is_err());
    }
}
