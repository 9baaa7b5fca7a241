//! A proxy on loopback between an adapter and its service, which breaks what it is told to break. For tests only, and
//! therefore a crate of its own: what the product contains need not carry it.
//!
//! [`FaultProxy`] is a reverse proxy in front of one service and an HTTP/1.1 forward proxy for all at the same time:
//! a request whose target is a whole URL (RFC 9112 section 3.2.2) goes there, any other one to the upstream. An adapter
//! of several services takes it as its proxy, one of a single service may take it as that service.

mod door;
mod exchange;
mod expired;
mod fault;
mod journal;
mod proxy;
mod reading;
pub mod suite;
mod upstream;
mod which;

pub use exchange::{Answer, Request};
pub use expired::ExpiredService;
pub use fault::{Fault, Times};
pub use journal::Seen;
pub use proxy::FaultProxy;
pub use which::Which;
