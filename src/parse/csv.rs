//! Format kind `csv`: fields with a delimiter between them and quotes around those that need it (RFC 4180).
//!
//! A record is a line: no field goes on in the next one. What a column means is not known here.

use std::ops::Range;

use crate::call::Reason;
use crate::limits::LAYOUT_VALUES_MAX;
use crate::parse::labels::{Labels, Listed};
use crate::parse::layout::{Kind, Lacks, Layout, Literal};
use crate::parse::{Cell, Scratch};

/// How a log's lines are divided, and which columns are asked for.
#[derive(Debug)]
pub(crate) struct Plan {
    delimiter: char,
    columns: Columns,
    /// Whether a line may have fewer fields, which are absent then, or more, which are not looked at.
    flexible: bool,
}

/// Where the columns' names come from.
#[derive(Debug)]
enum Columns {
    /// The format lists them. Each is the slot of its index.
    Listed(Listed),
    /// The first line of a log names them.
    InHeader(Labels),
}

/// One field of a line.
struct Field {
    /// Its text, without quotes around it.
    text: Range<usize>,
    /// Whether quotes in it are doubled.
    doubled: bool,
    /// Where the next field begins, if there is one.
    next: Option<usize>,
}

impl Plan {
    /// A plan for lines with these columns, in their order.
    ///
    /// # Errors
    ///
    /// What is wrong, as a sentence: a delimiter that cannot be one, no column, one name twice.
    pub(crate) fn new(delimiter: char, columns: &[&str], flexible: bool) -> Result<Plan, String> {
        check(delimiter)?;
        if columns.is_empty() {
            return Err("`columns` is empty".to_owned());
        }
        for (idx, name) in columns.iter().enumerate() {
            if !name.is_empty() && columns[..idx].contains(name) {
                return Err(format!("column `{name}` is listed twice"));
            }
        }
        let columns = Columns::Listed(Listed::new(columns.iter().copied()));
        Ok(Plan { delimiter, columns, flexible })
    }

    /// A plan for lines whose columns are named by the first line of their log.
    ///
    /// # Errors
    ///
    /// What is wrong, as a sentence: a delimiter that cannot be one.
    pub(crate) fn with_header(delimiter: char, flexible: bool) -> Result<Plan, String> {
        check(delimiter)?;
        Ok(Plan { delimiter, columns: Columns::InHeader(Labels::default()), flexible })
    }

    /// Whether the first line of a log names its columns.
    pub(crate) fn has_header(&self) -> bool {
        matches!(self.columns, Columns::InHeader(_))
    }

