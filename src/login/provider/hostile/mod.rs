//! A simulator: a provider that can be told to misbehave in every way that an attacker could. It runs in this process,
//! signs with test keys and has one person. Told nothing, it behaves well, so that each test has its control.

mod script;
mod server;
mod signer;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use serde_json::{Map, Value, json};
use url::Url;

pub use script::{Script, Signing};
pub use signer::{Signer, compact, hs256};

use super::{CallbackAnswer, Clock, ProviderConfig};

/// How we are known there.
pub const CLIENT_ID: &str = "tombolo";
/// What proves it.
pub const CLIENT_SECRET: &str = "canary-client-secret";
/// How long its tokens hold, in seconds.
pub const LASTS: i64 = 300;

/// The provider.
pub struct Hostile {
    /// As it names itself.
    pub issuer: String,
    world: Arc<World>,
    server: actix_web::dev::ServerHandle,
}

pub(super) struct World {
    pub issuer: String,
    pub clock: Clock,
    pub state: Mutex<State>,
}

pub(super) struct State {
    pub script: Script,
    /// All are published; with the last one it signs.
    pub signers: Vec<Signer>,
    pub codes: HashMap<String, Asked>,
    pub refresh_tokens: Vec<String>,
    pub access_tokens: Vec<String>,
    pub requests: Vec<String>,
    pub made: usize,
}

/// What somebody was sent to us with.
#[derive(Clone)]
pub(super) struct Asked {
    pub nonce: Option<String>,
    pub challenge: String,
    pub redirect: String,
}

impl Hostile {
    /// Starts one.
    pub fn start(clock: &Clock) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let state = State {
            script: Script::good(),
            signers: vec![Signer::rsa("first")],
            codes: HashMap::new(),
            refresh_tokens: Vec::new(),
            access_tokens: Vec::new(),
            requests: Vec::new(),
            made: 0,
        };
        let world = Arc::new(World { issuer: issuer.clone(), clock: clock.clone(), state: Mutex::new(state) });
        let server = server::run(listener, world.clone());
        Self { issuer, world, server }
    }

    /// As it is configured at Tombolo.
    pub fn config(&self, name: &str) -> ProviderConfig {
        let text = format!(
            "name = {name:?}\nissuer = {:?}\nclient_id = {CLIENT_ID:?}\nclient_secret = {CLIENT_SECRET:?}\n\
             allow_http = true\n",
            self.issuer
        );
        toml::from_str(&text).unwrap()
    }

    /// Changes how it behaves from now on.
    pub fn play(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.state().script);
    }

    /// Makes it good again.
    pub fn behave(&self) {
        self.play(|script| *script = Script::good());
    }

    /// Public bytes of the key that it signs with.
    pub fn public_bytes(&self) -> Vec<u8> {
        self.state().signer().public_bytes()
    }

    /// Takes another key from now on; the old ones go.
    pub fn rotate(&self, signer: Signer) {
        self.state().signers = vec![signer];
    }

    /// Publishes one more key, and signs with it.
    pub fn add_key(&self, signer: Signer) {
        self.state().signers.push(signer);
    }

    /// How often a path was asked for.
    pub fn requests(&self, path: &str) -> usize {
        self.state().requests.iter().filter(|asked| *asked == path).count()
    }

    /// What happens in the person's browser: they were sent here, signed in, and are sent back.
    pub fn visit(&self, location: &str) -> CallbackAnswer {
        let location = Url::parse(location).unwrap();
        assert_eq!(location.origin().ascii_serialization(), self.issuer, "sent to another provider");
        let query: HashMap<_, _> = location.query_pairs().into_owned().collect();
        assert_eq!(query["response_type"], "code");
        assert_eq!(query["client_id"], CLIENT_ID);
        assert_eq!(query["code_challenge_method"], "S256", "PKCE is not optional");
        assert!(query["scope"].split(' ').any(|scope| scope == "openid"));
        assert!(query["state"].len() >= 32 && query["nonce"].len() >= 32, "they can be guessed");
        let mut state = self.state();
        let code = state.new_name("code");
        let asked = Asked {
            nonce: query.get("nonce").cloned(),
            challenge: query["code_challenge"].clone(),
            redirect: query["redirect_uri"].clone(),
        };
        state.codes.insert(code.clone(), asked);
        let iss = state.script.callback_issuer.clone();
        CallbackAnswer { code: Some(code), state: Some(query["state"].clone()), iss, ..CallbackAnswer::default() }
    }

    /// Signs a token of any kind with its own key.
    pub fn token(&self, kind: &str, claims: &Value) -> String {
        let state = self.state();
        let signer = state.signer();
        signer.token(&json!({"alg": signer.algorithm(), "kid": signer.kid, "typ": kind}), claims)
    }

    /// Claims of a good access token for us.
    pub fn access_claims(&self) -> Value {
        let now = self.world.clock.now();
        json!({
            "iss": self.issuer, "sub": self.state().script.subject, "aud": CLIENT_ID, "iat": now, "exp": now + LASTS,
            "scope": "occi", "jti": "one", "client_id": "some-program",
        })
    }

    /// Claims of a good ID token for us, without a nonce.
    pub fn id_claims(&self) -> Value {
        let state = self.state();
        self.world.id_claims(&state.script, None)
    }

    /// Claims of a good logout token for us.
    pub fn logout_claims(&self) -> Value {
        let now = self.world.clock.now();
        json!({
            "iss": self.issuer, "sub": self.state().script.subject, "aud": CLIENT_ID, "iat": now, "exp": now + 120,
            "jti": "logout-one", "sid": "session-one",
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        })
    }

    /// An access token that only it can read, of somebody who is signed in.
    pub fn opaque_token(&self) -> String {
        let mut state = self.state();
        let token = state.new_name("access");
        state.access_tokens.push(token.clone());
        token
    }

    /// Ends it.
    pub async fn stop(&self) {
        self.server.stop(false).await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.world.state()
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        // The command is sent at once; only its end would have to be awaited.
        drop(self.server.stop(false));
    }
}

