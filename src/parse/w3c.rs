//! Format kind `w3c`: the Extended Log File Format (W3C working draft WD-logfile-960323). A line `#Fields:` names the
//! columns of those after it; IIS and CloudFront write it.
//!
//! Columns stand between blanks, or between tabs where a line has any. What a column means is not known here.

use crate::call::Reason;
use crate::parse::labels::Labels;
use crate::parse::{Cell, Name, Scratch};

/// What the line that names the columns begins with.
pub(crate) const FIELDS: &str = "#Fields:";

/// The columns a format asks for.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    labels: Labels,
    /// Names that are several columns with a blank between, such as `date time`: their slot and those of the columns.
    joined: Vec<(usize, Vec<usize>)>,
}

impl Plan {
    /// The slot of a column, of several with a blank between, or of a request header, and asks for it.
    pub(crate) fn ask(&mut self, name: Name<'_>) -> usize {
        let name = match name {
            Name::Field(name) => name.to_owned(),
            Name::Header(header) => format!("cs({header})"),
        };
        let name = name.to_ascii_lowercase();
        let slot = self.labels.ask(&name);
        if name.contains(' ') && self.joined.iter().all(|(joined, _)| *joined != slot) {
            let parts = name.split(' ').map(|part| self.labels.ask(part)).collect();
            self.joined.push((slot, parts));
        }
        slot
    }

    /// Whether the line is no record but says something of those after it: a directive.
    /// That of the columns is noted in the scratch.
    pub(crate) fn directive(&self, line: &[u8], scratch: &mut Scratch) -> bool {
        if let Some(fields) = line.strip_prefix(FIELDS.as_bytes()) {
            let fields = String::from_utf8_lossy(fields).to_ascii_lowercase();
            scratch.columns.clear();
            scratch
                .columns
                .extend(fields.split_ascii_whitespace().map(|name| self.labels.slot(name)));
        }
        line.starts_with(b"#")
    }

    /// Fills the scratch's slots from a line, by the columns noted last.
    ///
    /// # Errors
    ///
    /// [`Reason::Malformed`] where no directive has named the columns, and for another count of fields than theirs, a
    /// quote that does not end, and a NUL.
    pub(crate) fn fill(&self, line: &str, scratch: &mut Scratch) -> Result<(), Reason> {
        scratch.text.clear();
        scratch.slots.clear();
        scratch.slots.resize(self.labels.count(), Cell::Absent);
        if memchr::memchr(0, line.as_bytes()).is_some() || scratch.columns.is_empty() {
            return Err(Reason::Malformed);
        }
        let by_tabs = line.contains('\t');
        let mut count = 0;
        let mut start = 0;
        while let Some(field) = field(line, start, by_tabs)? {
            let Some(column) = scratch.columns.get(count) else { return Err(Reason::Malformed) };
            if let Some(slot) = column {
                let raw = &line[field.start..field.end];
                scratch.slots[*slot] = if field.quoted && raw.contains("\"\"") {
                    let begin = scratch.text.len();
                    scratch.text.push_str(&raw.replace("\"\"", "\""));
                    Cell::decoded(&scratch.text, begin)
                } else {
                    Cell::in_line(line, field.start, field.end)
                };
            }
            count += 1;
            start = field.next;
        }
        if count != scratch.columns.len() {
            return Err(Reason::Malformed);
        }
        for (slot, parts) in &self.joined {
            scratch.join(line, *slot, parts);
        }
        Ok(())
    }
}

/// A field of a line, without quotes around it, and where the next one begins.
struct Field {
    start: usize,
    end: usize,
    quoted: bool,
    next: usize,
}

