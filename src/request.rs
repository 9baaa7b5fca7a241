//! The request that is being served, from the door to what it causes: its id, and who sent it from where.
//!
//! It is kept beside the call stack, since every layer between the door and a backend would have to hand it on
//! otherwise. What runs later, a saga's steps for instance, is scoped again by the id that was written down.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use backend::request::Trail;
use serde::Serialize;
use uuid::Uuid;

/// Who does something, for the event log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Actor {
    /// The name of the user.
    pub user: String,
    /// The user's id; a command line has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<Uuid>,
    /// The address that the request came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// By what they have shown who they are: `session`, `token …` with its id, `provider …`, `command line`.
    pub by: String,
}

impl Actor {
    /// Whoever has started this process.
    pub fn of_command_line() -> Self {
        let id = rustix::process::geteuid().as_raw();
        let user = name_of(id).unwrap_or_else(|| format!("uid {id}"));
        Self { user, user_id: None, from: None, by: "command line".into() }
    }
}

/// What the system calls the user of this id.
fn name_of(id: u32) -> Option<String> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then(|| name.chars().take(64).collect())
    })
}

#[derive(Default)]
struct Request {
    id: Option<Arc<str>>,
    trail: Trail,
    sender: Mutex<Sender>,
}

#[derive(Default)]
struct Sender {
    from: Option<String>,
    actor: Option<Actor>,
}

tokio::task_local! {
    static CURRENT: Arc<Request>;
}

/// Runs the future as a part of the request of this id.
#[cfg(test)]
pub async fn scope<F: Future>(id: impl Into<Arc<str>>, future: F) -> F::Output {
    CURRENT.scope(Arc::new(Request { id: Some(id.into()), ..Request::default() }), future).await
}

/// Runs the future as what somebody does without a request, on a command line for instance.
pub async fn scope_of<F: Future>(actor: Actor, future: F) -> F::Output {
    let sender = Mutex::new(Sender { from: None, actor: Some(actor) });
    CURRENT.scope(Arc::new(Request { sender, ..Request::default() }), future).await
}

/// Runs the future as a part of the request of this id, which has come through these brokers.
pub async fn scope_behind<F: Future>(id: impl Into<Arc<str>>, trail: Trail, future: F) -> F::Output {
    CURRENT.scope(Arc::new(Request { id: Some(id.into()), trail, ..Request::default() }), future).await
}

/// The brokers that the request has come through; `None` outside of one and where there was none.
pub fn trail() -> Option<Trail> {
    CURRENT.try_with(|request| request.trail.clone()).ok().filter(|trail| !trail.is_empty())
}

/// Who this process is among brokers.
static BROKER: OnceLock<Uuid> = OnceLock::new();

/// Lets this process be the broker of this id from now on; a process is one broker, and the first word counts.
pub fn be_broker(id: Uuid) {
    let _ = BROKER.set(id);
}

/// Who this process is among brokers, if it is one.
pub fn broker() -> Option<Uuid> {
    BROKER.get().copied()
}

/// The id of the request that this task serves; `None` outside of one, on other threads and in tasks that were spawned.
pub fn current() -> Option<String> {
    CURRENT.try_with(|request| request.id.as_ref().map(ToString::to_string)).ok().flatten()
}

fn with_sender<T>(work: impl FnOnce(&mut Sender) -> T) -> Option<T> {
    CURRENT.try_with(|request| work(&mut request.sender.lock().unwrap_or_else(PoisonError::into_inner))).ok()
}

/// The door has found out where the request comes from.
pub fn came_from(address: impl Into<String>) {
    let address = address.into();
    with_sender(|sender| sender.from = Some(address));
}

/// Where the request comes from, as far as that is known.
pub fn address() -> Option<String> {
    with_sender(|sender| sender.from.clone()).flatten()
}

/// Who sends the request is known now.
pub fn sent_by(user: &str, user_id: Option<Uuid>, by: String) {
    with_sender(|sender| {
        sender.actor = Some(Actor { user: user.to_owned(), user_id, from: sender.from.clone(), by });
    });
}

/// Who sends the request, as far as that is known.
pub fn actor() -> Option<Actor> {
    with_sender(|sender| sender.actor.clone()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_id_holds_within_its_scope_only() {
        assert_eq!(current(), None);
        scope("outer", async {
            assert_eq!(current().as_deref(), Some("outer"));
            scope("inner", async { assert_eq!(current().as_deref(), Some("inner")) }).await;
            tokio::task::yield_now().await;
            assert_eq!(current().as_deref(), Some("outer"));
            assert_eq!(tokio::spawn(async { current() }).await.unwrap(), None);
        })
        .await;
        assert_eq!(current(), None);
    }

    #[tokio::test]
    async fn two_requests_at_once_do_not_mix() {
        let ask = async || {
            tokio::task::yield_now().await;
            current()
        };
        let (one, two) = tokio::join!(scope("one", ask()), scope("two", ask()));
        assert_eq!((one.as_deref(), two.as_deref()), (Some("one"), Some("two")));
    }

    #[tokio::test]
    async fn who_sends_it_is_known_from_then_on() {
        let ann = Actor {
            user: "ann".into(),
            user_id: Some(Uuid::nil()),
            from: Some("192.0.2.1".into()),
            by: "session".into(),
        };
        let send = || sent_by("ann", Some(Uuid::nil()), "session".into());
        send();
        assert_eq!((actor(), address()), (None, None), "there is no request");
        scope("one", async {
            assert_eq!(actor(), None);
            came_from("192.0.2.1");
            send();
            assert_eq!(actor(), Some(ann));
        })
        .await;
        scope_of(Actor::of_command_line(), async {
            assert_eq!((current(), actor().unwrap().by), (None, "command line".into()));
        })
        .await;
    }
}
