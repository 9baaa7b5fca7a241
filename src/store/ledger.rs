//! Who takes how much, as the log of events tells it or as it is reserved: the two are the same, entity by entity.

use std::{collections::BTreeMap, fmt};

use serde::Deserialize;
use uuid::Uuid;

use super::{entity::EntityId, member::ProjectId, reservation::Usage};

/// How many differences are told one by one.
const MOST_DIFFERENCES: usize = 100;

/// What each entity takes; those that take nothing are not kept, so that this does not grow with what once was.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// An event may change the usage of a project without telling for which entity.
    entries: BTreeMap<(ProjectId, Option<EntityId>), Usage>,
}

/// Why what an event tells of usage cannot be read.
pub(super) struct Unreadable(pub String);

/// A place where the log and the reservations tell different things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    /// Whose usage it is.
    pub project: ProjectId,
    /// Which entity takes it, if the log tells.
    pub entity: Option<EntityId>,
    /// What it takes according to the log.
    pub replayed: Usage,
    /// What is reserved for it.
    pub reserved: Usage,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entity {
            Some(entity) => write!(f, "entity {entity} of project {}", self.project.0)?,
            None => write!(f, "project {} without an entity", self.project.0)?,
        }
        write!(
            f,
            " takes {} according to the log, and {} is reserved; please report this as a defect",
            self.replayed, self.reserved
        )
    }
}

impl Ledger {
    /// Adds what the event with this body tells.
    pub(super) fn apply(&mut self, project: Option<&str>, entity: Option<&str>, body: &str) -> Result<(), Unreadable> {
        #[derive(Deserialize)]
        struct Body {
            usage: Option<Usage>,
        }
        let body: Body = serde_json::from_str(body).map_err(|error| Unreadable(format!("its body: {error}")))?;
        let Some(usage) = body.usage else { return Ok(()) };
        let parse = |id: &str| id.parse::<Uuid>().map_err(|error| Unreadable(format!("an id in it: {error}")));
        let Some(project) = project else {
            return Err(Unreadable("it changes the usage of no project".into()));
        };
        self.add(ProjectId(parse(project)?), entity.map(parse).transpose()?.map(EntityId), usage);
        Ok(())
    }

    pub(super) fn add(&mut self, project: ProjectId, entity: Option<EntityId>, usage: Usage) {
        let entry = self.entries.entry((project, entity)).or_default();
        *entry = entry.plus(usage);
        if *entry == Usage::default() {
            self.entries.remove(&(project, entity));
        }
    }

    /// What each project takes.
    pub(super) fn by_project(&self) -> BTreeMap<ProjectId, Usage> {
        let mut projects = BTreeMap::<_, Usage>::new();
        for ((project, _), usage) in &self.entries {
            let sum = projects.entry(*project).or_default();
            *sum = sum.plus(*usage);
        }
        projects
    }

    /// Where what is reserved differs from this.
    pub(super) fn differences(&self, reserved: &Self) -> Vec<Difference> {
        let only_reserved = reserved.entries.keys().filter(|key| !self.entries.contains_key(key));
        self.entries
            .keys()
            .chain(only_reserved)
            .map(|key @ (project, entity)| Difference {
                project: *project,
                entity: *entity,
                replayed: self.entries.get(key).copied().unwrap_or_default(),
                reserved: reserved.entries.get(key).copied().unwrap_or_default(),
            })
            .filter(|entry| entry.replayed != entry.reserved)
            .take(MOST_DIFFERENCES)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cores(cores: i64) -> Usage {
        Usage { cores, ..Usage::default() }
    }

    #[test]
    fn what_is_given_back_is_not_kept() {
        let (project, entity) = (ProjectId(Uuid::now_v7()), EntityId(Uuid::now_v7()));
        let mut ledger = Ledger::default();
        for amount in [-2, 5, -3] {
            let body = format!("{{\"usage\":{{\"cores\":{amount}}},\"more\":[1]}}");
            assert!(ledger.apply(Some(&project.0.to_string()), Some(&entity.to_string()), &body).is_ok());
        }
        assert!(ledger.entries.is_empty() && ledger.by_project().is_empty());
    }

    #[test]
    fn differences_name_the_entity() {
        let [project, other] = [ProjectId(Uuid::now_v7()), ProjectId(Uuid::now_v7())];
        let [same, more, missing] = [(); 3].map(|()| Some(EntityId(Uuid::now_v7())));
        let (mut replayed, mut reserved) = (Ledger::default(), Ledger::default());
        replayed.add(project, same, cores(1));
        reserved.add(project, same, cores(1));
        replayed.add(project, more, cores(2));
        reserved.add(project, more, cores(3));
        reserved.add(other, missing, cores(4));
        let found = replayed.differences(&reserved);
        let found: Vec<_> = found.iter().map(|d| (d.project, d.entity, d.replayed.cores, d.reserved.cores)).collect();
        assert_eq!(found, [(project, more, 2, 3), (other, missing, 0, 4)]);
        assert_eq!(replayed.by_project(), BTreeMap::from([(project, cores(3))]));
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let project = Uuid::now_v7().to_string();
        let mut ledger = Ledger::default();
        assert!(ledger.apply(None, None, "{\"usage\":{\"cores\":1}}").is_err());
        assert!(ledger.apply(Some("x"), None, "{\"usage\":{\"cores\":1}}").is_err());
        assert!(ledger.apply(Some(&project), None, "{\"usage\":1}").is_err());
        assert!(ledger.apply(Some(&project), None, "[").is_err());
        assert!(ledger.apply(None, None, "{}").is_ok());
    }
}
