//! Keystone v3: who we are, and where the other services are.

mod catalogue;
mod login;
mod session;
mod token;

pub(crate) use catalogue::Catalogue;
pub(crate) use session::Session;
pub(crate) use token::Token;
