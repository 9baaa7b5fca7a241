//! Who has which role where, and why.

use diesel::{ExpressionMethods, JoinOnDsl, QueryDsl, RunQueryDsl};

use super::{
    DbConnection, StoreError, Timestamp,
    member::{ProjectId, UserId},
    row::parse_id,
    schema::{grants, users},
};
use crate::login::{Rights, Role};

/// Where a role is held.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// In a project.
    Project(ProjectId),
    /// At the site of this name.
    Site(String),
    /// Everywhere.
    Federation,
}

/// How somebody came to a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// By a rule about what the provider says; gone as soon as the provider says otherwise.
    Mapping,
    /// Somebody who may has invited them.
    Invitation,
    /// They have asked, and somebody who may has agreed.
    Registration,
    /// By the command line.
    Operator,
}

impl Origin {
    const ALL: [Self; 4] = [Self::Mapping, Self::Invitation, Self::Registration, Self::Operator];

    /// Its name, in the database as for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mapping => "mapping",
            Self::Invitation => "invitation",
            Self::Registration => "registration",
            Self::Operator => "operator",
        }
    }
}

/// A role that somebody has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Which.
    pub role: Role,
    /// Where.
    pub place: Place,
    /// How they came to it.
    pub origin: Origin,
    /// Why, in words for people.
    pub reason: String,
    /// From when on it is void.
    pub expires_at: Option<Timestamp>,
}

impl Grant {
    /// The project that it is held in.
    pub fn project(&self) -> Option<ProjectId> {
        match self.place {
            Place::Project(project) => Some(project),
            Place::Site(_) | Place::Federation => None,
        }
    }

    /// Whether both are the same role at the same place for the same reason, until whenever.
    pub fn is_same_as(&self, other: &Self) -> bool {
        (self.role, &self.place, &self.reason) == (other.role, &other.place, &other.reason)
    }

    fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| end > now)
    }
}

type Row = (String, String, String, String, String, Option<i64>);

fn read((role, project, site, origin, reason, expires_at): Row) -> Result<Grant, StoreError> {
    let damaged = |reason: String| StoreError::Unreadable { table: "grants", id: role.clone(), reason };
    let origin = Origin::ALL.into_iter().find(|known| known.as_str() == origin);
    let origin = origin.ok_or_else(|| damaged("an unknown origin".into()))?;
    let role = role.parse::<Role>().map_err(|error| damaged(error.to_string()))?;
    let place = match (project.is_empty(), site.is_empty()) {
        (false, _) => Place::Project(ProjectId(parse_id("grants", &project)?)),
        (true, false) => Place::Site(site),
        (true, true) => Place::Federation,
    };
    Ok(Grant { role, place, origin, reason, expires_at: expires_at.map(Timestamp) })
}

/// The user's roles that hold now.
///
/// # Errors
/// The database failed.
pub fn of_user(connection: &mut DbConnection, user: UserId) -> Result<Vec<Grant>, StoreError> {
    let query = grants::table
        .filter(grants::user_id.eq(user.0.to_string()))
        .order((grants::created_at, grants::role))
        .select((grants::role, grants::project_id, grants::site, grants::origin, grants::reason, grants::expires_at));
    let rows: Vec<Row> = on_either!(connection, either => query.load(either))?;
    let now = Timestamp::now();
    let mut found = rows.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    found.retain(|grant| grant.is_live(now));
    Ok(found)
}

/// All that the user has by one origin, what has expired included.
///
/// # Errors
/// The database failed.
pub fn of_origin(connection: &mut DbConnection, user: UserId, origin: Origin) -> Result<Vec<Grant>, StoreError> {
    let query = grants::table
        .filter(grants::user_id.eq(user.0.to_string()))
        .filter(grants::origin.eq(origin.as_str()))
        .order((grants::created_at, grants::role))
        .select((grants::role, grants::project_id, grants::site, grants::origin, grants::reason, grants::expires_at));
    let rows: Vec<Row> = on_either!(connection, either => query.load(either))?;
    rows.into_iter().map(read).collect()
}

/// Who has a role in the project now: names with their roles.
///
/// # Errors
/// The database failed.
pub fn in_project(connection: &mut DbConnection, project: ProjectId) -> Result<Vec<(String, Grant)>, StoreError> {
    let query = grants::table
        .inner_join(users::table.on(users::id.eq(grants::user_id)))
        .filter(grants::project_id.eq(project.0.to_string()))
        .order((users::name.asc(), grants::role.asc()))
        .select((
            users::name,
            (grants::role, grants::project_id, grants::site, grants::origin, grants::reason, grants::expires_at),
        ));
    let rows: Vec<(String, Row)> = on_either!(connection, either => query.load(either))?;
    let now = Timestamp::now();
    let found = rows.into_iter().map(|(name, row)| Ok((name, read(row)?))).collect::<Result<Vec<_>, StoreError>>()?;
    Ok(found.into_iter().filter(|(_, grant)| grant.is_live(now)).collect())
}

/// What these roles allow in a project, and until when that is certain: the first of them ends then.
pub fn rights_in(grants: &[Grant], project: ProjectId) -> (Rights, Option<Timestamp>) {
    let of_it = |grant: &&Grant| match grant.place {
        Place::Project(of) => of == project,
        Place::Federation => true,
        Place::Site(_) => false,
    };
    let counting: Vec<_> = grants.iter().filter(of_it).collect();
    let rights = counting.iter().fold(Rights::NONE, |rights, grant| rights.or(grant.role.rights()));
    (rights, counting.iter().filter_map(|grant| grant.expires_at).min())
}

/// Gives the role; one of the same origin that is there already is replaced.
///
/// # Errors
/// The database failed.
pub fn put(connection: &mut DbConnection, user: UserId, grant: &Grant) -> Result<(), StoreError> {
    remove(connection, user, grant.role, &grant.place, Some(grant.origin))?;
    let (project, site) = columns(&grant.place);
    diesel::insert_into(grants::table)
        .values((
            grants::user_id.eq(user.0.to_string()),
            grants::role.eq(grant.role.as_str()),
            grants::project_id.eq(project),
            grants::site.eq(site),
            grants::origin.eq(grant.origin.as_str()),
            grants::reason.eq(&grant.reason),
            grants::created_at.eq(Timestamp::now().0),
            grants::expires_at.eq(grant.expires_at.map(|end| end.0)),
        ))
        .execute(connection)?;
    Ok(())
}

/// Takes the role away, of one origin or of all, and answers whether it was there.
///
/// # Errors
/// The database failed.
pub fn remove(
    connection: &mut DbConnection,
    user: UserId,
    role: Role,
    place: &Place,
    origin: Option<Origin>,
) -> Result<bool, StoreError> {
    let (project, site) = columns(place);
    let these = grants::table
        .filter(grants::user_id.eq(user.0.to_string()))
        .filter(grants::role.eq(role.as_str()))
        .filter(grants::project_id.eq(project))
        .filter(grants::site.eq(site));
    let gone = match origin {
        Some(origin) => diesel::delete(these.filter(grants::origin.eq(origin.as_str()))).execute(connection)?,
        None => diesel::delete(these).execute(connection)?,
    };
    Ok(gone > 0)
}

fn columns(place: &Place) -> (String, String) {
    match place {
        Place::Project(project) => (project.0.to_string(), String::new()),
        Place::Site(site) => (String::new(), site.clone()),
        Place::Federation => (String::new(), String::new()),
    }
}
