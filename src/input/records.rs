//! Documents that hold records, as lines: each record becomes a line, without a byte being moved.
//!
//! A document is an array of records, an object that holds such an array under one of a few names, or a record itself;
//! a log may hold several. What is between records becomes NULs and a newline, newlines within a record become spaces, so
//! that offsets and lengths of lines are those of the records in the log, and all that reads lines reads records.
//!
//! Knows of JSON only where values begin and end. Whether a record is JSON its format will tell.

use super::buffer::Buffer;

/// What a raw newline within a string becomes: as little allowed in JSON as the newline.
const CONTROL_IN_STRING: u8 = 1;

/// Rewrites a log as its bytes come.
#[derive(Debug)]
pub(super) struct Records {
    /// Names of the arrays that hold records.
    names: Vec<String>,
    /// How long an object may be before it is a record for sure: what is longer is no call, whatever it holds.
    record_bytes_max: usize,
    state: State,
    /// Whether a record has ended and its newline is still to come.
    owes_newline: bool,
    /// An object of which it is not yet known whether it is a record.
    held: Vec<u8>,
    /// Of the key being read in an object: its bytes between the quotes.
    key: Vec<u8>,
    /// Bytes taken.
    taken: u64,
    /// How many of them were taken when the last document had ended.
    whole: u64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Between documents.
    Between,
    /// Between the records of an array, which stands in an object or alone.
    InArray { wrapped: bool },
    /// In a record.
    InRecord { within: Within, value: Value },
    /// In an object whose names are looked at. It may be a record until an array of records was found in it.
    InObject { may_be_record: bool, part: Part, value: Value },
}

/// What a record stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    Nothing,
    Array { wrapped: bool },
}

/// Where in an object: its values are skipped, unless their key is one of the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Before a key, or after a value.
    BeforeKey,
    InKey,
    /// After a key, before its value.
    BeforeValue,
    InValue,
}

/// How far a value has been read.
#[derive(Clone, Copy, Debug, Default)]
struct Value {
    depth: u64,
    in_string: bool,
    escaped: bool,
}

/// What a byte means to the value it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It belongs to the value.
    Inside,
    /// It is the value's last.
    Last,
    /// The value ended before it.
    Past,
}

impl Value {
    fn step(&mut self, byte: u8) -> Step {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => {
                    self.in_string = false;
                    return if self.depth == 0 { Step::Last } else { Step::Inside };
                }
                _ => {}
            }
            return Step::Inside;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' if self.depth > 0 => {
                self.depth -= 1;
                if self.depth == 0 {
                    return Step::Last;
                }
            }
            b'}' | b']' | b',' if self.depth == 0 => return Step::Past,
            _ => {}
        }
        Step::Inside
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0)
}

impl Records {
    pub(super) fn new(names: &[String], record_bytes_max: usize) -> Records {
        Records {
            names: names.to_vec(),
            record_bytes_max,
            state: State::Between,
            owes_newline: false,
            held: Vec::new(),
            key: Vec::new(),
            taken: 0,
            whole: 0,
        }
    }

