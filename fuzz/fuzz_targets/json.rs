//! Formats of kind `json` read any bytes.
#![no_main]

mod lines;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use overstay::formats::Format;

static FORMATS: OnceLock<Vec<Format>> = OnceLock::new();

const OWN: &str = r##"
kind = "json"
headers = "h"
embedded = "e"
prefixed = true
at = ["t", "/u/0"]
path = "p.q"
query = "q"
credential = [{ header = "X-Key" }, { query = "key" }, "/l/{name=x}/v"]
status = { field = "s", map = { "*denied*" = "denied" } }
latency = { field = "l", unit = "written" }
bytes = "b"
subject = ["a.b.c", { route = "user" }]
"##;

fuzz_target!(|data: &[u8]| lines::read(&FORMATS, "json", OWN, data));
