//! Bodies of application/occi+json, in both shapes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use occi_schema::MediaType;

fuzz_target!(|body: &[u8]| {
    tombolo_fuzz::occi::request(MediaType::Json, &[], body);
    tombolo_fuzz::occi::request(MediaType::LegacyJson, &[], body);
});
