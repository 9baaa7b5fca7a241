//! The simulator behind a Unix socket, so that it outlives a broker that is killed, and several brokers share it.
//!
//! One connection carries many calls at a time. A frame is the length of its body and the number of its call, both
//! big-endian (32 and 64 bits), and a body in JSON; no body says that the caller has gone. A call that reached the
//! server is finished all the same, but for one that was told to hang. Images travel by digest and size alone: their
//! machines' saved disks read as zeros.

mod answering;
mod client;
mod control;
mod frame;
mod line;
mod parts;
mod server;
mod wire;

pub use client::SimulatorClient;
pub use control::SimulatorControl;
pub use server::serve;
