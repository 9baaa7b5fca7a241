//! Compressed disks.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tombolo_fuzz::image::{examine, seeds};

fuzz_target!(|input: &[u8]| examine(&seeds::COMPRESSED, input));
