//! Disks of VMware, in one file, or described by a text beside others.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tombolo_fuzz::image::{examine, seeds};

fuzz_target!(|input: &[u8]| examine(&seeds::VMDK, input));
