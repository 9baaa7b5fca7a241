//! Mixins that the members of a project define for themselves (GFD.223 sections 9.3 and 9.4).

use occi_schema::{CategoryId, CategoryReference, Refusal, UserMixinDefinition};

use super::{Broker, BrokerError, permission};
use crate::{
    login::Principal,
    request,
    store::{
        DbConnection, StoreError, appliance, entity,
        event::{self, NewEvent},
        user_mixin,
    },
};

/// Most mixins of one project.
const MOST: usize = 1000;
/// So many of them are named in an event.
const MOST_TOLD: usize = 10;

/// What is told of mixins that come or go; the first of them by name.
struct Told(NewEvent);

impl Told {
    fn new<'a>(principal: &Principal, kind: &'static str, mixins: impl Iterator<Item = &'a CategoryId>) -> Self {
        let names: Vec<_> = mixins.map(ToString::to_string).collect();
        let mut body = serde_json::Map::new();
        body.insert("count".into(), names.len().into());
        body.insert("mixins".into(), names.into_iter().take(MOST_TOLD).collect());
        Self(NewEvent {
            kind,
            project: Some(principal.project),
            request_id: request::current(),
            actor: Some(principal.actor()),
            body,
            ..NewEvent::default()
        })
    }

    fn record(&self, connection: &mut DbConnection) -> Result<(), StoreError> {
        event::record(connection, &self.0)
    }
}

impl Broker {
    /// Defines all of these mixins, or none.
    ///
    /// # Errors
    /// One is no mixin, clashes with something that is defined, or is one too many.
    pub async fn define_mixins(
        &self,
        principal: &Principal,
        requests: &[CategoryReference],
        base_url: &str,
    ) -> Result<(), BrokerError> {
        permission::to_operate(principal)?;
        let mut present = self.present_to(principal).await?;
        let mut new = Vec::new();
        for request in requests {
            if let UserMixinDefinition::New(mixin) = present.model.resolve_user_mixin(request, base_url)? {
                // One of the same request may build on it.
                present.model.add_mixin(mixin.clone()).map_err(Refusal::from)?;
                new.push(mixin);
            }
        }
        if present.own.len() + new.len() > MOST {
            return Err(BrokerError::Conflict(format!("a project may define {MOST} mixins")));
        }
        let project = principal.project;
        let count = new.len();
        let told = Told::new(principal, "mixin.defined", new.iter().map(|mixin| &mixin.id));
        let insert = move |connection: &mut _| {
            new.iter().try_for_each(|mixin| user_mixin::insert(connection, project, mixin))?;
            told.record(connection)
        };
        match self.inner.db.write(insert).await {
            Ok(()) => tracing::info!(user = %principal.user_name, count, "defined mixins"),
            Err(error) if error.is_duplicate() => {
                return Err(BrokerError::Conflict("somebody else is just defining the same mixin".into()));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Takes these mixins back, off every entity that carries them too; all or none. A template that the project has
    /// saved is withdrawn: machines that were made of it go on.
    ///
    /// # Errors
    /// One is unknown, was not defined by the project, or another one builds on it.
    pub async fn undefine_mixins(
        &self,
        principal: &Principal,
        requests: &[CategoryReference],
    ) -> Result<(), BrokerError> {
        permission::to_operate(principal)?;
        let mut present = self.present_to(principal).await?;
        let mut ids = Vec::new();
        let mut saved = Vec::new();
        for request in requests {
            let id = &request.id;
            if present.model.category(id).is_none() {
                return Err(BrokerError::NotFound(format!("category {id}")));
            }
            let template = self.inner.models.appliance_of(id, &present.offered);
            if let Some(offered) = template.filter(|offered| offered.is_private) {
                saved.push(offered.appliance.name().clone());
                continue;
            }
            if !present.own.contains(id) {
                return Err(BrokerError::Forbidden(format!("{id} was not defined by your project")));
            }
            present.model.remove_mixin(id).map_err(Refusal::from)?;
            ids.push(id.clone());
        }
        let (project, count) = (principal.project, ids.len() + saved.len());
        let told = Told::new(principal, "mixin.removed", requests.iter().map(|request| &request.id));
        self.inner
            .db
            .write(move |connection| {
                for name in &saved {
                    appliance::withdraw(connection, name, None)?;
                }
                for id in &ids {
                    entity::take_mixin_off(connection, project, id)?;
                    user_mixin::remove(connection, project, id)?;
                }
                told.record(connection)
            })
            .await?;
        tracing::info!(user = %principal.user_name, count, "took mixins back");
        Ok(())
    }
}
