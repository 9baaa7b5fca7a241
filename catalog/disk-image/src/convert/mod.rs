//! Writing a disk into a file of any format, with all cores.
//!
//! The source is read in windows by several threads. Each window is searched for zeros (and compressed) by the thread
//! that read it; its place in the file is given out in the disk's order ([`crew`]); and it is written again without
//! waiting for others. What a [`crate::layout`] says of the file is written last, from the layout itself.

mod crew;
mod fingerprint;
mod output;
mod ova;
mod packed_task;
mod plain_task;
mod target;
mod target_file;
mod units_task;
mod windows;
mod work;
mod zeros;

pub use output::Output;
pub use target::{Packing, Target};
pub use work::{Converted, Work};
