use std::{fmt, sync::Arc};

use crate::Request;

type Test = Arc<dyn Fn(&Request) -> bool + Send + Sync>;

/// Which requests are meant: those to which everything applies that was named; all when nothing was.
#[derive(Clone, Default)]
pub struct Which {
    tests: Vec<Test>,
}

impl Which {
    /// All requests.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Those of this method.
    #[must_use]
    pub fn of(method: &str) -> Self {
        Self::any().method(method)
    }

    /// And of this method.
    #[must_use]
    pub fn method(self, method: &str) -> Self {
        let method = method.to_owned();
        self.that(move |request| request.method == method)
    }

    /// And with this in the target: in its authority, path or query.
    #[must_use]
    pub fn to(self, part: &str) -> Self {
        let part = part.to_owned();
        self.that(move |request| request.target.contains(&part))
    }

    /// And with a path that ends so.
    #[must_use]
    pub fn path_ending(self, end: &str) -> Self {
        let end = end.to_owned();
        self.that(move |request| request.path().ends_with(&end))
    }

    /// And with this in the body.
    #[must_use]
    pub fn saying(self, part: impl Into<Vec<u8>>) -> Self {
        let part = part.into();
        self.that(move |request| {
            part.is_empty() || request.body.windows(part.len()).any(|window| window == part.as_slice())
        })
    }

    /// And for which this is true.
    #[must_use]
    pub fn that(mut self, test: impl Fn(&Request) -> bool + Send + Sync + 'static) -> Self {
        self.tests.push(Arc::new(test));
        self
    }

    /// Whether the request is one of them.
    #[must_use]
    pub fn means(&self, request: &Request) -> bool {
        self.tests.iter().all(|test| test(request))
    }
}

impl fmt::Debug for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Which").field("tests", &self.tests.len()).finish()
    }
}
