//! Terminals that wait until a person lets them in (RFC 8628).
//!
//! A request is pending until somebody approves or denies it, and gone once its terminal has heard so: what was approved
//! is handed out once.

use std::time::Duration;

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};

use super::{
    DbConnection, StoreError, Timestamp,
    member::{ProjectId, UserId},
    row::parse_id,
    schema::device_requests,
};
use crate::login::Rights;

/// So many terminals wait at once.
const MOST_OPEN: i64 = 1000;
/// So many of one address: a class behind one router.
const MOST_OF_ADDRESS: i64 = 40;
/// Whoever shows one user code to many people does not get far.
const MOST_ENTERED: i32 = 10;
/// A terminal has to wait longer by this when it asks too soon, in seconds.
const SLOWER: i32 = 5;
/// No terminal has to wait longer between two questions, in seconds.
const SLOWEST: i32 = 120;

const PENDING: &str = "pending";
const APPROVED: &str = "approved";
const DENIED: &str = "denied";

/// A terminal that asks to be let in.
#[derive(Debug, Clone)]
pub struct NewDevice {
    /// Of what the terminal shows when it asks whether it is let in.
    pub device_code_hash: String,
    /// Of what the person enters.
    pub user_code_hash: String,
    /// What it calls itself; nobody has checked it.
    pub client: String,
    /// Where it asked from.
    pub address: String,
    /// What it wants to do.
    pub rights: Rights,
    /// How long it waits between two questions, in seconds.
    pub interval_seconds: i32,
    /// From when on it is void.
    pub expires_at: Timestamp,
}

/// Whether a terminal may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// It does.
    Waits,
    /// Too many do already.
    TooMany,
    /// Too many do already that have asked from the same address.
    TooManyOfAddress,
}

/// What a terminal hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Polled {
    /// There is none of this code; or it has heard its answer.
    Unknown,
    /// Nobody has let it in in time.
    Expired,
    /// Nobody has decided yet.
    Pending,
    /// As before; and it has asked too soon. From now on it has to wait so many seconds.
    SlowDown(i32),
    /// Somebody has said no.
    Denied,
    /// Somebody has let it in. This is said once.
    Approved(Approval),
}

/// What a person has let a terminal do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// The person.
    pub user: UserId,
    /// The project to act in.
    pub project: ProjectId,
    /// What for.
    pub rights: Rights,
    /// For how many days.
    pub days: i32,
    /// What the terminal calls itself.
    pub client: String,
}

/// What a person is shown about a terminal before they decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// What it calls itself; nobody has checked it.
    pub client: String,
    /// Where it asked from.
    pub address: String,
    /// What it wants to do.
    pub rights: Rights,
    /// When it asked.
    pub created_at: Timestamp,
}

/// What a person decides about a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Lets it in.
    Approve {
        /// The person.
        user: UserId,
        /// The project to act in.
        project: ProjectId,
        /// What for.
        rights: Rights,
        /// For how many days.
        days: i32,
    },
    /// Does not.
    Deny,
}

/// Lets the terminal wait, if there is room. Those whose time is over go first.
///
/// # Errors
/// The database failed.
pub fn open(connection: &mut DbConnection, new: &NewDevice, now: Timestamp) -> Result<Opened, StoreError> {
    // A terminal that asks late is told that it is late, not that it is unknown.
    let forgotten = now.minus(Duration::from_secs(600));
    diesel::delete(device_requests::table.filter(device_requests::expires_at.le(forgotten.0))).execute(connection)?;
    let open = device_requests::table.filter(device_requests::expires_at.gt(now.0));
    let count: i64 = open.count().get_result(connection)?;
    if count >= MOST_OPEN {
        return Ok(Opened::TooMany);
    }
    let of_address = open.filter(device_requests::address.eq(&new.address));
    let count: i64 = of_address.count().get_result(connection)?;
    if count >= MOST_OF_ADDRESS {
        return Ok(Opened::TooManyOfAddress);
    }
    diesel::insert_into(device_requests::table)
        .values((
            device_requests::device_code_hash.eq(&new.device_code_hash),
            device_requests::user_code_hash.eq(&new.user_code_hash),
            device_requests::client.eq(&new.client),
            device_requests::address.eq(&new.address),
            device_requests::rights.eq(new.rights.to_string()),
            device_requests::created_at.eq(now.0),
            device_requests::expires_at.eq(new.expires_at.0),
            device_requests::interval_seconds.eq(new.interval_seconds),
            device_requests::state.eq(PENDING),
            device_requests::entered.eq(0),
        ))
        .execute(connection)?;
    Ok(Opened::Waits)
}

/// Whether there is a terminal of this code, waiting or not.
///
/// # Errors
/// The database failed.
pub fn is_known(connection: &mut DbConnection, device_code_hash: &str) -> Result<bool, StoreError> {
    let this = device_requests::table.filter(device_requests::device_code_hash.eq(device_code_hash));
    let query = this.select(device_requests::expires_at);
    let found: Option<i64> = on_either!(connection, either => query.get_result(either).optional())?;
    Ok(found.is_some())
}

