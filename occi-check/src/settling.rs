//! Entities on their way: states that a server reaches sooner or later, wherever it begins.

use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::{
    answer::{Answer, Category, Entity, JSON},
    check::{Outcome, Stop},
    names::{COMPUTE, NETWORK_STATE, RESOURCE_TPL, STORAGE_STATE},
    options::Mode,
    request::Request,
    session::Session,
};

/// Between two looks at something that goes.
const LOOK: Duration = Duration::from_millis(100);
/// What has not changed for so many looks is taken as it is.
const STEADY_LOOKS: u32 = 20;

impl Session {
    /// Waits until nothing happens to an entity any more.
    ///
    /// No document says how to see that. What is under way mostly has a message, or offers no action.
    pub(crate) async fn settled(&self, path: &str) -> Result<Entity, Stop> {
        let (mut last, mut looks) = (None, 0_u32);
        self.wait_for(path, "at rest", |entity| {
            if entity.kind == COMPUTE {
                // A machine that rests can be started or stopped.
                let state = state_of(entity).map(|(_, state)| state);
                let is_quiet = message_of(entity).is_none() && !entity.actions.is_empty();
                let is_over = state.as_deref() == Some("error") || is_quiet;
                let seen = Some((state, message_of(entity)));
                looks = if last == seen { looks + 1 } else { 0 };
                last = seen;
                return is_over || looks >= STEADY_LOOKS;
            }
            let seen = Some((state_of(entity).map(|(_, state)| state), message_of(entity)));
            looks = if last == seen { looks + 1 } else { 0 };
            let is_quiet = message_of(entity).is_none();
            last = seen;
            is_quiet || looks >= STEADY_LOOKS
        })
        .await
    }

    /// Brings an entity at rest into a state by an action, unless it is there.
    pub(crate) async fn bring(&self, path: &str, attribute: &str, state: &str, action: &str) -> Result<Entity, Stop> {
        self.preparing(async {
            let entity = self.settled(path).await?;
            if entity.text(attribute) == Some(state) {
                return Ok(entity);
            }
            self.act(path, action).await?.expect(&[200, 204])?;
            self.wait_for_state(path, attribute, state).await?;
            self.settled(path).await
        })
        .await
    }

    /// A network of the check's own, at rest in this state, which this action leads to.
    pub(crate) async fn network_in(&self, state: &str, action: &str) -> Result<String, Stop> {
        let path = self.network().await?;
        self.bring(&path, NETWORK_STATE, state, action).await?;
        Ok(path)
    }

    /// A storage of the check's own, at rest in this state, which this action leads to.
    pub(crate) async fn storage_in(&self, state: &str, action: &str) -> Result<String, Stop> {
        let path = self.storage().await?;
        self.bring(&path, STORAGE_STATE, state, action).await?;
        Ok(path)
    }

    /// Waits until a path answers 404 or 410.
    pub(crate) async fn wait_until_gone(&self, path: &str) -> Outcome {
        let began = Instant::now();
        loop {
            let answer = self.send(Request::get(path)).await?;
            if [404, 410].contains(&answer.status) {
                self.forget(path);
                return Ok(());
            }
            hold!(answer.status < 500, "GET {path} answers {}: {}", answer.status, answer.first_words());
            if began.elapsed() > self.options().patience {
                fail!("{path} still answers {} after {} s", answer.status, self.options().patience.as_secs());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The entity after an update: in the answer, or where its `Location` points.
    pub(crate) async fn updated(&self, answer: &Answer, path: &str) -> Result<Entity, Stop> {
        answer.expect(&[200, 201])?;
        if answer.status == 200 {
            return answer.entity();
        }
        let location = answer.header("Location").map(|location| self.path(location)).transpose()?;
        hold!(location.as_deref() == Some(path), "201 needs the Location {path}, not {location:?}");
        self.read(path).await
    }

    /// One of two lists of statuses.
    pub(crate) fn by_mode<'list>(&self, interop: &'list [u16], strict: &'list [u16]) -> &'list [u16] {
        match self.mode() {
            Mode::Interop => interop,
            Mode::Strict => strict,
        }
    }

    /// The categories as JSON describes them, with defaults.
    pub(crate) async fn described(&self) -> Result<Vec<Category>, Stop> {
        let answer = self.preparing(self.send(Request::get("/-/").accept(JSON))).await?;
        answer.expect(&[200])?.categories()
    }

    /// Two size templates with different numbers of cores, with their defaults.
    pub(crate) async fn two_sizes(&self) -> Result<(Category, Category), Stop> {
        let sizes = self.sizes().await?;
        let cores = |size: &Category| default_of(size, "occi.compute.cores");
        for one in &sizes {
            if let Some(two) = sizes.iter().find(|two| cores(two) != cores(one)) {
                return Ok((one.clone(), two.clone()));
            }
        }
        skip!("the server does not offer two size templates whose number of cores differs");
    }

    /// Size templates that say how many cores they give.
    pub(crate) async fn sizes(&self) -> Result<Vec<Category>, Stop> {
        let offered = self.model.templates(RESOURCE_TPL);
        let is_offered = |size: &Category| offered.iter().any(|template| template.identifier() == size.identifier());
        let described = self.described().await?.into_iter();
        let has_cores = |size: &Category| default_of(size, "occi.compute.cores").is_some();
        Ok(described.filter(|size| is_offered(size) && has_cores(size)).collect())
    }
}

/// The state attribute of a resource or link, and its value.
pub(crate) fn state_of(entity: &Entity) -> Option<(String, String)> {
    let state = entity.attributes.keys().find(|name| name.starts_with("occi.") && name.ends_with(".state"))?;
    Some((state.clone(), entity.text(state)?.to_owned()))
}

fn message_of(entity: &Entity) -> Option<String> {
    let (state, _) = state_of(entity)?;
    entity.text(&format!("{state}.message")).map(str::to_owned)
}

/// The number that a template gives an attribute.
pub(crate) fn default_of(template: &Category, attribute: &str) -> Option<f64> {
    template.attribute(attribute)?.default.as_ref().and_then(Json::as_f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Value;

    #[test]
    fn states_and_messages_are_found_for_every_kind() {
        let mut entity = Entity::default();
        assert_eq!(state_of(&entity), None);
        entity.attributes.insert("org.example.network.state".to_owned(), Value::Text("odd".to_owned()));
        entity.attributes.insert("occi.network.state".to_owned(), Value::Text("active".to_owned()));
        assert_eq!(state_of(&entity), Some(("occi.network.state".to_owned(), "active".to_owned())));
        assert_eq!(message_of(&entity), None);
        entity.attributes.insert("occi.network.state.message".to_owned(), Value::Text("going down".to_owned()));
        assert_eq!(message_of(&entity).as_deref(), Some("going down"));
    }
}
