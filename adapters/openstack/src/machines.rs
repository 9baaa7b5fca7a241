//! Machines as they are: shown, found by their tag, and listed.

use std::{collections::HashSet, sync::Arc};

use backend::{BackendError, IntentTag, Listing, Machine};
use backend_http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    identifier, mark,
    nova::{Server, Situation},
    paging,
    service::Service,
    site::Site,
};

#[derive(Deserialize)]
struct Envelope {
    server: Server,
}

impl Site {
    /// The server as Nova shows it, one of ours that is not deleted.
    pub(crate) async fn server(&self, id: &str) -> Result<Server, BackendError> {
        let about = format!("machine {id}");
        let id = identifier::known("machine", id)?;
        let Envelope { server } = self.cloud.get(Service::Compute, &["servers", &id], &about).json().await?;
        if server.situation() == Situation::Gone {
            return Err(BackendError::NotFound(format!("{about}: it is deleted")));
        }
        if server.tag().is_none() && server.situation() != Situation::Unknown {
            return Err(BackendError::NotFound(format!("{about} among those of this broker")));
        }
        Ok(server)
    }

    /// The facts of one machine. A resize that nobody has confirmed, since its broker died then, is confirmed.
    pub(crate) async fn machine(self: &Arc<Self>, id: &str) -> Result<Machine, BackendError> {
        let server = self.server(id).await?;
        if server.situation() == Situation::Resized {
            self.confirm_later(&server.id);
        }
        let unknown = || BackendError::NotFound(format!("machine {id}"));
        server.facts()?.ok_or_else(unknown)
    }

    fn confirm_later(self: &Arc<Self>, server: &str) {
        if self.begins_to_confirm(server) {
            let (site, server) = (Arc::clone(self), server.to_owned());
            tokio::spawn(async move {
                // Whoever looks again sees whether it was done.
                let _ = site.act(&server, json!({ "confirmResize": null })).await;
                site.has_confirmed(&server);
            });
        }
    }

    /// The machine that carries the tag; the first made one, should there be several.
    pub(crate) async fn server_by_tag(&self, tag: IntentTag) -> Result<Option<Server>, BackendError> {
        let mut found = self.servers_by_tag(tag).await?;
        found.sort_by(|one, other| one.age().cmp(&other.age()));
        Ok(found.into_iter().next())
    }

    /// All machines that carry the tag and are not deleted.
    pub(crate) async fn servers_by_tag(&self, tag: IntentTag) -> Result<Vec<Server>, BackendError> {
        let about = format!("machine with tag {tag}");
        let mut found: Vec<Server> = Vec::new();
        for (name, value) in [("tags", mark::server_tag(tag)), building()] {
            let call = self.cloud.get(Service::Compute, &["servers", "detail"], &about).query(name, value);
            paging::each_page(call, "servers", |page: Listing<Server>| {
                for server in page.objects {
                    let is_new = found.iter().all(|other| other.id != server.id);
                    if is_new && server.tag() == Some(tag) && server.situation() != Situation::Gone {
                        found.push(server);
                    }
                }
            })
            .await?;
        }
        Ok(found)
    }

    /// All machines of ours.
    pub(crate) async fn machines(&self) -> Result<Listing<Machine>, BackendError> {
        let mut all = Listing::default();
        let mut seen = HashSet::new();
        for (name, value) in [("tags", mark::OURS.to_owned()), building()] {
            let call = self.cloud.get(Service::Compute, &["servers", "detail"], "machines").query(name, value);
            paging::each_page(call, "servers", |page: Listing<Server>| {
                let more = page.unreadable_count() - page.unreadable.len();
                page.unreadable.into_iter().for_each(|note| all.note_unreadable(note));
                all.more_unreadable += more;
                for server in page.objects {
                    match server.facts() {
                        Ok(Some(machine)) if seen.insert(machine.id.clone()) => all.objects.push(machine),
                        Ok(_) => {}
                        Err(error) => all.note_unreadable(error),
                    }
                }
            })
            .await?;
        }
        Ok(all)
    }

    /// Asks for an action of a server (Compute API, "Servers - run an action").
    pub(crate) async fn act(&self, id: &str, action: Value) -> Result<(), BackendError> {
        self.act_for(id, action).await.map(drop)
    }

    /// The same, for its answer.
    pub(crate) async fn act_for(&self, id: &str, action: Value) -> Result<backend_http::Answer, BackendError> {
        let about = format!("machine {id}");
        let id = identifier::known("machine", id)?;
        self.cloud.call(Service::Compute, Method::POST, &["servers", &id, "action"], about).body(action).send().await
    }
}

/// Until a server has found its host, Nova does not find it by its tags.
fn building() -> (&'static str, String) {
    ("status", "BUILD".to_owned())
}
