//! Sign-ins that failed. Strangers cause them, so that they are told of only as long as they are few.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde_json::json;

use super::told::{self, Told};
use crate::{request, store::Db};

/// So many a minute are told one by one.
const MOST_TOLD: u32 = 20;
const MINUTE: Duration = Duration::from_secs(60);
/// What is kept of what a stranger calls themselves, in characters.
const LONGEST: usize = 64;

/// What has happened in the present minute.
struct Window {
    since: Option<Instant>,
    told: u32,
    untold: u64,
}

static WINDOW: Mutex<Window> = Mutex::new(Window { since: None, told: 0, untold: 0 });

/// What becomes of one more.
#[derive(Debug, PartialEq, Eq)]
enum Telling {
    /// It is told, and before it how many were not.
    Tell(u64),
    /// It is only counted.
    Count,
}

impl Window {
    fn one_more(&mut self, now: Instant) -> Telling {
        let mut untold = 0;
        if self.since.is_none_or(|since| now.duration_since(since) >= MINUTE) {
            untold = self.untold;
            *self = Self { since: Some(now), told: 0, untold: 0 };
        }
        if self.told == MOST_TOLD {
            self.untold += 1;
            return Telling::Count;
        }
        self.told += 1;
        Telling::Tell(untold)
    }
}

/// A sign-in has failed at a door (`password`, `link`, `provider school`), for a reason that names no secret, under a
/// name that a stranger has given, if they gave one.
pub async fn tell(db: &Db, door: &str, name: Option<&str>, reason: &str) {
    let telling = WINDOW.lock().unwrap_or_else(PoisonError::into_inner).one_more(Instant::now());
    let Telling::Tell(untold) = telling else { return };
    let name: Option<String> = name.map(|name| name.chars().filter(|c| !c.is_control()).take(LONGEST).collect());
    let reason: String = reason.chars().filter(|c| !c.is_control()).take(4 * LONGEST).collect();
    let (door, from) = (door.to_owned(), request::address());
    let written = db.write(move |connection| {
        if untold > 0 {
            told::record(connection, Told::new("login.failed-more", json!({ "count": untold })), None)?;
        }
        let body = json!({ "door": door, "name": name, "from": from, "reason": reason });
        told::record(connection, Told::new("login.failed", body), None)
    });
    if let Err(error) = written.await {
        tracing::warn!(%error, "a failed sign-in could not be written down");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_in_one_event() {
        let begun = Instant::now();
        let mut window = Window { since: None, told: 0, untold: 0 };
        let told = (0..1000).filter(|_| window.one_more(begun) == Telling::Tell(0)).count();
        assert_eq!(told, 20);
        assert_eq!(window.one_more(begun + MINUTE / 2), Telling::Count);
        assert_eq!(window.one_more(begun + MINUTE), Telling::Tell(981));
        assert_eq!(window.one_more(begun + MINUTE), Telling::Tell(0));
    }
}