    /// Takes the log's next bytes, and gives as many of those taken so far as are decided.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Buffer) {
        for &byte in bytes {
            self.taken += 1;
            self.byte(byte, out);
        }
    }

    /// A document has ended with the byte that was taken last.
    fn end_document(&mut self) {
        self.state = State::Between;
        self.whole = self.taken;
    }

    /// How many of the bytes taken are of documents that have ended, with what lies before these.
    pub(super) fn whole(&self) -> u64 {
        self.whole
    }

    /// Whether what comes next is a document, if anything does.
    pub(super) fn is_between(&self) -> bool {
        matches!(self.state, State::Between)
    }

    /// Gives the rest. Whether the log ended within a document that holds records: then some may be missing.
    pub(super) fn finish(&mut self, out: &mut Buffer) -> bool {
        out.push(&self.held);
        self.held.clear();
        match std::mem::replace(&mut self.state, State::Between) {
            State::Between => false,
            // A record that is cut short tells so itself, since it is not JSON.
            State::InRecord { within, .. } => within != Within::Nothing,
            State::InArray { .. } => true,
            State::InObject { may_be_record, .. } => !may_be_record,
        }
    }

    fn byte(&mut self, byte: u8, out: &mut Buffer) {
        match self.state {
            State::Between => match byte {
                b'[' => {
                    self.gap(out);
                    self.state = State::InArray { wrapped: false };
                }
                b'{' => {
                    self.held.push(byte);
                    let (part, value) = (Part::BeforeKey, Value::default());
                    self.state = State::InObject { may_be_record: true, part, value };
                }
                b',' => self.gap(out),
                _ if is_space(byte) => self.gap(out),
                _ => self.begin(Within::Nothing, byte, out),
            },
            State::InArray { wrapped } => match byte {
                b']' => {
                    self.gap(out);
                    let (part, value) = (Part::BeforeKey, Value::default());
                    match wrapped {
                        true => self.state = State::InObject { may_be_record: false, part, value },
                        false => self.end_document(),
                    }
                }
                b',' => self.gap(out),
                _ if is_space(byte) => self.gap(out),
                _ => self.begin(Within::Array { wrapped }, byte, out),
            },
            State::InRecord { within, mut value } => match value.step(byte) {
                // What is no JSON ends at the end of its line, if nothing else encloses it.
                _ if byte == b'\n' && within == Within::Nothing && value.depth == 0 => {
                    self.end(within);
                    self.gap(out);
                }
                Step::Past => {
                    self.end(within);
                    self.byte(byte, out);
                }
                step => {
                    out.push(&[as_line(byte, value.in_string)]);
                    self.state = State::InRecord { within, value };
                    if step == Step::Last {
                        self.end(within);
                    }
                }
            },
            State::InObject { may_be_record, part, value } => {
                self.in_object(byte, may_be_record, part, value, out);
            }
        }
    }

    fn in_object(
        &mut self,
        byte: u8,
        may_be_record: bool,
        mut part: Part,
        mut value: Value,
        out: &mut Buffer,
    ) {
        match may_be_record {
            true => self.held.push(byte),
            false => self.gap(out),
        }
        match part {
            Part::BeforeKey => match byte {
                b'"' => {
                    self.key.clear();
                    value = Value { in_string: true, ..Value::default() };
                    part = Part::InKey;
                }
                b'}' => return self.close_object(may_be_record, out),
                _ => {}
            },
            Part::InKey => match value.step(byte) {
                Step::Last => part = Part::BeforeValue,
                _ => self.key.push(byte),
            },
            Part::BeforeValue => match byte {
                b'[' if self.names.iter().any(|name| name.as_bytes() == self.key) => {
                    // It was no record but what holds them.
                    let held = std::mem::take(&mut self.held);
                    held.iter().for_each(|_| self.gap(out));
                    self.state = State::InArray { wrapped: true };
                    return;
                }
                b'}' => return self.close_object(may_be_record, out),
                b',' => part = Part::BeforeKey,
                b':' => {}
                _ if is_space(byte) => {}
                _ => {
                    value = Value::default();
                    value.step(byte);
                    part = Part::InValue;
                }
            },
            Part::InValue => match value.step(byte) {
                Step::Inside => {}
                Step::Last => part = Part::BeforeKey,
                Step::Past if byte == b'}' => return self.close_object(may_be_record, out),
                Step::Past => part = Part::BeforeKey,
            },
        }
        self.state = State::InObject { may_be_record, part, value };
        if self.held.len() > self.record_bytes_max {
            self.give_up(part, value, out);
        }
    }

    /// An object too long to be looked at further is a record, in which the rest is read.
    fn give_up(&mut self, part: Part, value: Value, out: &mut Buffer) {
        self.release(out);
        let inside = matches!(part, Part::InKey | Part::InValue);
        let value = if inside { value } else { Value::default() };
        let value = Value { depth: value.depth + 1, ..value };
        self.state = State::InRecord { within: Within::Nothing, value };
    }

    fn close_object(&mut self, may_be_record: bool, out: &mut Buffer) {
        self.end_document();
        if may_be_record {
            self.release(out);
            self.owes_newline = true;
        }
    }

    /// Gives the held object as a record.
    fn release(&mut self, out: &mut Buffer) {
        let mut value = Value::default();
        for byte in std::mem::take(&mut self.held) {
            value.step(byte);
            out.push(&[as_line(byte, value.in_string)]);
        }
    }

    fn begin(&mut self, within: Within, byte: u8, out: &mut Buffer) {
        let mut value = Value::default();
        match value.step(byte) {
            // Nothing is open that it could close.
            Step::Past => self.gap(out),
            Step::Inside | Step::Last => {
                out.push(&[byte]);
                self.state = State::InRecord { within, value };
            }
        }
    }

    fn end(&mut self, within: Within) {
        self.owes_newline = true;
        match within {
            Within::Nothing => self.end_document(),
            Within::Array { wrapped } => self.state = State::InArray { wrapped },
        }
    }

    /// A byte that belongs to no record.
    fn gap(&mut self, out: &mut Buffer) {
        out.push(&[if std::mem::take(&mut self.owes_newline) { b'\n' } else { 0 }]);
    }
}

