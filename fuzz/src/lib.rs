//! What must hold for every input.

pub mod image;
pub mod occi;
