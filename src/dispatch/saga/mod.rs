//! The engine: claims due sagas, does or undoes their steps, and writes down before and after.
//!
//! Promises, whatever dies when:
//! - a step may be done more than once, never skipped; definitions make their steps idempotent by the intent's tag;
//! - undoing starts at the step that failed, since its effect may have happened without an answer;
//! - nobody writes for a saga without holding it: every transaction checks the fence first;
//! - what a step has learned is written in the transaction that says that it is done;
//! - the transaction that ends a saga also writes what the owner of the entity sees.

mod definition;
mod engine;
mod lead;
mod run;
mod trial;

pub use definition::{Definition, Done, Outcome, StepFailure};
pub use engine::Engine;
pub use run::Run;
pub use trial::Moment;
pub use trial::Trial;
#[cfg(test)]
pub use trial::When;
