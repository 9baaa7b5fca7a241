//! The adapter against a recorded OpenStack, and against a real one where there is one.

mod creates;
mod faults;
mod lists;
mod login;
mod options;
mod real;
mod recorded;
