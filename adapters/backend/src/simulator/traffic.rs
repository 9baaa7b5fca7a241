//! Who calls, how often, and how many at once.

use std::collections::BTreeMap;

use super::{Operation, Simulator};
use crate::request::{self, RequestId};

#[derive(Default)]
pub(super) struct Traffic {
    of: BTreeMap<Operation, Count>,
    all: Count,
}

/// Of the calls of one kind, or of all.
#[derive(Default)]
pub(super) struct Count {
    pub(super) calls: u64,
    pub(super) under_way: usize,
    pub(super) most_at_once: usize,
    pub(super) last_request: Option<RequestId>,
}

impl Count {
    fn enter(&mut self, request: Option<RequestId>) {
        self.calls += 1;
        self.under_way += 1;
        self.most_at_once = self.most_at_once.max(self.under_way);
        self.last_request = request;
    }
}

impl Traffic {
    pub(super) fn of(&self, operation: Operation) -> Option<&Count> {
        self.of.get(&operation)
    }

    pub(super) fn all(&self) -> &Count {
        &self.all
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Operation, &Count)> {
        self.of.iter().map(|(operation, count)| (*operation, count))
    }
}

/// A call under way, counted until it is dropped: a caller may go at any moment.
pub(super) struct Visit {
    simulator: Simulator,
    operation: Operation,
}

impl Visit {
    pub(super) fn begin(simulator: &Simulator, operation: Operation) -> Self {
        let request = request::current();
        let traffic = &mut simulator.lock().traffic;
        traffic.of.entry(operation).or_default().enter(request.clone());
        traffic.all.enter(request);
        Self { simulator: simulator.clone(), operation }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let traffic = &mut self.simulator.lock().traffic;
        traffic.all.under_way -= 1;
        if let Some(count) = traffic.of.get_mut(&self.operation) {
            count.under_way -= 1;
        }
    }
}
