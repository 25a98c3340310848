//! Formats of kind `w3c` read any bytes.
#![no_main]

mod lines;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use overstay::formats::Format;

static FORMATS: OnceLock<Vec<Format>> = OnceLock::new();

const OWN: &str = r##"
kind = "w3c"
at = "date time"
path = "cs-uri-stem"
query = "cs-uri-query"
status = "sc-status"
credential = { header = "X-Key" }
"##;

fuzz_target!(|data: &[u8]| lines::read(&FORMATS, "w3c", OWN, data));
