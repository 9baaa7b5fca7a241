use std::net::IpAddr;

use thiserror::Error;

use super::{MOST_REDIRECTS, STALLED};

/// Why something was not fetched. Addresses of others are told without what stands behind `?`, which may be a credential.
#[derive(Debug, Error)]
pub enum DownloadError {
    /// The address is none that is fetched.
    #[error("{url}: {problem}")]
    Unfit {
        /// The address.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// What the address leads to is not reached.
    #[error(
        "{host} leads to {address}, which {reason}; if that is meant, say --allow-private, or name the network in \
         [marketplace] import_from"
    )]
    OutOfReach {
        /// The name or address.
        host: String,
        /// What it stands for.
        address: IpAddr,
        /// What that is.
        reason: &'static str,
    },
    /// No connection, or one that ended.
    #[error("{host}: {reason}")]
    Connection {
        /// The other side.
        host: String,
        /// What happened.
        reason: String,
    },
    /// An answer other than the thing.
    #[error("{url} answers {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// The answer.
        status: u16,
    },
    /// One leads to the other.
    #[error("it is redirected more than {MOST_REDIRECTS} times")]
    Redirects,
    /// Longer than it may be.
    #[error("{url} is longer than {longest} bytes")]
    TooLong {
        /// What was asked for.
        url: String,
        /// The limit.
        longest: u64,
    },
    /// Nothing came.
    #[error("{url}: nothing came for {} s", STALLED.as_secs())]
    Stalled {
        /// What was asked for.
        url: String,
    },
    /// What came could not be kept.
    #[error("what came cannot be kept: {0}")]
    Kept(#[source] std::io::Error),
}
