//! What clients of a world ask for. A client that hears no answer asks again under the same key, as a good one does.

use reqwest::StatusCode;
use uuid::Uuid;

use crate::{
    server::{Answer, KIND_LINE, OS_TPL_SCHEME},
    world::{PATIENCE, Promise, World},
};

/// A body that asks for a machine.
pub fn machine_body() -> String {
    format!("{KIND_LINE}\nCategory: blank; scheme=\"{OS_TPL_SCHEME}\"; class=\"mixin\"\n")
}

/// A body that asks for something of an infrastructure kind.
pub fn body_of(kind: &str, more: &str) -> String {
    format!("Category: {kind}; scheme=\"http://schemas.ogf.org/occi/infrastructure#\"; class=\"kind\"\n{more}\n")
}

/// The part of a URL that any server knows.
pub fn path_of(location: &str) -> String {
    format!("/{}", location.splitn(4, '/').last().unwrap())
}

impl World {
    /// Asks a server once.
    pub async fn post(&self, replica: usize, path: &str, key: &str, body: &str) -> reqwest::Result<Answer> {
        let request = self.server(replica).request("POST", path).header("Content-Type", "text/plain");
        let request = request.header("Idempotency-Key", key).body(body.to_owned());
        let answer = Answer::try_of(request.send().await?).await?;
        let is_told = !answer.header("retry-after").is_empty();
        assert!(answer.status != StatusCode::SERVICE_UNAVAILABLE || is_told, "503 says when to come again");
        Ok(answer)
    }

    /// Asks for an entity until a server answers, and notes what it promises. Servers that die meanwhile are buried;
    /// where nobody is left, they are started anew.
    pub async fn order(&mut self, path: &str, body: &str) -> String {
        let key = Uuid::now_v7().to_string();
        let began = std::time::Instant::now();
        loop {
            assert!(began.elapsed() < PATIENCE, "nobody accepts {body}");
            let replica = self.living();
            if let Ok(answer) = self.post(replica, path, &key, body).await {
                if answer.status == StatusCode::CREATED {
                    let path = path_of(&answer.header("location"));
                    self.accepted.push(Promise { path: path.clone(), removed: false });
                    return path;
                }
                assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.body);
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    pub async fn order_machine(&mut self) -> String {
        self.order("/compute/", &machine_body()).await
    }

    pub async fn order_volume(&mut self) -> String {
        self.order("/storage/", &body_of("storage", "X-OCCI-Attribute: occi.storage.size=1.0")).await
    }

    pub async fn order_attachment(&mut self, machine: &str, volume: &str) -> String {
        let ends = format!("X-OCCI-Attribute: occi.core.source=\"{machine}\", occi.core.target=\"{volume}\"");
        self.order("/storagelink/", &body_of("storagelink", &ends)).await
    }

    /// Invokes an action; a server that dies before it answers may have accepted it.
    pub async fn act(&mut self, path: &str, kind: &str, action: &str, more: &str) {
        let scheme = format!("http://schemas.ogf.org/occi/infrastructure/{kind}/action#");
        let body = format!("Category: {action}; scheme=\"{scheme}\"; class=\"action\"\n{more}\n");
        let replica = self.living();
        let server = self.server(replica);
        let request = server.request("POST", &format!("{path}?action={action}")).header("Content-Type", "text/plain");
        if let Ok(answer) = request.body(body).send().await {
            assert_eq!(answer.status(), StatusCode::OK, "{action} of {path}");
        }
    }

    /// Asks for a removal until it is accepted.
    pub async fn remove(&mut self, path: &str) {
        loop {
            let replica = self.living();
            let Ok(answer) = self.server(replica).request("DELETE", path).send().await else { continue };
            let status = answer.status();
            if status != StatusCode::SERVICE_UNAVAILABLE {
                assert!(matches!(status, StatusCode::OK | StatusCode::GONE), "{status} for DELETE {path}");
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        self.accepted.iter_mut().filter(|one| one.path == path).for_each(|one| one.removed = true);
    }

    /// Waits until an entity is in a state and at rest, whoever answers.
    pub async fn arrive(&mut self, path: &str, state: &str) {
        let id = path.rsplit('/').next().unwrap().to_owned();
        let wanted =
            format!("SELECT count(*) FROM entities WHERE id = '{id}' AND state = '{state}' AND state_message IS NULL");
        self.until(&format!("{path} is {state}"), |world| world.database.query(&wanted) == "1").await;
    }

    /// A server that runs; all of them are started anew if none does.
    fn living(&mut self) -> usize {
        for replica in 0..self.servers.len() {
            self.bury(replica);
        }
        if let Some(replica) = self.servers.iter().position(Option::is_some) {
            return replica;
        }
        self.start_all();
        0
    }
}