type Asked = (String, String, String, i64, Option<i64>, i32, Option<String>, Option<String>, Option<i32>);

/// What the terminal of this code hears. Only an approval that it hears takes it off the list: who is too late, or was
/// denied, hears so again.
///
/// # Errors
/// The database failed.
pub fn poll(connection: &mut DbConnection, device_code_hash: &str, now: Timestamp) -> Result<Polled, StoreError> {
    let this = device_requests::table.filter(device_requests::device_code_hash.eq(device_code_hash));
    let found: Option<Asked> = this
        .select((
            device_requests::state,
            device_requests::client,
            device_requests::rights,
            device_requests::expires_at,
            device_requests::polled_at,
            device_requests::interval_seconds,
            device_requests::user_id,
            device_requests::project_id,
            device_requests::days,
        ))
        .get_result(connection)
        .optional()?;
    let Some((state, client, rights, expires_at, polled_at, interval, user, project, days)) = found else {
        return Ok(Polled::Unknown);
    };
    if expires_at <= now.0 {
        return Ok(Polled::Expired);
    }
    match (state.as_str(), user, project, days) {
        (PENDING, ..) => {
            let soonest = polled_at.map(|at| Timestamp(at).plus(seconds(interval)));
            let too_soon = soonest.is_some_and(|soonest| now < soonest);
            let interval = if too_soon { (interval + SLOWER).min(SLOWEST) } else { interval };
            diesel::update(this)
                .set((device_requests::polled_at.eq(Some(now.0)), device_requests::interval_seconds.eq(interval)))
                .execute(connection)?;
            Ok(if too_soon { Polled::SlowDown(interval) } else { Polled::Pending })
        }
        (APPROVED, Some(user), Some(project), Some(days)) => {
            let user = UserId(parse_id("device_requests", &user)?);
            let project = ProjectId(parse_id("device_requests", &project)?);
            let rights = read_rights(&rights)?;
            diesel::delete(this).execute(connection)?;
            Ok(Polled::Approved(Approval { user, project, rights, days, client }))
        }
        _ => Ok(Polled::Denied),
    }
}

/// The terminal whose user code somebody has entered; `None` if there is none that waits. A code that was entered too
/// often is denied.
///
/// # Errors
/// The database failed.
pub fn enter(
    connection: &mut DbConnection,
    user_code_hash: &str,
    now: Timestamp,
) -> Result<Option<Waiting>, StoreError> {
    let this = device_requests::table.filter(device_requests::user_code_hash.eq(user_code_hash));
    let found: Option<(String, String, String, String, i64, i64, i32)> = this
        .select((
            device_requests::state,
            device_requests::client,
            device_requests::address,
            device_requests::rights,
            device_requests::created_at,
            device_requests::expires_at,
            device_requests::entered,
        ))
        .get_result(connection)
        .optional()?;
    let Some((state, client, address, rights, created_at, expires_at, entered)) = found else { return Ok(None) };
    if state != PENDING || expires_at <= now.0 {
        return Ok(None);
    }
    if entered >= MOST_ENTERED {
        diesel::update(this).set(device_requests::state.eq(DENIED)).execute(connection)?;
        return Ok(None);
    }
    diesel::update(this).set(device_requests::entered.eq(entered + 1)).execute(connection)?;
    Ok(Some(Waiting { client, address, rights: read_rights(&rights)?, created_at: Timestamp(created_at) }))
}

/// Decides about the terminal of this user code, once, and answers whether it did.
///
/// # Errors
/// The database failed.
pub fn decide(
    connection: &mut DbConnection,
    user_code_hash: &str,
    decision: &Decision,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let this = device_requests::table
        .filter(device_requests::user_code_hash.eq(user_code_hash))
        .filter(device_requests::state.eq(PENDING))
        .filter(device_requests::expires_at.gt(now.0));
    let decided = match decision {
        Decision::Deny => diesel::update(this).set(device_requests::state.eq(DENIED)).execute(connection)?,
        Decision::Approve { user, project, rights, days } => diesel::update(this)
            .set((
                device_requests::state.eq(APPROVED),
                device_requests::user_id.eq(Some(user.0.to_string())),
                device_requests::project_id.eq(Some(project.0.to_string())),
                device_requests::rights.eq(rights.to_string()),
                device_requests::days.eq(Some(*days)),
            ))
            .execute(connection)?,
    };
    Ok(decided == 1)
}

fn read_rights(text: &str) -> Result<Rights, StoreError> {
    text.parse().map_err(|error: crate::login::UnknownName| StoreError::Unreadable {
        table: "device_requests",
        id: "?".into(),
        reason: error.to_string(),
    })
}

fn seconds(number: i32) -> Duration {
    Duration::from_secs(u64::try_from(number).unwrap_or_default())
}
