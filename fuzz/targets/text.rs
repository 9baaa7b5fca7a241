//! Bodies of text/plain and text/uri-list.
#![no_main]

use libfuzzer_sys::fuzz_target;
use occi_schema::MediaType;

fuzz_target!(|body: &[u8]| {
    tombolo_fuzz::occi::request(MediaType::TextPlain, &[], body);
    tombolo_fuzz::occi::locations(MediaType::UriList, &[], body);
});
