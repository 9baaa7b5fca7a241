//! Bodies of application/occi+json, in both shapes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use occi_schema::MediaType;

fuzz_target!(|body: &[u8]| {
    occi_schema_fuzz::request(MediaType::Json, &[], body);
    occi_schema_fuzz::request(MediaType::LegacyJson, &[], body);
});
