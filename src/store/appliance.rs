//! Published appliances and their versions.

use std::collections::BTreeMap;

use diesel::{BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, Queryable, RunQueryDsl};
use disk_image::ContentDigest;
use marketplace::{
    Appliance, ApplianceDraft, ApplianceName, ApplianceVersion, PublicationTime, VersionDraft, current_version,
};
use uuid::Uuid;

use super::{
    DbConnection, StoreError, Timestamp,
    member::ProjectId,
    row::{parse_json, to_json},
    schema::{appliance_versions, appliances},
};

/// An appliance and the version that new machines get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// The appliance.
    pub appliance: Appliance,
    /// Its newest version that is not withdrawn.
    pub version: ApplianceVersion,
    /// Whether only the members of one project see it, who have saved it of a machine.
    pub is_private: bool,
}

#[derive(Queryable)]
struct ApplianceRow {
    name: String,
    title: String,
    description: String,
    publisher: String,
    _created_at: i64,
    project: Option<String>,
}

#[derive(Queryable)]
struct VersionRow {
    id: String,
    appliance: String,
    label: String,
    image: String,
    image_bytes: i64,
    requirements: String,
    published_at: i64,
    withdrawn_at: Option<i64>,
}

fn unreadable(table: &'static str, id: &str, reason: impl std::fmt::Display) -> StoreError {
    StoreError::Unreadable { table, id: id.to_owned(), reason: reason.to_string() }
}

impl ApplianceRow {
    fn appliance(self) -> Result<Appliance, StoreError> {
        let name = self.name.clone();
        let draft = ApplianceDraft {
            name: self.name,
            title: self.title,
            description: self.description,
            publisher: self.publisher,
        };
        draft.try_into().map_err(|error| unreadable("appliances", &name, error))
    }
}

impl VersionRow {
    fn version(self) -> Result<ApplianceVersion, StoreError> {
        let broken = |reason: String| unreadable("appliance_versions", &self.id, reason);
        let draft = VersionDraft {
            image: self.image.parse().map_err(|error| broken(format!("{error}")))?,
            image_bytes: u64::try_from(self.image_bytes).map_err(|error| broken(error.to_string()))?,
            requirements: parse_json("appliance_versions", &self.id, &self.requirements)?,
            published_at: PublicationTime(self.published_at),
            withdrawn: self.withdrawn_at.is_some(),
            label: self.label.clone(),
        };
        draft.try_into().map_err(|error| broken(format!("{error}")))
    }
}

/// Publishes a version, and the appliance if it is new; the texts of a known appliance are replaced.
///
/// # Errors
/// A duplicate ([`StoreError::is_duplicate`]) when the appliance has a version of this label; the database failed.
pub fn publish(
    connection: &mut DbConnection,
    appliance: &Appliance,
    version: &ApplianceVersion,
) -> Result<(), StoreError> {
    publish_for(connection, appliance, version, None)
}

/// Publishes a version for the members of a project alone, or for everybody.
///
/// # Errors
/// As for [`publish`]; a duplicate too when somebody else has an appliance of this name.
pub fn publish_for(
    connection: &mut DbConnection,
    appliance: &Appliance,
    version: &ApplianceVersion,
    project: Option<ProjectId>,
) -> Result<(), StoreError> {
    let name = appliance.name().as_str();
    let project = project.map(|project| project.0.to_string());
    let texts = (
        appliances::title.eq(appliance.title()),
        appliances::description.eq(appliance.description()),
        appliances::publisher.eq(appliance.publisher()),
    );
    let named = appliances::table.filter(appliances::name.eq(name));
    let known = match &project {
        Some(project) => {
            diesel::update(named.filter(appliances::project_id.eq(project))).set(texts).execute(connection)?
        }
        None => diesel::update(named.filter(appliances::project_id.is_null())).set(texts).execute(connection)?,
    };
    if known == 0 {
        diesel::insert_into(appliances::table)
            .values((
                appliances::name.eq(name),
                texts,
                appliances::created_at.eq(Timestamp::now().0),
                appliances::project_id.eq(&project),
            ))
            .execute(connection)?;
    }
    let id = Uuid::now_v7().to_string();
    diesel::insert_into(appliance_versions::table)
        .values((
            appliance_versions::appliance.eq(name),
            appliance_versions::label.eq(version.label().as_str()),
            appliance_versions::image.eq(version.image().to_string()),
            appliance_versions::image_bytes.eq(i64::try_from(version.image_bytes()).unwrap_or(i64::MAX)),
            appliance_versions::requirements.eq(to_json("appliance_versions", &id, version.requirements())?),
            appliance_versions::published_at.eq(version.published_at().0),
            appliance_versions::id.eq(id),
        ))
        .execute(connection)?;
    Ok(())
}

