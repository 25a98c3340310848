//! Formats of kind `pattern` read any bytes.
#![no_main]

mod lines;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use overstay::formats::Format;

static FORMATS: OnceLock<Vec<Format>> = OnceLock::new();

const OWN: &str = r##"
kind = "pattern"
pattern = '$remote_user [$time_local] $request,$status "$http_x_a" $uri $args $request_time'
credential = [{ query = "key" }, "remote_user"]
"##;

fuzz_target!(|data: &[u8]| lines::read(&FORMATS, "pattern", OWN, data));
