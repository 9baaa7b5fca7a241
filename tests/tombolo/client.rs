//! HTTP clients of the tests.

use reqwest::{Client, ClientBuilder};

/// One to be completed. TLS wants a provider of cryptography, which the tests' process has to choose.
pub fn builder() -> ClientBuilder {
    // A second choice is refused, and the first one stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
}

/// One that is like any other.
pub fn client() -> Client {
    builder().build().unwrap()
}
