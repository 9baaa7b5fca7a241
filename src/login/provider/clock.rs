use std::time::{SystemTime, UNIX_EPOCH};

/// What time it is. Tests turn theirs forward instead of waiting.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    #[cfg(test)]
    ahead: std::sync::Arc<std::sync::atomic::AtomicI64>,
}

impl Clock {
    /// Seconds since 1970.
    pub fn now(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        #[cfg(test)]
        let now = now + self.ahead.load(std::sync::atomic::Ordering::Relaxed);
        now
    }

    /// Turns the clock forward.
    #[cfg(test)]
    pub fn advance(&self, seconds: i64) {
        self.ahead.fetch_add(seconds, std::sync::atomic::Ordering::Relaxed);
    }
}
