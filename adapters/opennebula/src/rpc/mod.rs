//! XML-RPC as the service speaks it: calls with a few types, answers of three or five values, faults.

mod answer;
mod call;
mod refusal;

#[cfg(test)]
mod tests;

pub(crate) use answer::{Answer, Value, read_answer};
pub(crate) use call::Call;
pub(crate) use refusal::Refusal;
