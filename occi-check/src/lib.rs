//! A black-box tester for any OCCI server: the numbered checks of the documents, and of the clients in use.
//!
//! It knows nothing of any server's code, and reads answers with a parser of its own.

#[macro_use]
mod check;

mod address;
mod answer;
mod checks;
mod connection;
mod draft;
mod exchange;
mod fixture;
mod ledger;
mod model;
mod names;
mod options;
pub mod report;
mod request;
mod run;
mod selection;
mod session;
mod settling;

use thiserror::Error;

pub use check::{Check, Level, Section};
pub use checks::sections;
pub use exchange::{Exchange, Purpose};
pub use options::{Credentials, Mode, Options};
pub use report::Report;
pub use run::check;
pub use selection::Selection;

/// Why a server could not be tested at all.
#[derive(Debug, Error)]
pub enum CheckError {
    /// The address is not one.
    #[error("{url:?} cannot be tested: {problem}")]
    Address {
        /// As it was given, without credentials.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// No secure connection can be made.
    #[error("no TLS: {0}")]
    Tls(String),
    /// There is no OCCI server, or it does not let us in.
    #[error("{url} cannot be tested: {problem}")]
    Untestable {
        /// The server's address.
        url: String,
        /// What happened instead.
        problem: String,
    },
}