    /// The listed columns, those without a name aside. None where a header names them.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        let listed = match &self.columns {
            Columns::Listed(listed) => Some(listed),
            Columns::InHeader(_) => None,
        };
        listed.into_iter().flat_map(Listed::names)
    }

    /// The slot of a column, and asks for it. `None` if the format lists its columns and this one is none of them.
    pub(crate) fn ask(&mut self, name: &str) -> Option<usize> {
        match &mut self.columns {
            Columns::Listed(listed) => listed.ask(name),
            Columns::InHeader(labels) => Some(labels.ask(name)),
        }
    }

    /// Whether the line is the one that names the columns, which is noted in the scratch.
    pub(crate) fn header(&self, line: &[u8], scratch: &mut Scratch) -> bool {
        let Columns::InHeader(labels) = &self.columns else { return false };
        if !scratch.columns.is_empty() {
            return false;
        }
        let line = String::from_utf8_lossy(line);
        let mut next = Some(0);
        // A header with wrong quotes names what it names before them.
        while let Some(field) = next.and_then(|start| self.field(&line, start)) {
            let name = line[field.text.clone()].replace("\"\"", "\"");
            scratch.columns.push(labels.slot(name.trim()));
            next = field.next;
        }
        if scratch.columns.is_empty() {
            // One that cannot be read is the header all the same: the line after it is none.
            scratch.columns.push(None);
        }
        true
    }

    /// Fills the scratch's slots from a line.
    ///
    /// # Errors
    ///
    /// [`Reason::Malformed`] for a quote that does not end, text after one that does, a NUL, a count of fields that is not
    /// that of the columns (unless flexible), and for the row that holds the columns' names.
    pub(crate) fn fill(&self, line: &str, scratch: &mut Scratch) -> Result<(), Reason> {
        scratch.text.clear();
        scratch.slots.clear();
        if memchr::memchr(0, line.as_bytes()).is_some() {
            return Err(Reason::Malformed);
        }
        let (slots, columns) = match &self.columns {
            Columns::Listed(listed) => (listed.slots().len(), listed.slots().len()),
            Columns::InHeader(labels) => (labels.count(), scratch.columns.len()),
        };
        scratch.slots.resize(slots, Cell::Absent);
        let mut is_header = !self.has_header();
        let mut count = 0;
        let mut next = Some(0);
        while let Some(start) = next {
            let field = self.field(line, start).ok_or(Reason::Malformed)?;
            next = field.next;
            if count == columns {
                if self.flexible {
                    continue;
                }
                return Err(Reason::Malformed);
            }
            let raw = &line[field.text.clone()];
            let slot = match &self.columns {
                Columns::Listed(listed) => {
                    let (name, wanted) = listed.slot(count);
                    is_header = is_header && (name.is_empty() || name == raw);
                    wanted.then_some(count)
                }
                Columns::InHeader(_) => scratch.columns[count],
            };
            if let Some(slot) = slot {
                scratch.slots[slot] = if field.doubled {
                    let begin = scratch.text.len();
                    let mut pairs = raw.split("\"\"");
                    scratch.text.extend(pairs.next());
                    pairs.for_each(|rest| scratch.text.extend(["\"", rest]));
                    Cell::decoded(&scratch.text, begin)
                } else {
                    Cell::in_line(line, field.text.start, field.text.end)
                };
            }
            count += 1;
        }
        let complete = count == columns;
        if (complete && is_header) || !(complete || self.flexible) {
            return Err(Reason::Malformed);
        }
        Ok(())
    }

    /// Whether a line may be told by its layout. One that begins as the row of the columns' names does may be that row, which
    /// is no call.
    pub(crate) fn may_have_layout(&self, line: &str) -> bool {
        match &self.columns {
            Columns::Listed(listed) => {
                let first = listed.slots().next().map_or("", |(name, _)| name);
                let bare = line.strip_prefix('"').unwrap_or(line);
                !first.is_empty() && !bare.starts_with(first)
            }
            Columns::InHeader(_) => true,
        }
    }

    /// The layout of a line that [`Plan::fill`] can read, if it has all columns and a delimiter of one byte. `columns`: as
    /// the scratch has them.
    pub(crate) fn layout(&self, line: &str, columns: &[Option<usize>]) -> Option<Layout> {
        let delimiter = u8::try_from(self.delimiter).ok().filter(u8::is_ascii)?;
        let (count, slot_count) = match &self.columns {
            Columns::Listed(listed) => (listed.slots().len(), listed.slots().len()),
            Columns::InHeader(labels) => (columns.len(), labels.count()),
        };
        let mut slots = vec![Vec::new(); slot_count];
        let mut elements = Vec::new();
        let (mut from, mut next) = (0, Some(0));
        while let Some(start) = next {
            let field = self.field(line, start)?;
            let slot = match &self.columns {
                Columns::Listed(_) => Some(elements.len()).filter(|slot| *slot < count),
                Columns::InHeader(_) => *columns.get(elements.len())?,
            };
            // Of columns of one name the last one counts.
            if let Some(of_slot) = slot.and_then(|slot| slots.get_mut(slot)) {
                *of_slot = vec![elements.len()];
            }
            let is_quoted = field.text.start > start;
            let kind = match field.next {
                // The next literal begins with the quote that ends it. A doubled one is another.
                _ if is_quoted => Kind::Until { byte: b'"', back: 0, without: b'"' },
                Some(_) => Kind::Until { byte: delimiter, back: 0, without: b'"' },
                None => Kind::Rest { without: [delimiter, b'"'] },
            };
            elements.push((Literal::new(&line.as_bytes()[from..field.text.start]), kind));
            (from, next) = (field.text.end, field.next);
        }
        let is_usual = elements.len() == count && count <= LAYOUT_VALUES_MAX;
        let layout = Layout::new(elements, Literal::new(&line.as_bytes()[from..]), slots);
        is_usual.then(|| layout.lacking(Lacks::NulsAndReturns))
    }

    /// The field that begins at `start`; `None` if its quotes are wrong. A quote inside a field
    /// that does not begin with one is a character like any other.
    fn field(&self, line: &str, start: usize) -> Option<Field> {
        let rest = &line[start..];
        let Some(quoted) = rest.strip_prefix('"') else {
            let length = rest.find(self.delimiter);
            let end = start + length.unwrap_or(rest.len());
            let next = length.map(|_| end + self.delimiter.len_utf8());
            return Some(Field { text: start..end, doubled: false, next });
        };
        let quoted = quoted.as_bytes();
        let mut doubled = false;
        let mut length = 0;
        loop {
            length += memchr::memchr(b'"', &quoted[length..])?;
            if quoted.get(length + 1) != Some(&b'"') {
                break;
            }
            doubled = true;
            length += 2;
        }
        let text = start + 1..start + 1 + length;
        let after = &line[text.end + 1..];
        let next = match after.strip_prefix(self.delimiter) {
            Some(_) => Some(text.end + 1 + self.delimiter.len_utf8()),
            None if after.is_empty() => None,
            None => return None,
        };
        Some(Field { text, doubled, next })
    }
}

