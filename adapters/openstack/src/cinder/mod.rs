//! Cinder's part of the protocol (Block Storage API v3).

mod limits;
mod volume;

pub(crate) use limits::VolumeLimits;
pub(crate) use volume::{CinderVolume, Copy};