/// The field at `start`; `None` behind the last one.
///
/// Between tabs a field may be empty, and what follows the last tab is one. Blanks come in any number.
fn field(line: &str, start: usize, by_tabs: bool) -> Result<Option<Field>, Reason> {
    if start > line.len() {
        return Ok(None);
    }
    if by_tabs {
        let length = line[start..].find('\t').unwrap_or(line.len() - start);
        let end = start + length;
        return Ok(Some(Field { start, end, quoted: false, next: end + 1 }));
    }
    let blanks = line[start..].len() - line[start..].trim_start_matches(' ').len();
    let start = start + blanks;
    if start == line.len() {
        return Ok(None);
    }
    let Some(quoted) = line[start..].strip_prefix('"') else {
        let length = line[start..].find(' ').unwrap_or(line.len() - start);
        return Ok(Some(Field { start, end: start + length, quoted: false, next: start + length }));
    };
    let mut length = 0;
    loop {
        length += quoted[length..].find('"').ok_or(Reason::Malformed)?;
        if quoted.as_bytes().get(length + 1) != Some(&b'"') {
            break;
        }
        length += 2;
    }
    let end = start + 1 + length;
    match line.as_bytes().get(end + 1) {
        None | Some(b' ') => Ok(Some(Field { start: start + 1, end, quoted: true, next: end + 1 })),
        Some(_) => Err(Reason::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::parse::Values;

    /// The values of some columns in the last of the lines.
    fn values(names: &[&str], lines: &[&str]) -> Result<Vec<String>, Reason> {
        let mut plan = Plan::default();
        let slots: Vec<usize> = names.iter().map(|name| plan.ask(Name::Field(name))).collect();
        let mut scratch = Scratch::default();
        let (last, before) = lines.split_last().unwrap();
        for line in before {
            assert!(plan.directive(line.as_bytes(), &mut scratch), "{line}");
        }
        assert!(!plan.directive(last.as_bytes(), &mut scratch));
        plan.fill(last, &mut scratch)?;
        let values = Values::new(last, &scratch);
        Ok(slots.iter().map(|&slot| values.get(slot).unwrap_or("").to_owned()).collect())
    }

    const IIS: &str = "#Fields: date time cs-method cs-uri-stem cs-uri-query sc-status";

    #[test]
    fn the_columns_are_those_of_the_last_directive() {
        let line = "2018-12-18 09:30:00 GET /x a=1 200";
        let names = ["date time", "sc-status", "cs-uri-query", "x-absent", "time"];
        let expected = ["2018-12-18 09:30:00", "200", "a=1", "", "09:30:00"];
        assert_eq!(values(&names, &["#Software: IIS", IIS, line]).unwrap(), expected);
        let other = "#Fields: sc-status";
        assert_eq!(values(&["sc-status", "time"], &[IIS, other, "404"]).unwrap(), ["404", ""]);
        assert_eq!(values(&["sc-status"], &[line]), Err(Reason::Malformed));
        for bad in ["2018-12-18 09:30:00 GET /x a=1", "2018-12-18 09:30:00 GET /x a=1 200 7"] {
            assert_eq!(values(&["time"], &[IIS, bad]), Err(Reason::Malformed), "{bad}");
        }
    }

    #[test]
    fn a_name_of_several_columns_needs_them_all() {
        let names = ["date time"];
        assert_eq!(values(&names, &[IIS, "2018-12-18 - GET /x - 200"]).unwrap(), [""]);
        let apart = "#Fields: time sc-status date";
        assert_eq!(
            values(&names, &[apart, "09:30:00 200 2018-12-18"]).unwrap(),
            ["2018-12-18 09:30:00"]
        );
    }

    #[test]
    fn tabs_divide_where_there_are_any_and_quotes_where_there_are_none() {
        let fields = "#Fields: time cs(User-Agent) sc-status";
        let names = ["cs(user-agent)", "sc-status"];
        assert_eq!(
            values(&names, &[fields, "09:30\tMozilla (X)\t200"]).unwrap(),
            ["Mozilla (X)", "200"]
        );
        assert_eq!(values(&names, &[fields, "09:30\t\t200"]).unwrap(), ["", "200"]);
        assert_eq!(
            values(&names, &[fields, "09:30 \"Mozilla \"\"(X)\"\" y\"  200"]).unwrap(),
            ["Mozilla \"(X)\" y", "200"]
        );
        for bad in ["09:30 \"Mozilla 200", "09:30 \"Mozilla\"x 200", "09:30 \0 200"] {
            assert_eq!(values(&names, &[fields, bad]), Err(Reason::Malformed), "{bad}");
        }
    }

    #[test]
    fn headers_are_columns() {
        let mut plan = Plan::default();
        assert_eq!(plan.ask(Name::Header("X-Api-Key")), plan.ask(Name::Field("cs(X-API-Key)")));
    }

    /// The fields of a line without tabs, a character at a time.
    fn naive(line: &str) -> Option<Vec<String>> {
        let mut chars = line.chars().peekable();
        let mut fields = Vec::new();
        loop {
            while chars.next_if_eq(&' ').is_some() {}
            let Some(&first) = chars.peek() else { return Some(fields) };
            let mut field = String::new();
            if first == '"' {
                chars.next();
                loop {
                    match chars.next()? {
                        '"' if chars.next_if_eq(&'"').is_some() => field.push('"'),
                        '"' => break,
                        c => field.push(c),
                    }
                }
                if chars.peek().is_some_and(|c| *c != ' ') {
                    return None;
                }
            } else {
                while let Some(c) = chars.next_if(|c| *c != ' ') {
                    field.push(c);
                }
            }
            fields.push(field);
        }
    }

    proptest! {
        #[test]
        fn equals_a_parser_by_hand(line in "[ab\" é-]{0,12}") {
            let expected = naive(&line).filter(|fields| fields.len() == 3);
            let found = values(&["x", "y", "z"], &["#Fields: x y z", &line]).ok();
            let absent = |text: String| if text == "-" { String::new() } else { text };
            let expected = expected.map(|all| all.into_iter().map(absent).collect::<Vec<_>>());
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn equals_a_split_at_tabs(line in "[ab\" é\t-]{0,12}") {
            prop_assume!(line.contains('\t'));
            let expected: Vec<String> = line.split('\t').map(str::to_owned).collect();
            let found = values(&["x", "y", "z"], &["#Fields: x y z", &line]).ok();
            let absent = |text: String| if text == "-" { String::new() } else { text };
            let expected: Option<Vec<String>> = (expected.len() == 3)
                .then(|| expected.into_iter().map(absent).collect());
            prop_assert_eq!(found, expected);
        }
    }
}
