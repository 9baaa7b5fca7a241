//! Who stands before us on the way of a request, so that brokers behind brokers notice a circle.

use backend::request::{self, Trail};
use uuid::Uuid;

pub(crate) use backend::request::TRAIL_HEADER as HEADER;

/// The trail of the present request, and this broker behind it.
pub(crate) fn with(broker: Uuid) -> String {
    let trail = request::current_trail().unwrap_or_default();
    // A trail that is full is refused where it arrives, with words for whoever waits.
    trail.followed_by(broker).unwrap_or(trail).to_string()
}

/// The brokers that a server names, the nearest first: itself and who is behind it.
pub(crate) fn behind(field: &str) -> Vec<String> {
    field.parse::<Trail>().map(|trail| trail.brokers().iter().map(Uuid::to_string).collect()).unwrap_or_default()
}
