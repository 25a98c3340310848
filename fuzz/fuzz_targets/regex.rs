//! Formats of kind `regex` read any bytes.
#![no_main]

mod lines;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use overstay::formats::Format;

static FORMATS: OnceLock<Vec<Format>> = OnceLock::new();

const OWN: &str = r##"
kind = "regex"
regex = '(?<t>\S+) (?:(?<m>[A-Z]+) )?(?<p>[^"]*)(?: (?<s>\d+))?'
escapes = true
at = "t"
method = "m"
path = "p"
status = "s"
"##;

fuzz_target!(|data: &[u8]| lines::read(&FORMATS, "regex", OWN, data));
