//! Whether the log is what was sealed, and whether what it tells of usage is what is reserved.

use std::{collections::BTreeMap, fmt, time::Duration};

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};

use super::{
    chain::{FIRST, Link},
    last_position, sealed,
};
use crate::store::{
    DbConnection, StoreError, Timestamp,
    ledger::{Difference, Ledger, Unreadable},
    member::ProjectId,
    reservation::{self, Usage},
    schema::events,
    snapshot::read_snapshot,
};

/// How many rows are in memory at once.
const PAGE: i64 = 500;
/// How many faults are told one by one.
const MOST_FAULTS: usize = 100;
/// How long an event may wait for its place.
const SEALED_WITHIN: Duration = Duration::from_secs(60);

/// What [`verify`] has found.
#[derive(Debug, Clone)]
pub struct Verification {
    /// How many events have a place.
    pub events: i64,
    /// How many wait for one.
    pub unsealed: i64,
    /// The seal of the last one; 64 zeros in an empty log. Written down elsewhere together with `events`, it is what
    /// the log can be held to later.
    pub last_seal: String,
    /// What is wrong with the log, at most 100 of it.
    pub faults: Vec<Fault>,
    /// How many faults there are beside those.
    pub more_faults: u64,
    /// What each project takes according to the log; none that takes nothing.
    pub usage: BTreeMap<ProjectId, Usage>,
    /// Where the log and the reservations tell different things.
    pub differences: Vec<Difference>,
}

impl Verification {
    /// Whether nothing at all is wrong.
    #[cfg(test)]
    pub fn is_good(&self) -> bool {
        self.faults.is_empty() && self.differences.is_empty()
    }
}

/// What is wrong with the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// No event has these places. The one after them cannot be checked.
    Missing {
        /// The first place.
        first: i64,
        /// The last place.
        last: i64,
    },
    /// The log ends too early.
    Cut {
        /// The last place in it.
        last: i64,
        /// How many events were sealed.
        sealed: i64,
    },
    /// The event is not what was sealed, or not at its place, or not after the event that was there.
    Changed {
        /// Its place.
        position: i64,
        /// Its id.
        id: String,
    },
    /// What the event tells of usage cannot be read.
    Unreadable {
        /// Its id.
        id: String,
        /// Why.
        reason: String,
    },
    /// Events have been waiting for their places for more than a minute.
    Unsealed {
        /// How many wait.
        count: i64,
        /// Since when.
        oldest: Timestamp,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { first, last } if first == last => {
                write!(f, "event {first} is missing; compare with a backup")
            }
            Self::Missing { first, last } => write!(f, "events {first} to {last} are missing; compare with a backup"),
            Self::Cut { last, sealed } => {
                write!(f, "the log ends with event {last}, but {sealed} were sealed; compare with a backup")
            }
            Self::Changed { position, id } => {
                write!(f, "event {position} ({id}) is not what was sealed there; compare with a backup")
            }
            Self::Unreadable { id, reason } => write!(f, "event {id} cannot be read: {reason}; compare with a backup"),
            Self::Unsealed { count, oldest } => {
                write!(f, "{count} events wait for their seal, the oldest since {oldest}; is a server running?")
            }
        }
    }
}

/// Walks through the whole log, computes every seal again and adds up what the events tell of usage. A server may go on
/// meanwhile: what is compared is the state of one moment. Not for use within a transaction.
///
/// # Errors
/// The database failed.
pub fn verify(connection: &mut DbConnection) -> Result<Verification, StoreError> {
    let mut walk = read_snapshot(connection, Walk::begin)?;
    while walk.page(connection)? {}
    Ok(walk.end())
}

/// An event as it lies in the database, with its place and seal.
type Row = (String, i64, String, Option<String>, Option<String>, Option<String>, String, Option<i64>, Option<String>);

/// One that has no place yet, with what counts of it.
type UnsealedRow = (String, i64, Option<String>, Option<String>, String);

/// On the way through the log.
struct Walk {
    /// The last place at the beginning of the walk; what comes later is not looked at.
    end: i64,
    sealed: i64,
    /// Rows up to this place were read.
    after: i64,
    /// The place that comes next.
    expected: i64,
    /// The seal before it, if it is known.
    previous: Option<String>,
    last_seal: String,
    events: i64,
    unsealed: i64,
    faults: Vec<Fault>,
    more_faults: u64,
    ledger: Ledger,
    reserved: Ledger,
}