/// Whether there is an appliance of this name.
///
/// # Errors
/// The database failed.
pub fn exists(connection: &mut DbConnection, name: &ApplianceName) -> Result<bool, StoreError> {
    let found: i64 = appliances::table.filter(appliances::name.eq(name.as_str())).count().get_result(connection)?;
    Ok(found > 0)
}

/// Takes versions out of the offer: the one of this label, or all. Machines that have been made of them go on.
/// Answers how many were withdrawn.
///
/// # Errors
/// The database failed.
pub fn withdraw(connection: &mut DbConnection, name: &ApplianceName, label: Option<&str>) -> Result<usize, StoreError> {
    let offered = appliance_versions::table
        .filter(appliance_versions::appliance.eq(name.as_str()))
        .filter(appliance_versions::withdrawn_at.is_null());
    let at = appliance_versions::withdrawn_at.eq(Timestamp::now().0);
    Ok(match label {
        Some(label) => {
            diesel::update(offered.filter(appliance_versions::label.eq(label))).set(at).execute(connection)?
        }
        None => diesel::update(offered).set(at).execute(connection)?,
    })
}

/// Everything that is offered to everybody, and to the project if one is given: each appliance with its current version,
/// by name.
///
/// # Errors
/// The database failed.
pub fn offered(connection: &mut DbConnection, project: Option<ProjectId>) -> Result<Vec<Offered>, StoreError> {
    let mut versions: BTreeMap<String, Vec<ApplianceVersion>> = BTreeMap::new();
    let rows: Vec<VersionRow> =
        appliance_versions::table.filter(appliance_versions::withdrawn_at.is_null()).load(connection)?;
    for row in rows {
        let name = row.appliance.clone();
        versions.entry(name).or_default().push(row.version()?);
    }
    let project = project.map(|project| project.0.to_string()).unwrap_or_default();
    let rows: Vec<ApplianceRow> = appliances::table
        .filter(appliances::project_id.is_null().or(appliances::project_id.eq(project)))
        .order(appliances::name.asc())
        .load(connection)?;
    let mut offered = Vec::new();
    for row in rows {
        let current = versions.get(&row.name).and_then(current_version).cloned();
        if let Some(version) = current {
            let is_private = row.project.is_some();
            offered.push(Offered { appliance: row.appliance()?, version, is_private });
        }
    }
    Ok(offered)
}

/// Whether anything that is offered to everybody, or to the project, is made of the image.
///
/// # Errors
/// The database failed.
pub fn has_image(connection: &mut DbConnection, image: ContentDigest, project: ProjectId) -> Result<bool, StoreError> {
    let found: i64 = appliances::table
        .inner_join(appliance_versions::table)
        .filter(appliance_versions::image.eq(image.to_string()))
        .filter(appliance_versions::withdrawn_at.is_null())
        .filter(appliances::project_id.is_null().or(appliances::project_id.eq(project.0.to_string())))
        .count()
        .get_result(connection)?;
    Ok(found > 0)
}

/// The first appliance ever published that is still offered: what a machine is made of when nobody says.
///
/// # Errors
/// The database failed.
pub fn oldest_offered(connection: &mut DbConnection) -> Result<Option<String>, StoreError> {
    Ok(appliances::table
        .inner_join(appliance_versions::table)
        .filter(appliance_versions::withdrawn_at.is_null())
        .filter(appliances::project_id.is_null())
        .order((appliances::created_at.asc(), appliances::name.asc()))
        .select(appliances::name)
        .first(connection)
        .optional()?)
}
