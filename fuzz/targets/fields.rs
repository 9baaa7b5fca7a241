//! Header fields of text/occi: one `name: value` per line of the input.
#![no_main]

use libfuzzer_sys::fuzz_target;
use occi_schema::MediaType;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let fields: Vec<(&str, &str)> = text.split('\n').filter_map(|line| line.split_once(": ")).collect();
    tombolo_fuzz::occi::request(MediaType::TextOcci, &fields, b"");
});
