//! VDI.
