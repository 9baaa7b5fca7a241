//! Consoles by ticket.

use backend::{BackendError, ConsoleKind, ConsoleTicket};
use backend_http::Method;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use crate::{life::not_now, nova::Situation, service::Service, site::Site};

#[derive(Deserialize)]
struct Envelope {
    remote_console: RemoteConsole,
}

#[derive(Deserialize)]
struct RemoteConsole {
    url: String,
}

impl Site {
    /// Asks Nova for the address of a console (Compute API, "Create Console"). For how long it holds, Nova does not
    /// tell.
    pub(crate) async fn console(&self, id: &str, kind: ConsoleKind) -> Result<ConsoleTicket, BackendError> {
        let server = self.server(id).await?;
        match server.situation() {
            Situation::Active | Situation::Rescued | Situation::Paused => {}
            other => return Err(not_now(id, "show its console", other)),
        }
        let (protocol, form) = match kind {
            ConsoleKind::Vnc => ("vnc", "novnc"),
            ConsoleKind::Spice => ("spice", "spice-html5"),
            ConsoleKind::Serial => ("serial", "serial"),
        };
        let path = ["servers", &server.id, "remote-consoles"];
        let call = self.cloud.call(Service::Compute, Method::POST, &path, format!("console of machine {id}"));
        let body = json!({ "remote_console": { "protocol": protocol, "type": form } });
        let answer = call.body(body).json::<Envelope>().await;
        let url = match answer {
            Ok(Envelope { remote_console }) => remote_console.url,
            // What the hypervisor does not have, or the site has not switched on.
            Err(BackendError::Refused(why) | BackendError::Unsupported(why)) => {
                return Err(BackendError::Unsupported(format!("show a {kind} console: {why}")));
            }
            Err(error) => return Err(error),
        };
        let is_one = url.len() <= 4096
            && url
                .parse::<Url>()
                .is_ok_and(|url| matches!(url.scheme(), "http" | "https" | "ws" | "wss") && url.host_str().is_some());
        if !is_one {
            return Err(BackendError::Failed(format!("console of machine {id}: Nova answers no address")));
        }
        Ok(ConsoleTicket { kind, url, holds_for: None })
    }
}
