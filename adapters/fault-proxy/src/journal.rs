//! What the proxy has seen: so that storms of retries can be counted, and old answers be given again.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use tokio::time::Instant;

use crate::{Answer, Request};

/// Of requests, and of their bodies in bytes.
const MOST_REQUESTS: usize = 20_000;
const MOST_BODY: usize = 16 << 10;
/// Of answers that may be given again, and of their bodies in bytes.
const MOST_ANSWERS: usize = 200;
const MOST_ANSWER: usize = 1 << 20;

/// A request that was seen.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The request; of its body only the beginning.
    pub request: Request,
    /// When it was read wholly.
    pub at: Instant,
    /// Whether anything was ordered for it.
    pub faulty: bool,
}

/// Old answers, by what was asked.
pub(crate) type Answers = BTreeMap<(String, String, Vec<u8>), Arc<Answer>>;

#[derive(Default)]
pub(crate) struct Journal {
    seen: VecDeque<Seen>,
    answers: Answers,
    order: VecDeque<(String, String, Vec<u8>)>,
}

pub(crate) fn key(request: &Request) -> (String, String, Vec<u8>) {
    (request.method.clone(), request.target.clone(), request.body.to_vec())
}

impl Journal {
    pub(crate) fn note(&mut self, request: &Request, faulty: bool) {
        if self.seen.len() == MOST_REQUESTS {
            self.seen.pop_front();
        }
        let body = request.body.slice(..request.body.len().min(MOST_BODY));
        self.seen.push_back(Seen { request: Request { body, ..request.clone() }, at: Instant::now(), faulty });
    }

    /// An answer that the service gave and nobody touched.
    pub(crate) fn keep(&mut self, request: &Request, answer: Answer) {
        if request.body.len() > MOST_BODY || answer.body.len() > MOST_ANSWER {
            return;
        }
        let key = key(request);
        if self.answers.insert(key.clone(), Arc::new(answer)).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > MOST_ANSWERS {
            if let Some(oldest) = self.order.pop_front() {
                self.answers.remove(&oldest);
            }
        }
    }

    pub(crate) fn answers(&self) -> Answers {
        self.answers.clone()
    }

    pub(crate) fn seen(&self) -> impl Iterator<Item = &Seen> {
        self.seen.iter()
    }

    pub(crate) fn forget(&mut self) {
        self.seen.clear();
    }
}
