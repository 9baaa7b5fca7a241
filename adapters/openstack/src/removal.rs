//! Destroying machines, and all that belongs to one alone.

use std::sync::Arc;

use backend::BackendError;
use backend_http::Method;
use serde_json::json;

use crate::{
    identifier,
    nova::{Server, Situation},
    service::Service,
    site::Site,
};

impl Site {
    /// Destroys the machine and its interfaces, and waits until Nova knows it no more.
    pub(crate) async fn delete_machine(self: &Arc<Self>, id: &str) -> Result<(), BackendError> {
        // No server of Nova has such an id.
        let Ok(id) = identifier::known("machine", id) else { return Ok(()) };
        let tag = match self.server(&id).await {
            Ok(server) => server.tag(),
            Err(BackendError::NotFound(_)) => None,
            Err(error) => return Err(error),
        };
        if tag.is_some() {
            self.delete_server(&id).await?;
        }
        // Interfaces that were made before the machine outlive it. A delete that was broken off finds them here too.
        self.drop_ports_of_machine(&id).await?;
        match tag {
            Some(tag) => {
                self.drop_ports_of_intent(tag).await;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Deletes the server, and waits for its end.
    pub(crate) async fn delete_server(&self, id: &str) -> Result<(), BackendError> {
        let about = format!("machine {id}");
        let delete = || self.cloud.call(Service::Compute, Method::DELETE, &["servers", id], &about);
        if !delete().send_if_there().await? {
            return Ok(());
        }
        self.await_effect(&format!("delete of {about}"), || async {
            let seen = self.cloud.get(Service::Compute, &["servers", id], &about).json::<Shown>().await;
            match seen {
                Err(BackendError::NotFound(_)) => Ok(Some(())),
                Err(error) => Err(error),
                // Sites may keep what is deleted for a while; nothing of it may be left.
                Ok(Shown { server }) if server.status == "SOFT_DELETED" => {
                    match self.act(id, json!({ "forceDelete": null })).await {
                        Err(error @ BackendError::Refused(_)) => Err(error),
                        _ => Ok(None),
                    }
                }
                Ok(Shown { server }) => Ok((server.situation() == Situation::Gone).then_some(())),
            }
        })
        .await
    }
}

#[derive(serde::Deserialize)]
struct Shown {
    server: Server,
}
