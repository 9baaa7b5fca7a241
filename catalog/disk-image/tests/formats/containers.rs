//! Archives and compressed streams.