impl World {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn id_claims(&self, script: &Script, nonce: Option<&str>) -> Value {
        let now = self.clock.now();
        let mut claims = json!({
            "iss": self.issuer, "sub": script.subject, "aud": CLIENT_ID, "iat": now, "exp": now + LASTS,
            "auth_time": now, "sid": "session-one",
        });
        if let Some(nonce) = nonce {
            claims["nonce"] = json!(nonce);
        }
        claims
    }

    pub fn userinfo(script: &Script) -> Map<String, Value> {
        let mut said = script.person.clone();
        said.insert("sub".to_owned(), json!(script.subject));
        said
    }
}

impl State {
    pub fn new_name(&mut self, what: &str) -> String {
        self.made += 1;
        format!("canary-{what}-{:08}", self.made)
    }

    pub fn signer(&self) -> &Signer {
        self.signers.last().unwrap()
    }

    /// Signs in that way.
    pub fn signed(&self, signing: &Signing, claims: &Value) -> String {
        let signer = self.signer();
        let mut header = json!({"alg": signer.algorithm(), "kid": signer.kid});
        match signing {
            Signing::NotAtAll => header["alg"] = json!("none"),
            Signing::SharedKey(_) => header["alg"] = json!("HS256"),
            Signing::Stranger(stranger) => header["alg"] = json!(stranger.algorithm()),
            Signing::Well | Signing::Broken => (),
        }
        (self.script.header)(&mut header);
        match signing {
            Signing::Well => signer.token(&header, claims),
            Signing::NotAtAll => compact(&header, claims, |_| Vec::new()),
            Signing::SharedKey(key) => compact(&header, claims, |message| hs256(key, message)),
            Signing::Stranger(stranger) => stranger.token(&header, claims),
            Signing::Broken => {
                let good = signer.token(&header, claims);
                let (message, signature) = good.rsplit_once('.').unwrap();
                // The first character is six bits of the signature.
                let other = if signature.starts_with('A') { 'B' } else { 'A' };
                format!("{message}.{other}{}", &signature[1..])
            }
        }
    }
}
