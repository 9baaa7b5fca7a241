use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use openidconnect::{
    AccessToken, AccessTokenHash, AuthorizationCode, AuthorizationCodeHash, ClaimsVerificationError, JsonWebKeySet,
    Nonce, SignatureVerificationError,
    core::{CoreIdToken, CoreIdTokenVerifier},
};
use serde_json::{Map, Value};

use super::{
    ProviderError,
    client::Client,
    signed::{self, Distrust, LEEWAY},
};
use crate::login::identity::Identity;

/// An ID token is not older when it is made for a sign-in, in seconds.
const OLDEST: i64 = 600;

/// For what an ID token was asked for.
pub(super) enum Occasion<'a> {
    /// Somebody signs in.
    SignIn {
        /// What we sent along.
        nonce: &'a Nonce,
        /// What the token was bought with.
        code: &'a AuthorizationCode,
    },
    /// We asked again.
    Refresh,
}

/// An ID token that is believed.
pub(super) struct Vouched {
    pub identity: Identity,
    pub claims: Map<String, Value>,
}

/// Checks an ID token in full, as OpenID Connect Core 3.1.3.7 has it, and stricter where it leaves a choice:
/// - of several audiences we must be the authorized party;
/// - `at_hash` and `c_hash` are checked if they are there: in the code flow, where the token comes from the provider
///   itself, they may be missing.
pub(super) async fn check(
    client: &Client,
    token: &CoreIdToken,
    access_token: &AccessToken,
    occasion: &Occasion<'_>,
) -> Result<Vouched, ProviderError> {
    let issuer = client.issuer()?;
    let verifier = |keys: &JsonWebKeySet<_>| {
        let now = client.clock.now();
        CoreIdTokenVerifier::new_public_client(client.client_id(), issuer.clone(), keys.clone())
            .set_allowed_algs(client.config.signing_algorithms.iter().map(|algorithm| algorithm.typed()))
            // Others may be named as long as we are the authorized party; see below.
            .set_other_audience_verifier_fn(|_| true)
            .set_time_fn(move || moment(now - LEEWAY).into())
    };
    let checked = client
        .with_keys(|keys| {
            let verifier = verifier(&keys.typed);
            let verified = match occasion {
                Occasion::SignIn { nonce, .. } => token.claims(&verifier, *nonce),
                // The nonce belonged to the sign-in, and is spent.
                Occasion::Refresh => token.claims(&verifier, |_: Option<&Nonce>| Ok(())),
            };
            verified.map_err(distrust)?;
            check_hashes(token, &verifier, access_token, occasion)?;
            check_further(client, token, occasion)
        })
        .await
        .map_err(|error| client.asked(error))?;
    checked.map_err(|distrust| client.untrusted("ID token", distrust))
}

fn moment(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}

fn distrust(error: ClaimsVerificationError) -> Distrust {
    use SignatureVerificationError as Signature;
    match error {
        ClaimsVerificationError::SignatureVerification(Signature::NoMatchingKey) => Distrust::UnknownKey,
        ClaimsVerificationError::SignatureVerification(error) => Distrust::because(error.to_string()),
        error => Distrust::because(error.to_string()),
    }
}

fn check_hashes(
    token: &CoreIdToken,
    verifier: &CoreIdTokenVerifier<'_>,
    access_token: &AccessToken,
    occasion: &Occasion<'_>,
) -> Result<(), Distrust> {
    let claims = claims_of(token)?;
    let (algorithm, key) = match (token.signing_alg(), token.signing_key(verifier)) {
        (Ok(algorithm), Ok(key)) => (algorithm, key),
        _ => return Err(Distrust::because("it is not signed")),
    };
    if let Some(said) = claims.get("at_hash") {
        let made = AccessTokenHash::from_token(access_token, algorithm, key);
        if !made.is_ok_and(|made| said == made.as_str()) {
            return Err(Distrust::because("its at_hash is not of the access token that came with it"));
        }
    }
    match (claims.get("c_hash"), occasion) {
        (Some(said), Occasion::SignIn { code, .. }) => {
            let made = AuthorizationCodeHash::from_code(code, algorithm, key);
            if made.is_ok_and(|made| said == made.as_str()) {
                Ok(())
            } else {
                Err(Distrust::because("its c_hash is not of the code that it was bought with"))
            }
        }
        _ => Ok(()),
    }
}

fn check_further(client: &Client, token: &CoreIdToken, occasion: &Occasion<'_>) -> Result<Vouched, Distrust> {
    let claims = claims_of(token)?;
    let now = client.clock.now();
    signed::check_time(&claims, now)?;
    let Some(made) = signed::time(&claims, "iat")? else {
        return Err(Distrust::because("it does not say when it was made"));
    };
    if matches!(occasion, Occasion::SignIn { .. }) && made < now - OLDEST - LEEWAY {
        return Err(Distrust::because("it was made long before this sign-in"));
    }
    let audiences = signed::audiences(&claims);
    match claims.get("azp") {
        Some(party) if *party != client.config.client_id.as_str() => {
            return Err(Distrust::because("its authorized party is another client"));
        }
        None if audiences.len() > 1 => {
            return Err(Distrust::because("it is made for several, and does not name us as the authorized party"));
        }
        _ => (),
    }
    if let (Some(longest), Occasion::SignIn { .. }) = (client.config.max_age, occasion) {
        let at = signed::time(&claims, "auth_time")?;
        if at.is_none_or(|at| at + i64::from(longest) + LEEWAY < now) {
            return Err(Distrust::because("the person signed in at the provider longer ago than max_age allows"));
        }
    }
    let (Some(issuer), Some(subject)) = (signed::text(&claims, "iss"), signed::text(&claims, "sub")) else {
        return Err(Distrust::because("it names nobody"));
    };
    let identity = Identity::new(issuer, subject).map_err(|error| Distrust::because(error.to_string()))?;
    Ok(Vouched { identity, claims })
}

/// All claims of a token. Those of one that was verified only: this looks at no signature.
fn claims_of(token: &CoreIdToken) -> Result<Map<String, Value>, Distrust> {
    let text = token.to_string();
    let payload = text.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    payload
        .and_then(|payload| serde_json::from_slice(&payload).ok())
        .ok_or_else(|| Distrust::because("its claims cannot be read"))
}