/// A record's byte as it stands in a line.
fn as_line(byte: u8, in_string: bool) -> u8 {
    match byte {
        b'\n' | b'\r' if in_string => CONTROL_IN_STRING,
        b'\n' | b'\r' => b' ',
        _ => byte,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value as Json;
    use serde_json::value::RawValue;

    use super::*;

    const NAMES: [&str; 2] = ["Records", "Events"];

    fn names() -> Vec<String> {
        NAMES.map(str::to_owned).to_vec()
    }

    fn framed(log: &str, cuts: &[usize]) -> (String, bool) {
        let (mut records, mut out, mut from) =
            (Records::new(&names(), 1 << 20), Buffer::default(), 0);
        for cut in cuts.iter().copied().chain([log.len()]) {
            let cut = cut.clamp(from, log.len());
            records.push(&log.as_bytes()[from..cut], &mut out);
            from = cut;
        }
        let unfinished = records.finish(&mut out);
        assert_eq!(out.len(), log.len());
        (String::from_utf8(out.to_vec()).unwrap(), unfinished)
    }

    /// The lines with their offsets, NULs around them taken off.
    fn lines(log: &str) -> Vec<(usize, String)> {
        let (framed, _) = framed(log, &[]);
        let mut offset = 0;
        let mut lines = Vec::new();
        for line in framed.split('\n') {
            let content = line.trim_start_matches('\0');
            if !content.trim_end_matches('\0').is_empty() {
                let start = offset + line.len() - content.len();
                // Spaces after a number or a word belong to its line; a call is an object and ends at its brace.
                lines.push((start, content.trim_end_matches(['\0', ' ']).to_owned()));
            }
            offset += line.len() + 1;
        }
        lines
    }

    /// The records of a document, by a parser that builds all of it.
    fn naive(log: &str) -> Vec<(usize, String)> {
        let raw: Box<RawValue> = serde_json::from_str(log).unwrap();
        let place = |part: &RawValue, whole: &str, base: usize| {
            let at = part.get().as_ptr().addr() - whole.as_ptr().addr() + base;
            (at, part.get().replace(['\n', '\r'], " "))
        };
        let start = raw.get().as_ptr().addr();
        let base = log.find(|c: char| !c.is_whitespace()).unwrap();
        let whole = raw.get();
        assert_eq!(start, whole.as_ptr().addr());
        let elements = |array: &RawValue, out: &mut Vec<(usize, String)>| {
            let array: Vec<&RawValue> = serde_json::from_str(array.get()).unwrap();
            out.extend(array.into_iter().map(|element| place(element, whole, base)));
        };
        let mut out = Vec::new();
        match whole.as_bytes()[0] {
            b'[' => elements(&raw, &mut out),
            b'{' => {
                let members: Members<'_> = serde_json::from_str(whole).unwrap();
                let held: Vec<&RawValue> = members
                    .0
                    .iter()
                    .filter(|(key, value)| {
                        NAMES.contains(&key.as_str()) && value.get().starts_with('[')
                    })
                    .map(|(_, value)| *value)
                    .collect();
                match held.is_empty() {
                    true => out.push(place(&raw, whole, base)),
                    false => held.into_iter().for_each(|array| elements(array, &mut out)),
                }
            }
            _ => out.push(place(&raw, whole, base)),
        }
        out
    }

    /// An object's members in their order, repeated keys too.
    struct Members<'a>(Vec<(String, &'a RawValue)>);

    impl<'de> serde::Deserialize<'de> for Members<'de> {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl<'de> serde::de::Visitor<'de> for Visitor {
                type Value = Members<'de>;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(
                    self,
                    mut map: A,
                ) -> Result<Self::Value, A::Error> {
                    let mut members = Vec::new();
                    while let Some(member) = map.next_entry()? {
                        members.push(member);
                    }
                    Ok(Members(members))
                }
            }
            deserializer.deserialize_map(Visitor)
        }
    }

    #[test]
    fn records_of_every_container() {
        let shown = |log: &str| -> Vec<String> { lines(log).into_iter().map(|(_, l)| l).collect() };
        let both = ["{\"a\":1}", "{\"b\":[2]}"];
        assert_eq!(shown("{\"Records\":[{\"a\":1},{\"b\":[2]}]}"), both);
        assert_eq!(
            shown(
                "{\"x\":{\"Records\":[]},\"Events\": [ {\"a\":1} ,\n{\"b\":[2]}\n], \"y\":\"]}\"}\n"
            ),
            both
        );
        assert_eq!(shown("[{\"a\":1},\r\n{\"b\":[2]}]"), both);
        assert_eq!(shown("{\"a\":1}\n{\"b\":[2]}\n"), both);
        assert_eq!(shown("{\"Records\":[{\"a\":1}]}\n{\"Records\":[{\"b\":[2]}]}"), both);
        assert_eq!(shown("{\n \"a\":\n 1}"), ["{  \"a\":  1}"]);
        assert_eq!(shown("{\"Records\":5}"), ["{\"Records\":5}"]);
        assert_eq!(shown("{\"Records\":[],\"Events\":[{\"a\":1},{\"b\":[2]}]}"), both);
        assert_eq!(shown(" \n\n"), [""; 0]);
        assert_eq!(shown("{\"Records\":[]}"), [""; 0]);
    }

    #[test]
    fn what_is_no_json_is_a_line_of_its_own_and_no_record_after_it_is_lost() {
        let shown = |log: &str| -> Vec<String> { lines(log).into_iter().map(|(_, l)| l).collect() };
        assert_eq!(shown("garbage\n{\"a\":1}\n"), ["garbage", "{\"a\":1}"]);
        assert_eq!(shown("[{\"a\":1},oops,{\"b\":2}]"), ["{\"a\":1}", "oops", "{\"b\":2}"]);
        assert_eq!(shown("{\"a\":\"x\ny\"}"), ["{\"a\":\"x\u{1}y\"}"]);
    }

    #[test]
    fn a_document_that_is_cut_short_is_told() {
        for (log, unfinished) in [
            ("{\"Records\":[{\"a\":1}", true),
            ("{\"Records\":[{\"a\":1},{\"b\"", true),
            ("{\"Records\":[{\"a\":1}]", true),
            ("[{\"a\":1}", true),
            ("{\"Records\":[{\"a\":1}]}", false),
            ("{\"a\":1", false),
            ("", false),
        ] {
            assert_eq!(framed(log, &[]).1, unfinished, "{log}");
        }
    }

    #[test]
    fn an_object_too_long_to_be_held_is_a_record() {
        let log = "{\"a\":{\"x\":\"}\"},\"Records\":[1,2],\"z\":0}\n{\"Records\":[7,8]}";
        let mut records = Records::new(&names(), 8);
        let mut out = Buffer::default();
        records.push(log.as_bytes(), &mut out);
        records.finish(&mut out);
        let text = String::from_utf8(out.to_vec()).unwrap();
        let first = text.split('\n').next().unwrap();
        assert_eq!(first, "{\"a\":{\"x\":\"}\"},\"Records\":[1,2],\"z\":0}");
    }

    fn json() -> impl Strategy<Value = Json> {
        let key = prop_oneof![
            Just("Records".to_owned()),
            Just("Events".to_owned()),
            "[a-c\"\\\\{}\\[\\]]{0,3}"
        ];
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i32>().prop_map(Json::from),
            "[a\"\\\\{}\\[\\],:é\n]{0,6}".prop_map(Json::from),
        ];
        leaf.prop_recursive(4, 24, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
                prop::collection::vec((key.clone(), inner), 0..4)
                    .prop_map(|members| Json::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// The records of any document, at their offsets, wherever the bytes are cut.
        #[test]
        fn records_are_those_that_a_parser_finds(
            value in json(), pretty in any::<bool>(), cuts in prop::collection::vec(0usize..200, 0..6),
        ) {
            let log = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let log = format!(" {}\n", log.unwrap());
            prop_assert_eq!(lines(&log), naive(&log));
            let mut cuts = cuts;
            cuts.sort_unstable();
            prop_assert_eq!(framed(&log, &cuts), framed(&log, &[]));
        }

        /// Whatever the bytes: as many come out, the same however they are cut.
        #[test]
        fn any_bytes_keep_their_number(log in "[{}\\[\\]\",:\\\\ \nRecords0]{0,60}", cut in 0usize..60) {
            prop_assert_eq!(framed(&log, &[cut]), framed(&log, &[]));
        }
    }
}
