//! Answers of real daemons, for tests.

use crate::rpc::{Answer, read_answer};

/// The body of a recorded answer.
pub(crate) fn recording(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/recordings/{name}.xml", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A recorded answer.
pub(crate) fn answer(name: &str) -> Answer {
    read_answer(&recording(name)).unwrap()
}

/// The document of a recorded answer.
pub(crate) fn document(name: &str) -> String {
    answer(name).unwrap().text().unwrap()
}
