//! The id of the request that is being served, from the door to what it causes.
//!
//! It is kept beside the call stack, since every layer between the door and a backend would have to hand it on
//! otherwise. What runs later, a saga's steps for instance, is scoped again by the id that was written down.

use std::sync::Arc;

tokio::task_local! {
    static CURRENT: Arc<str>;
}

/// Runs the future as a part of the request of this id.
pub async fn scope<F: Future>(id: impl Into<Arc<str>>, future: F) -> F::Output {
    CURRENT.scope(id.into(), future).await
}

/// The id of the request that this task serves; `None` outside of one, on other threads and in tasks that were spawned.
#[allow(dead_code, reason = "for those who write down on whose request they act")]
pub fn current() -> Option<String> {
    CURRENT.try_with(|id| id.to_string()).ok()
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
}