impl Walk {
    /// Reads what belongs to one moment: what is reserved, what is not sealed, and how far what is sealed goes.
    fn begin(connection: &mut DbConnection) -> Result<Self, StoreError> {
        let mut walk = Self {
            end: last_position(connection)?,
            sealed: sealed(connection)?,
            after: i64::MIN,
            expected: 1,
            previous: Some(FIRST.to_owned()),
            last_seal: FIRST.to_owned(),
            events: 0,
            unsealed: 0,
            faults: Vec::new(),
            more_faults: 0,
            ledger: Ledger::default(),
            reserved: reservation::all(connection)?,
        };
        walk.read_unsealed(connection)?;
        Ok(walk)
    }

    fn read_unsealed(&mut self, connection: &mut DbConnection) -> Result<(), StoreError> {
        let (mut last, mut oldest) = (String::new(), Timestamp(i64::MAX));
        loop {
            let page = events::table
                .filter(events::position.is_null())
                .filter(events::id.gt(&last))
                .order(events::id.asc())
                .limit(PAGE)
                .select((events::id, events::at, events::project_id, events::entity_id, events::body));
            let rows: Vec<UnsealedRow> = on_either!(connection, either => page.load(either))?;
            for (id, at, project, entity, body) in &rows {
                self.unsealed += 1;
                oldest = oldest.min(Timestamp(*at));
                let applied = self.ledger.apply(project.as_deref(), entity.as_deref(), body);
                self.note_unreadable(id, applied);
            }
            match rows.into_iter().last() {
                Some((id, ..)) => last = id,
                None => break,
            }
        }
        if self.unsealed > 0 && oldest < Timestamp::now().minus(SEALED_WITHIN) {
            self.note(Fault::Unsealed { count: self.unsealed, oldest });
        }
        Ok(())
    }

    /// Takes the next rows; answers whether there were any.
    fn page(&mut self, connection: &mut DbConnection) -> Result<bool, StoreError> {
        let page = events::table
            .filter(events::position.gt(self.after))
            .filter(events::position.le(self.end))
            .order(events::position.asc())
            .limit(PAGE)
            .select((
                events::id,
                events::at,
                events::kind,
                events::project_id,
                events::entity_id,
                events::request_id,
                events::body,
                events::position,
                events::seal,
            ));
        let rows: Vec<Row> = on_either!(connection, either => page.load(either))?;
        let found = !rows.is_empty();
        for row in rows {
            self.step(row);
        }
        Ok(found)
    }

    fn step(&mut self, (id, at, kind, project_id, entity_id, request_id, body, position, seal): Row) {
        let position = position.unwrap_or_default();
        self.after = position;
        self.events += 1;
        if position > self.expected {
            self.note(Fault::Missing { first: self.expected, last: position - 1 });
            self.previous = None;
        }
        let link = Link { id, at, kind, project_id, entity_id, request_id, body };
        let is_as_sealed = match (&self.previous, &seal) {
            _ if position < 1 => false,
            (Some(previous), Some(seal)) => link.seal(previous, position) == *seal,
            (None, Some(_)) => true,
            (_, None) => false,
        };
        if !is_as_sealed {
            self.note(Fault::Changed { position, id: link.id.clone() });
        }
        let applied = self.ledger.apply(link.project_id.as_deref(), link.entity_id.as_deref(), &link.body);
        self.note_unreadable(&link.id, applied);
        if position >= 1 {
            self.expected = position.saturating_add(1);
            // Goes on with what stands there, so that one changed event is one fault.
            self.last_seal = seal.clone().unwrap_or_default();
            self.previous = seal;
        }
    }

    fn end(mut self) -> Verification {
        let last = self.expected - 1;
        if self.sealed > last {
            self.note(Fault::Cut { last, sealed: self.sealed });
        }
        Verification {
            events: self.events,
            unsealed: self.unsealed,
            last_seal: self.last_seal,
            faults: self.faults,
            more_faults: self.more_faults,
            usage: self.ledger.by_project(),
            differences: self.ledger.differences(&self.reserved),
        }
    }

    fn note_unreadable(&mut self, id: &str, applied: Result<(), Unreadable>) {
        if let Err(Unreadable(reason)) = applied {
            self.note(Fault::Unreadable { id: id.to_owned(), reason });
        }
    }

    fn note(&mut self, fault: Fault) {
        if self.faults.len() < MOST_FAULTS {
            self.faults.push(fault);
        } else {
            self.more_faults += 1;
        }
    }
}
