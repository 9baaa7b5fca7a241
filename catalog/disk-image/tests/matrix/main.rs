//! Every format into every format, with disks of every kind, before two judges: `qemu-img`, and the Python package
//! dissect.hypervisor through `tests/rigs/images/judge`.
//!
//! One test for each kind of disk ([`pairs`]) makes an image of it in each form of `source::SOURCES`, writes each as
//! each of `target::TARGETS`, and has the files judged. Whatever a judge cannot do stands in these two tables with the
//! reason. A machine without a judge fails these tests rather than passing them unseen.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "all of this is tests")]

mod content;
mod conversion;
mod judges;
mod limits;
mod pairs;
mod sameness;
mod source;
mod target;
