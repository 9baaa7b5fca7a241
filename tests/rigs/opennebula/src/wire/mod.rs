//! XML-RPC over HTTP/1.1 as OpenNebula's daemon speaks it (xmlrpc-c's Abyss server).

pub mod answer;
pub mod arguments;
pub mod call;
pub mod http;
