//! Glance's part of the protocol (Image service API v2).

mod image;
mod schema;

pub(crate) use image::{Condition, Image};
pub(crate) use schema::formats;
