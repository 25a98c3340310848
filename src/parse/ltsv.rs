//! Format kind `ltsv`: `label:value` pairs with tabs between them (Labeled Tab-separated Values, <http://ltsv.org>).
//!
//! The grammar is that of the specification, which knows no escapes. What a value means is not known here.

use std::iter::once;

use crate::call::Reason;
use crate::limits::LAYOUT_VALUES_MAX;
use crate::parse::labels::Labels;
use crate::parse::layout::{Kind, Lacks, Layout, Literal};
use crate::parse::{Cell, Scratch};

/// The labels a format asks for.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    labels: Labels,
}

impl Plan {
    /// The slot of a label, and asks for it.
    pub(crate) fn ask(&mut self, label: &str) -> usize {
        self.labels.ask(label)
    }

    /// Fills the scratch's slots from a line. Of a repeated label the last counts.
    ///
    /// # Errors
    ///
    /// [`Reason::Malformed`] if a field has no label, the label has other bytes than the specification allows,
    /// a value has a NUL or a carriage return, or there is no field at all. Nothing between two tabs is no field.
    pub(crate) fn fill(&self, line: &str, scratch: &mut Scratch) -> Result<(), Reason> {
        scratch.text.clear();
        scratch.slots.clear();
        scratch.slots.resize(self.labels.count(), Cell::Absent);
        let bytes = line.as_bytes();
        if memchr::memchr2(0, b'\r', bytes).is_some() {
            return Err(Reason::Malformed);
        }
        let mut any = false;
        let mut start = 0;
        for end in memchr::memchr_iter(b'\t', bytes).chain(once(bytes.len())) {
            let field = start..end;
            start = end + 1;
            if field.is_empty() {
                continue;
            }
            let length = bytes[field.clone()].iter().position(|&b| !is_label(b));
            let Some(colon) =
                length.filter(|&length| length > 0).map(|length| field.start + length)
            else {
                return Err(Reason::Malformed);
            };
            if bytes[colon] != b':' {
                return Err(Reason::Malformed);
            }
            any = true;
            if let Some(slot) = self.labels.slot(&line[field.start..colon]) {
                scratch.slots[slot] = Cell::in_line(line, colon + 1, field.end);
            }
        }
        if any { Ok(()) } else { Err(Reason::Malformed) }
    }

    /// The layout of a line that [`Plan::fill`] can read.
    pub(crate) fn layout(&self, line: &str) -> Option<Layout> {
        let bytes = line.as_bytes();
        let mut elements = Vec::new();
        let mut slots = vec![Vec::new(); self.labels.count()];
        let (mut from, mut start) = (0, 0);
        for end in memchr::memchr_iter(b'\t', bytes).chain(once(bytes.len())) {
            let field = start..end;
            start = end + 1;
            if field.is_empty() {
                continue;
            }
            let colon = field.start + memchr::memchr(b':', &bytes[field.clone()])?;
            if let Some(slot) = self.labels.slot(&line[field.start..colon]) {
                slots[slot] = vec![elements.len()];
            }
            let kind = match end == bytes.len() {
                true => Kind::Rest { without: [b'\t'; 2] },
                false => Kind::Until { byte: b'\t', back: 0, without: b'\t' },
            };
            elements.push((Literal::new(&bytes[from..=colon]), kind));
            from = end;
        }
        let is_short = elements.len() <= LAYOUT_VALUES_MAX;
        let layout = Layout::new(elements, Literal::new(&bytes[from..]), slots);
        is_short.then(|| layout.lacking(Lacks::NulsAndReturns))
    }
}

