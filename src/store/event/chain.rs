//! How an event is bound to the one before it.
//!
//! A seal is SHA-256, in hexadecimal digits, over the seal before it (64 digits; zeros before the first event) and the
//! row in this form: position and time, each a signed 64-bit number, highest byte first; then id, kind, project,
//! entity, request and body, each as one byte that is 1 if there is one and 0 otherwise, the length in bytes as an
//! unsigned 64-bit number, highest byte first, and the bytes. Whoever has written the last seal down elsewhere can tell
//! whether the whole log before it is still the same.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// What stands for the seal before the first event.
pub const FIRST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What is sealed of an event: all of its row as it lies in the database.
#[derive(Debug, Clone, PartialEq, Eq, diesel::Queryable)]
pub struct Link {
    pub id: String,
    pub at: i64,
    pub kind: String,
    pub project_id: Option<String>,
    pub entity_id: Option<String>,
    pub request_id: Option<String>,
    pub body: String,
}

impl Link {
    /// The seal of this event at this place, after the event with that seal.
    pub fn seal(&self, previous: &str, position: i64) -> String {
        let mut hash = Sha256::new();
        hash.update(previous.as_bytes());
        hash.update(position.to_be_bytes());
        hash.update(self.at.to_be_bytes());
        let (id, kind, body) = (Some(&self.id), Some(&self.kind), Some(&self.body));
        for field in [id, kind, self.project_id.as_ref(), self.entity_id.as_ref(), self.request_id.as_ref(), body] {
            let text = field.map_or("", String::as_str);
            hash.update([u8::from(field.is_some())]);
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        }
        hash.finalize().iter().fold(String::with_capacity(64), |mut digits, byte| {
            // Writing to a string cannot fail.
            let _ = write!(digits, "{byte:02x}");
            digits
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> Link {
        Link {
            id: "id".into(),
            at: 1,
            kind: "kind".into(),
            project_id: Some("project".into()),
            entity_id: None,
            request_id: Some(String::new()),
            body: "{}".into(),
        }
    }

    #[test]
    fn the_seal_is_as_written_down() {
        // Computed from the form above by another program.
        assert_eq!(link().seal(FIRST, 1), "8857b03b6a1408e8d43ffe1c4121fe3ce4a07ae396c141246e624210eda35841");
    }

    #[test]
    fn every_part_counts() {
        let parts: [fn(&mut Link); 8] = [
            |link| link.id.push('x'),
            |link| link.at += 1,
            |link| link.kind.push('x'),
            |link| link.project_id = None,
            |link| link.entity_id = Some(String::new()),
            |link| link.request_id = None,
            |link| link.body.push(' '),
            // The bytes are the same, their division is not.
            |link| (link.id, link.kind) = ("i".into(), "dkind".into()),
        ];
        let mut seals = vec![link().seal(FIRST, 1), link().seal(FIRST, 2), link().seal(&link().seal(FIRST, 1), 1)];
        for change in parts {
            let mut changed = link();
            change(&mut changed);
            seals.push(changed.seal(FIRST, 1));
        }
        let count = seals.len();
        seals.sort();
        seals.dedup();
        assert_eq!(seals.len(), count);
    }
}
