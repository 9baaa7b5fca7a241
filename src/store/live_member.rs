//! What somebody may do who has not brought a token of ours: a provider vouches for them, or a browser's session.

use std::sync::Arc;

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};

use super::{
    Cached, Db, DbConnection, StoreError, Timestamp, Topic,
    grant::{self, Grant, Place},
    member::{self, ProjectId, Standing, UserId},
    schema::{identities, users},
};
use crate::login::{Rights, Role};

/// How many people's rows are kept in memory.
const MOST_KEPT: usize = 10_000;

/// A project that somebody may do something in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnProject {
    /// Its id.
    pub id: ProjectId,
    /// Its name.
    pub name: String,
    /// What they may do there.
    pub rights: Rights,
}

/// Somebody who gets in, with what they may do now.
#[derive(Debug, Clone)]
pub struct LiveMember {
    /// Their name.
    pub name: String,
    /// The providers that know them.
    pub providers: Vec<String>,
    /// Where they may do something, by name.
    pub projects: Vec<OwnProject>,
    grants: Vec<Grant>,
    /// From when on their roles have to be looked at again.
    certain_until: Option<Timestamp>,
}

impl LiveMember {
    /// What they may do in the project.
    pub fn rights_in(&self, project: ProjectId) -> Rights {
        grant::rights_in(&self.grants, project).0
    }

    /// Whether they may act in any project, named or not.
    pub fn is_everywhere(&self) -> bool {
        self.grants.iter().any(|grant| grant.place == Place::Federation && grant.role == Role::FederationAdmin)
    }
}

/// People who were looked up before.
pub struct LiveMembers(Cached<UserId, LiveMember>);

impl Default for LiveMembers {
    fn default() -> Self {
        Self(Cached::new(Topic::Login, MOST_KEPT))
    }
}

impl LiveMembers {
    /// The person as of this moment; `None` if there is none, or they do not get in.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find(&self, db: &Db, user: UserId) -> Result<Option<Arc<LiveMember>>, StoreError> {
        let found = self.0.find(db, user, move |connection| find(connection, user)).await?;
        // Time passes without a write.
        let now = Timestamp::now();
        match found {
            Some(member) if member.certain_until.is_some_and(|until| until <= now) => {
                Ok(db.read_brief(move |connection| find(connection, user)).await?.map(Arc::new))
            }
            found => Ok(found),
        }
    }
}

/// The person; `None` if there is none, or they do not get in.
///
/// # Errors
/// The database failed.
pub fn find(connection: &mut DbConnection, user: UserId) -> Result<Option<LiveMember>, StoreError> {
    let id = user.0.to_string();
    let query = users::table
        .filter(users::id.eq(&id))
        .filter(users::standing.eq(Standing::Active.as_str()))
        .select(users::name);
    let name: Option<String> = on_either!(connection, either => query.get_result(either).optional())?;
    let Some(name) = name else { return Ok(None) };
    let query = identities::table.filter(identities::user_id.eq(&id)).select(identities::provider);
    let providers: Vec<String> = on_either!(connection, either => query.load(either))?;
    let grants = grant::of_user(connection, user)?;
    let mut projects = Vec::new();
    let mut seen: Vec<ProjectId> = grants
        .iter()
        .filter_map(|grant| match grant.place {
            Place::Project(project) => Some(project),
            Place::Site(_) | Place::Federation => None,
        })
        .collect();
    seen.sort_unstable();
    seen.dedup();
    for id in seen {
        let rights = grant::rights_in(&grants, id).0;
        if let Some(name) = member::project_name(connection, id)?.filter(|_| !rights.is_empty()) {
            projects.push(OwnProject { id, name, rights });
        }
    }
    projects.sort_by(|one, other| one.name.cmp(&other.name));
    let certain_until = grants.iter().filter_map(|grant| grant.expires_at).min();
    Ok(Some(LiveMember { name, providers, projects, grants, certain_until }))
}