/// Whether a label may have the byte: `lbyte` of the specification.
fn is_label(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::parse::Values;

    const LABELS: [&str; 4] = ["time", "host", "x-y", "a.b"];

    /// The values of [`LABELS`] in a line.
    fn values(line: &str) -> Result<Vec<Option<String>>, Reason> {
        let mut plan = Plan::default();
        for (slot, label) in LABELS.iter().enumerate() {
            assert_eq!(plan.ask(label), slot);
        }
        let mut scratch = Scratch::default();
        plan.fill(line, &mut scratch)?;
        let values = Values::new(line, &scratch);
        Ok((0..LABELS.len()).map(|slot| values.get(slot).map(str::to_owned)).collect())
    }

    /// The value of `time`.
    fn time(line: &str) -> Result<Option<String>, Reason> {
        values(line).map(|values| values[0].clone())
    }

    fn some(text: &str) -> Result<Option<String>, Reason> {
        Ok(Some(text.to_owned()))
    }

    /// The specification, step by step.
    fn naive(line: &str) -> Result<Vec<Option<String>>, Reason> {
        let mut found = HashMap::new();
        for field in line.split('\t').filter(|field| !field.is_empty()) {
            let (label, value) = field.split_once(':').ok_or(Reason::Malformed)?;
            let ok = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
            if label.is_empty() || !label.chars().all(ok) || value.contains(['\0', '\r']) {
                return Err(Reason::Malformed);
            }
            found.insert(label, value);
        }
        if found.is_empty() {
            return Err(Reason::Malformed);
        }
        let present = |value: &&str| !matches!(*value, "" | "-");
        Ok(LABELS.map(|l| found.get(l).copied().filter(present).map(str::to_owned)).into())
    }

    #[test]
    fn a_label_ends_at_the_first_colon_and_a_value_at_the_tab() {
        let line =
            "time:[18/Dec/2018:09:30:00 +0000]\thost:10.0.0.7\tother:x\tx-y:a:b \\x22\ta.b:é";
        let all = ["[18/Dec/2018:09:30:00 +0000]", "10.0.0.7", "a:b \\x22", "é"];
        assert_eq!(values(line), Ok(all.map(|value| Some(value.to_owned())).into()));
    }

    #[test]
    fn an_empty_value_and_a_dash_are_absent() {
        assert_eq!(time("time:\thost:x"), Ok(None));
        assert_eq!(time("time:-"), Ok(None));
        assert_eq!(time("host:x"), Ok(None));
        assert_eq!(time("time: "), some(" "));
    }

    #[test]
    fn of_a_repeated_label_the_last_counts() {
        assert_eq!(time("time:1\ttime:2"), some("2"));
        assert_eq!(time("time:1\ttime:-"), Ok(None));
    }

    #[test]
    fn nothing_between_tabs_is_no_field() {
        assert_eq!(time("\t\ttime:1\t\thost:x\t"), some("1"));
        assert_eq!(time("\t"), Err(Reason::Malformed));
        assert_eq!(time(""), Err(Reason::Malformed));
    }

    #[test]
    fn what_has_no_label_is_malformed() {
        for bad in ["time", "time:1\thost", ":1", "time:1\t:x", " time:1", "a b:1", "é:1"] {
            assert_eq!(time(bad), Err(Reason::Malformed), "{bad}");
        }
        for bad in [r#"{"time":"1"}"#, "time:1\thost:\0", "time:1\rhost:x"] {
            assert_eq!(time(bad), Err(Reason::Malformed), "{bad:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn equals_the_specification_on_mutated_lines(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "time", "host", "x-y", "a.b", "other", ":", ":", ":", "\t", "\t", "\t", "-", "1", "é", " ", "\0",
                    "\r", "=", "\"", "10.0.0.7",
                ]),
                0..24,
            )
        ) {
            let line = parts.concat();
            prop_assert_eq!(values(&line), naive(&line), "{:?}", line);
        }

        #[test]
        fn a_written_line_reads_back(
            pairs in prop::collection::vec(
                (prop::sample::select(LABELS.to_vec()), "[^\t\r\n\0]{0,6}"), 1..8,
            )
        ) {
            let fields = pairs.iter().map(|(label, value)| format!("{label}:{value}"));
            let line = fields.collect::<Vec<_>>().join("\t");
            let read = values(&line).unwrap();
            for (slot, label) in LABELS.iter().enumerate() {
                let last = pairs.iter().rev().find(|pair| pair.0 == *label);
                let value = last.map(|pair| pair.1.clone()).filter(|v| !v.is_empty() && v != "-");
                prop_assert_eq!(&read[slot], &value);
            }
        }
    }
}
