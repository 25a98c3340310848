//! Formats of kind `json-records` read any bytes.
#![no_main]

mod lines;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use overstay::formats::Format;

static FORMATS: OnceLock<Vec<Format>> = OnceLock::new();

const OWN: &str = r##"
kind = "json-records"
records = ["Records", "items"]
embedded = "e"
at = "t"
api = "a"
operation = "o"
status = "s"
"##;

fuzz_target!(|data: &[u8]| lines::read(&FORMATS, "json-records", OWN, data));
