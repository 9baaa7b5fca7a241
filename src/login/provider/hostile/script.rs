use serde_json::{Map, Value};

use super::signer::Signer;

/// What is changed of something before it goes out.
pub type Change = Box<dyn Fn(&mut Value) + Send>;

/// How a token is signed.
pub enum Signing {
    /// With the provider's own key.
    Well,
    /// Not at all: `alg` is `none` and the signature empty.
    NotAtAll,
    /// As if these public bytes were a shared key: HS256.
    SharedKey(Vec<u8>),
    /// Well, and then a bit is turned.
    Broken,
    /// With a key that is not published, under the name of one that is.
    Stranger(Box<Signer>),
}

/// How the hostile provider behaves. As it stands at first, it is a good provider.
pub struct Script {
    /// Who signs in.
    pub subject: String,
    /// What userinfo and introspection say of them, besides.
    pub person: Map<String, Value>,
    /// Changes the discovery document.
    pub discovery: Change,
    /// Changes the published keys.
    pub keys: Change,
    /// Changes a token's header.
    pub header: Change,
    /// Changes an ID token's claims, last of all.
    pub id_token: Change,
    /// How ID tokens are signed.
    pub signing: Signing,
    /// Changes what the token endpoint answers.
    pub token_answer: Change,
    /// The token endpoint says no with this code, and these words.
    pub token_error: Option<(String, String)>,
    /// Changes what userinfo answers.
    pub userinfo: Change,
    /// With what status userinfo answers.
    pub userinfo_status: u16,
    /// How userinfo is signed; plain JSON if it is not to be.
    pub userinfo_signing: Option<Signing>,
    /// Changes what introspection answers.
    pub introspection: Change,
    /// Every request is answered with this instead.
    pub outage: Option<u16>,
    /// Whether the callback names the issuer, and which.
    pub callback_issuer: Option<String>,
}

impl Script {
    /// A good provider.
    pub fn good() -> Self {
        let nothing = || -> Change { Box::new(|_| ()) };
        let person = serde_json::json!({
            "name": "Anna A.", "preferred_username": "anna", "email": "anna@school.example",
            "groups": ["teachers", "class-3b"],
        });
        let Value::Object(person) = person else { unreachable!("it is written so") };
        Self {
            subject: "subject-of-anna".to_owned(),
            person,
            discovery: nothing(),
            keys: nothing(),
            header: nothing(),
            id_token: nothing(),
            signing: Signing::Well,
            token_answer: nothing(),
            token_error: None,
            userinfo: nothing(),
            userinfo_status: 200,
            userinfo_signing: None,
            introspection: nothing(),
            outage: None,
            callback_issuer: None,
        }
    }
}
