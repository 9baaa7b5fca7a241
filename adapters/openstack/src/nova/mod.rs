//! Nova's part of the protocol (Compute API 2.1 with microversions).

mod flavor;
mod limits;
mod server;

pub(crate) use flavor::{Flavor, offers};
pub(crate) use limits::ComputeLimits;
pub(crate) use server::{Server, Situation};
