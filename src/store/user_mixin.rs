//! Mixins that members of a project define for themselves.

use diesel::{ExpressionMethods, Insertable, QueryDsl, Queryable, RunQueryDsl};
use occi_schema::{CategoryId, Mixin};

use super::{
    DbConnection, StoreError, Timestamp,
    member::ProjectId,
    row::{parse_json, to_json},
    schema::user_mixins,
};

const TABLE: &str = "user_mixins";

#[derive(Queryable, Insertable)]
#[diesel(table_name = user_mixins)]
struct Row {
    project_id: String,
    id: String,
    title: Option<String>,
    depends: String,
    applies: String,
    location: String,
    created_at: i64,
}

impl Row {
    fn mixin(self) -> Result<Mixin, StoreError> {
        let id: CategoryId = self.id.parse().map_err(|error| StoreError::Unreadable {
            table: TABLE,
            id: self.id.clone(),
            reason: format!("{error}"),
        })?;
        Ok(Mixin {
            title: self.title,
            depends: parse_json(TABLE, &self.id, &self.depends)?,
            applies: parse_json(TABLE, &self.id, &self.applies)?,
            ..Mixin::tag(id, self.location)
        })
    }
}

/// Remembers a mixin of the project.
///
/// # Errors
/// A duplicate ([`StoreError::is_duplicate`]) when the project has one of this identity or location; the database
/// failed.
pub fn insert(connection: &mut DbConnection, project: ProjectId, mixin: &Mixin) -> Result<(), StoreError> {
    let id = mixin.id.to_string();
    let row = Row {
        project_id: project.0.to_string(),
        title: mixin.title.clone(),
        depends: to_json(TABLE, &id, &mixin.depends)?,
        applies: to_json(TABLE, &id, &mixin.applies)?,
        location: mixin.location.clone(),
        created_at: Timestamp::now().0,
        id,
    };
    diesel::insert_into(user_mixins::table).values(row).execute(connection)?;
    Ok(())
}

/// The project's mixins in the order of their definition, in which what one builds on comes before it.
///
/// # Errors
/// The database failed.
pub fn list(connection: &mut DbConnection, project: ProjectId) -> Result<Vec<Mixin>, StoreError> {
    user_mixins::table
        .filter(user_mixins::project_id.eq(project.0.to_string()))
        .order((user_mixins::created_at.asc(), user_mixins::id.asc()))
        .load::<Row>(connection)?
        .into_iter()
        .map(Row::mixin)
        .collect()
}

/// Forgets a mixin of the project.
///
/// # Errors
/// The database failed.
pub fn remove(connection: &mut DbConnection, project: ProjectId, id: &CategoryId) -> Result<(), StoreError> {
    let of_project = user_mixins::table.filter(user_mixins::project_id.eq(project.0.to_string()));
    diesel::delete(of_project.filter(user_mixins::id.eq(id.to_string()))).execute(connection)?;
    Ok(())
}