/// Refuses a delimiter that cannot be one.
fn check(delimiter: char) -> Result<(), String> {
    if matches!(delimiter, '"' | '\n' | '\r' | '\0') {
        return Err(format!("`delimiter` is {delimiter:?}, which has a meaning of its own"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::parse::Values;

    const COLUMNS: [&str; 3] = ["at", "path", "k"];

    fn read(plan: &mut Plan, line: &str) -> Result<Vec<Option<String>>, Reason> {
        let names: Vec<String> = plan.names().map(str::to_owned).collect();
        let slots: Vec<usize> = names.iter().map(|name| plan.ask(name).unwrap()).collect();
        let mut scratch = Scratch::default();
        plan.fill(line, &mut scratch)?;
        let values = Values::new(line, &scratch);
        Ok(slots.into_iter().map(|slot| values.get(slot).map(str::to_owned)).collect())
    }

    /// The values of [`COLUMNS`] in a line; those absent are empty.
    fn with(delimiter: char, flexible: bool, line: &str) -> Result<Vec<String>, Reason> {
        let mut plan = Plan::new(delimiter, &COLUMNS, flexible).unwrap();
        let values = read(&mut plan, line)?;
        Ok(values.into_iter().map(Option::unwrap_or_default).collect())
    }

    fn values(line: &str) -> Result<Vec<String>, Reason> {
        with(',', false, line)
    }

    fn all(values: [&str; 3]) -> Result<Vec<String>, Reason> {
        Ok(values.map(str::to_owned).into())
    }

    /// All fields of a line, a character at a time.
    fn naive_fields(delimiter: char, line: &str) -> Option<Vec<String>> {
        let mut chars = line.chars().peekable();
        let mut fields = vec![String::new()];
        loop {
            if chars.next_if_eq(&'"').is_some() {
                loop {
                    match chars.next()? {
                        '"' if chars.next_if_eq(&'"').is_some() => fields.last_mut()?.push('"'),
                        '"' => break,
                        c => fields.last_mut()?.push(c),
                    }
                }
                match chars.next() {
                    None => return Some(fields),
                    Some(c) if c == delimiter => fields.push(String::new()),
                    Some(_) => return None,
                }
                continue;
            }
            loop {
                match chars.next() {
                    None => return Some(fields),
                    Some(c) if c == delimiter => break,
                    Some(c) => fields.last_mut()?.push(c),
                }
            }
            fields.push(String::new());
        }
    }

    fn naive(delimiter: char, flexible: bool, line: &str) -> Result<Vec<String>, Reason> {
        let mut fields = naive_fields(delimiter, line).ok_or(Reason::Malformed)?;
        let fits = flexible || fields.len() == COLUMNS.len();
        if line.contains('\0') || !fits || fields.starts_with(&COLUMNS.map(str::to_owned)) {
            return Err(Reason::Malformed);
        }
        fields.resize(COLUMNS.len(), String::new());
        Ok(fields
            .into_iter()
            .map(|field| if field == "-" { String::new() } else { field })
            .collect())
    }

    #[test]
    fn fields_are_bare_or_quoted() {
        assert_eq!(values("1,/x y,é"), all(["1", "/x y", "é"]));
        assert_eq!(values(r#""1","/x,y","say ""a""""#), all(["1", "/x,y", "say \"a\""]));
        assert_eq!(values(r#"1,"""","""""""#), all(["1", "\"", "\"\""]));
        assert_eq!(values(r#"1,a"b, "c""#), all(["1", "a\"b", " \"c\""]));
    }

    #[test]
    fn empty_fields_and_dashes_are_absent() {
        for absent in [",,", r#""","","""#, "-,-,-", r#""-",,"#] {
            assert_eq!(values(absent), all(["", "", ""]), "{absent}");
        }
    }

    #[test]
    fn the_delimiter_may_be_any_character() {
        assert_eq!(with(' ', false, "1 \"/x y\" k"), all(["1", "/x y", "k"]));
        assert_eq!(with('\t', false, "1\t/x y\tk"), all(["1", "/x y", "k"]));
        assert_eq!(with('§', false, "1§\"/x§y\"§k"), all(["1", "/x§y", "k"]));
        for bad in ['"', '\n', '\r', '\0'] {
            assert!(Plan::new(bad, &COLUMNS, false).unwrap_err().contains("delimiter"));
        }
    }

    #[test]
    fn a_line_has_as_many_fields_as_columns_unless_flexible() {
        for (line, read) in [
            ("1,2", ["1", "2", ""]),
            ("1,2,3,4", ["1", "2", "3"]),
            ("", ["", "", ""]),
            ("1,2,3,\"4\"", ["1", "2", "3"]),
        ] {
            assert_eq!(values(line), Err(Reason::Malformed), "{line}");
            assert_eq!(with(',', true, line), all(read), "{line}");
        }
        assert_eq!(with(',', true, "1,2,3,\"4"), Err(Reason::Malformed));
    }

    #[test]
    fn quotes_that_do_not_end_a_field_are_malformed() {
        for bad in ["1,2,\"3", "\"1,2,3", "1,\"2\"x,3", "1,\"2\" ,3", "1,2,\"3\"\"", "1,2,\0"] {
            assert_eq!(values(bad), Err(Reason::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn the_row_of_names_is_no_record() {
        for flexible in [false, true] {
            for header in ["at,path,k", "\"at\",\"path\",k"] {
                assert_eq!(with(',', flexible, header), Err(Reason::Malformed));
            }
            assert_eq!(with(',', flexible, "at,path,x"), all(["at", "path", "x"]));
        }
    }

    #[test]
    fn names_are_given_once_and_columns_may_have_none() {
        assert!(Plan::new(',', &["a", "a"], false).unwrap_err().contains("`a` is listed twice"));
        assert!(Plan::new(',', &[], false).unwrap_err().contains("empty"));
        let mut plan = Plan::new(',', &["", "a", ""], false).unwrap();
        assert_eq!((plan.ask("a"), plan.ask(""), plan.ask("b")), (Some(1), None, None));
        assert_eq!(read(&mut plan, "1,2,3"), Ok(vec![Some("2".to_owned())]));
    }

    /// Lines of parts that matter, with and without a sound frame.
    fn lines() -> impl Strategy<Value = String> {
        let parts = vec![
            ",",
            ",",
            ",",
            "\"",
            "\"",
            "\"\"",
            "\",\"",
            "at",
            "path",
            "k",
            "-",
            "/x",
            "é",
            " ",
            "§",
            "\0",
            "at,path,k",
        ];
        prop::collection::vec(prop::sample::select(parts), 0..16).prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn equals_the_grammar_on_mutated_lines(
            line in lines(),
            delimiter in prop::sample::select(vec![',', ' ', '§']),
            flexible: bool,
        ) {
            let found = with(delimiter, flexible, &line);
            prop_assert_eq!(found, naive(delimiter, flexible, &line), "{:?}", line);
        }

        #[test]
        fn a_line_that_fits_is_read_as_by_the_csv_crate(line in lines()) {
            if let Ok(found) = values(&line) {
                let mut reader =
                    ::csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes());
                let record = reader.records().next().unwrap().unwrap();
                let fields: Vec<&str> = record.iter().map(|f| if f == "-" { "" } else { f }).collect();
                prop_assert_eq!(found, fields, "{:?}", line);
            }
        }

        #[test]
        fn a_written_line_reads_back(fields in prop::array::uniform3("[^\0\r\n]{0,8}")) {
            let mut writer =
                ::csv::WriterBuilder::new().terminator(::csv::Terminator::Any(b'\n')).from_writer(vec![]);
            writer.write_record(&fields).unwrap();
            let line = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            let found = values(line.strip_suffix('\n').unwrap());
            let shown = fields.map(|field| if field == "-" { String::new() } else { field });
            prop_assert_eq!(found.unwrap(), shown.to_vec());
        }
    }
}
