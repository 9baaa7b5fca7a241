//! Bodies of text/plain and text/uri-list.
#![no_main]

use libfuzzer_sys::fuzz_target;
use occi_schema::MediaType;

fuzz_target!(|body: &[u8]| {
    occi_schema_fuzz::request(MediaType::TextPlain, &[], body);
    occi_schema_fuzz::locations(MediaType::UriList, &[], body);
});
