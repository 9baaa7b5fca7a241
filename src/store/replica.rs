//! Processes that work on sagas, and who watches which site.
//!
//! No clock of the database or of a host decides who is alive: each replica raises its own beat, and looks at the beats
//! of the others. One that stands still for long enough *by the looker's monotonic clock* is buried: its row goes, and
//! with it its right to everything it held.

use diesel::{
    ExpressionMethods, NullableExpressionMethods, QueryDsl, RunQueryDsl,
    dsl::{exists, not},
};

use super::{
    DbConnection, StoreError, Timestamp, saga,
    schema::{replicas, sagas, watches},
};

/// One replica, and how far its beat has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    /// Which one.
    pub replica: String,
    /// How often it has beaten.
    pub count: i64,
}

/// Makes a new replica known.
///
/// # Errors
/// The database failed.
pub fn register(connection: &mut DbConnection, replica: &str) -> Result<(), StoreError> {
    diesel::insert_into(replicas::table)
        .values((replicas::id.eq(replica), replicas::beat.eq(0), replicas::started_at.eq(Timestamp::now().0)))
        .execute(connection)?;
    Ok(())
}

/// Raises the replica's beat; answers whether it is known at all, or was buried by another one.
///
/// # Errors
/// The database failed.
pub fn beat(connection: &mut DbConnection, replica: &str) -> Result<bool, StoreError> {
    let own = replicas::table.filter(replicas::id.eq(replica));
    Ok(diesel::update(own).set(replicas::beat.eq(replicas::beat + 1)).execute(connection)? == 1)
}

/// All replicas.
///
/// # Errors
/// The database failed.
pub fn beats(connection: &mut DbConnection) -> Result<Vec<Beat>, StoreError> {
    let rows: Vec<(String, i64)> = replicas::table.select((replicas::id, replicas::beat)).load(connection)?;
    Ok(rows.into_iter().map(|(replica, count)| Beat { replica, count }).collect())
}

/// Takes everything from a replica whose beat still stands at `count`, and answers how many sagas that were; none if it
/// has beaten since.
///
/// # Errors
/// The database failed.
pub fn bury(connection: &mut DbConnection, beat: &Beat) -> Result<Option<usize>, StoreError> {
    let dead = replicas::table.filter(replicas::id.eq(&beat.replica)).filter(replicas::beat.eq(beat.count));
    if diesel::delete(dead).execute(connection)? == 0 {
        return Ok(None);
    }
    leave(connection, &beat.replica).map(Some)
}

/// Gives back everything that the replica holds, and forgets it.
///
/// # Errors
/// The database failed.
pub fn leave(connection: &mut DbConnection, replica: &str) -> Result<usize, StoreError> {
    diesel::delete(replicas::table.filter(replicas::id.eq(replica))).execute(connection)?;
    diesel::delete(watches::table.filter(watches::owner.eq(replica))).execute(connection)?;
    saga::release(connection, replica)
}

/// Forgets all replicas: the caller knows that none is alive.
///
/// # Errors
/// The database failed.
pub fn forget_all(connection: &mut DbConnection) -> Result<(), StoreError> {
    diesel::delete(replicas::table).execute(connection)?;
    diesel::delete(watches::table).execute(connection)?;
    release_unowned(connection).map(drop)
}

/// Takes sagas from owners that nobody knows: a restored backup has some. Answers how many those were.
///
/// # Errors
/// The database failed.
pub fn release_unowned(connection: &mut DbConnection) -> Result<usize, StoreError> {
    let owner = replicas::table.filter(sagas::owner.eq(replicas::id.nullable()));
    let owners: Vec<Option<String>> = sagas::table
        .filter(sagas::owner.is_not_null())
        .filter(sagas::state.eq_any(["running", "unwinding"]))
        .filter(not(exists(owner)))
        .select(sagas::owner)
        .distinct()
        .load(connection)?;
    let owners = owners.into_iter().flatten();
    owners.map(|owner| saga::release(connection, &owner)).sum()
}

/// Gives back the watch of every site but these: whoever has the others configured may look after them.
///
/// # Errors
/// The database failed.
pub fn watch_only(connection: &mut DbConnection, replica: &str, sites: &[String]) -> Result<(), StoreError> {
    let others = watches::table.filter(watches::owner.eq(replica)).filter(watches::site.ne_all(sites.to_vec()));
    diesel::delete(others).execute(connection)?;
    Ok(())
}

/// Watches the site if nobody alive does; answers whether the replica watches it now.
///
/// # Errors
/// The database failed.
pub fn watch(connection: &mut DbConnection, replica: &str, site: &str) -> Result<bool, StoreError> {
    let watched: Vec<String> = watches::table.filter(watches::site.eq(site)).select(watches::owner).load(connection)?;
    match watched.first() {
        Some(owner) if owner == replica => return Ok(true),
        Some(owner) => {
            let alive: i64 = replicas::table.filter(replicas::id.eq(owner)).count().get_result(connection)?;
            if alive > 0 {
                return Ok(false);
            }
            let taken = watches::table.filter(watches::site.eq(site)).filter(watches::owner.eq(owner));
            return Ok(diesel::update(taken).set(watches::owner.eq(replica)).execute(connection)? == 1);
        }
        None => {}
    }
    diesel::insert_into(watches::table)
        .values((watches::site.eq(site), watches::owner.eq(replica)))
        .execute(connection)?;
    Ok(true)
}
