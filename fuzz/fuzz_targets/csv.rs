//! Formats of kind `csv` read any bytes.
#![no_main]

mod lines;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use overstay::formats::Format;

static FORMATS: OnceLock<Vec<Format>> = OnceLock::new();

const OWN: &str = r##"
kind = "csv"
header = true
flexible = true
at = "t"
path = "p"
status = "s"
"##;

fuzz_target!(|data: &[u8]| lines::read(&FORMATS, "csv", OWN, data));
