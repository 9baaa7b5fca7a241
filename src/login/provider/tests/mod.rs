//! What providers may do to us, each with a control: the same without the misdeed succeeds.

mod absence;
mod bearer;
mod callback;
mod id_token;
mod introspection;
mod logout;
mod person;
mod refresh;
mod secrets;

use serde_json::Value;

use super::{
    Begun, CallbackAnswer, Clock, Finished, ProviderConfig, ProviderError, Providers,
    hostile::{Hostile, Script},
};
use crate::login::{local_path::LocalPath, secret::Secret};

const BASE: &str = "https://tombolo.example";
const NAME: &str = "school";

/// One provider, and us as its client.
struct Rig {
    hostile: Hostile,
    providers: Providers,
    clock: Clock,
}

impl Rig {
    fn new() -> Self {
        Self::with(|_| ())
    }

    fn with(change: impl FnOnce(&mut ProviderConfig)) -> Self {
        let clock = Clock::default();
        let hostile = Hostile::start(&clock);
        let mut config = hostile.config(NAME);
        change(&mut config);
        let providers = providers(&[config], &clock);
        Self { hostile, providers, clock }
    }

    async fn begin(&self) -> Begun {
        self.providers.begin(NAME, BASE, &LocalPath::default()).await.unwrap()
    }

    async fn finish(&self, begun: &Begun, answer: &CallbackAnswer) -> Result<Finished, ProviderError> {
        self.providers.finish(NAME, BASE, &begun.cookie, answer).await
    }

    async fn sign_in(&self) -> Result<Finished, ProviderError> {
        let begun = self.begin().await;
        let answer = self.hostile.visit(&begun.location);
        self.finish(&begun, &answer).await
    }

    /// Nobody gets in with this; and without it they do.
    async fn refuses(&self, what: &str, misdeed: impl FnOnce(&mut Script)) -> ProviderError {
        self.hostile.behave();
        let good = self.sign_in().await;
        assert!(good.is_ok(), "before {what}: {good:?}");
        self.hostile.play(misdeed);
        let refused = self.sign_in().await;
        self.hostile.behave();
        refused.map(|_| panic!("{what} is taken")).unwrap_err()
    }

    async fn refuses_id_token(&self, what: &str, change: impl Fn(&mut Value) + Send + 'static) -> ProviderError {
        let error = self.refuses(what, |script| script.id_token = Box::new(change)).await;
        assert!(matches!(error, ProviderError::Untrusted { .. } | ProviderError::Away { .. }), "{what}: {error:?}");
        error
    }
}

fn providers(configured: &[ProviderConfig], clock: &Clock) -> Providers {
    Providers::with_clock(configured, None, &Secret::from_bytes([1; 32]), clock).unwrap()
}

fn remove(claims: &mut Value, name: &str) {
    claims.as_object_mut().unwrap().remove(name);
}
