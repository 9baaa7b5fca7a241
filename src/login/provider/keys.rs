use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{DecodingKey, jwk::Jwk};
use openidconnect::core::{CoreJsonWebKey, CoreJsonWebKeySet};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{algorithm::SigningAlgorithm, web::AskError};

/// A document with keys is not longer, in bytes.
pub(super) const LONGEST_DOCUMENT: usize = 256 << 10;
/// No provider has more keys.
const MOST_KEYS: usize = 64;
/// In bits. Shorter ones can be broken; longer ones take long to use.
const RSA_SIZES: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The public keys that a provider signs with. What is no such key is left out: above all shared ones, and those
/// that are for encryption.
pub(super) struct Keys {
    /// For ID tokens.
    pub typed: CoreJsonWebKeySet,
    /// For everything else that is signed.
    each: Vec<Key>,
}

/// One of them.
pub(super) struct Key {
    id: Option<String>,
    kind: Kind,
    algorithm: Option<String>,
    pub decoding: DecodingKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

/// Why no key is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoKey {
    /// None of that name and kind; there may be a new one.
    Unknown,
    /// The token names none, and several would do.
    Ambiguous,
}

impl Keys {
    /// Reads a document.
    pub fn read(document: &[u8]) -> Result<Self, AskError> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Value>,
        }
        let unfit = |problem: &str| AskError::Unfit(problem.to_owned());
        let document: Document =
            serde_json::from_slice(document).map_err(|_| unfit("what its jwks_uri answers are no keys"))?;
        if document.keys.len() > MOST_KEYS {
            return Err(AskError::Unfit(format!("it has more than {MOST_KEYS} keys")));
        }
        let (typed, each): (Vec<_>, Vec<_>) = document.keys.iter().filter_map(read_key).unzip();
        if each.is_empty() {
            return Err(unfit("it has no key that tokens can be checked with"));
        }
        Ok(Self { typed: CoreJsonWebKeySet::new(typed), each })
    }

    /// The key that a token was signed with, if it says so truly. The name is compared, and nothing else done with it.
    pub fn choose(&self, id: Option<&str>, algorithm: SigningAlgorithm) -> Result<&Key, NoKey> {
        let named = |key: &&Key| id.is_none() || key.id.as_deref() == id;
        let mut fitting = self.each.iter().filter(named).filter(|key| key.fits(algorithm));
        match (fitting.next(), fitting.next()) {
            (None, _) => Err(NoKey::Unknown),
            (Some(key), None) => Ok(key),
            (Some(_), Some(_)) => Err(NoKey::Ambiguous),
        }
    }
}

impl Key {
    fn fits(&self, algorithm: SigningAlgorithm) -> bool {
        use SigningAlgorithm as A;
        let kind = match algorithm {
            A::Rs256 | A::Rs384 | A::Rs512 | A::Ps256 | A::Ps384 | A::Ps512 => Kind::Rsa,
            A::Es256 => Kind::P256,
            A::Es384 => Kind::P384,
            A::EdDsa => Kind::Ed25519,
        };
        self.kind == kind && self.algorithm.as_deref().is_none_or(|named| named == algorithm.name())
    }
}

fn read_key(value: &Value) -> Option<(CoreJsonWebKey, Key)> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let optional = |name: &str| match value.get(name) {
        None => Some(None),
        Some(Value::String(text)) => Some(Some(text.clone())),
        Some(_) => None,
    };
    let is_for_signatures = value.get("use").is_none_or(|purpose| purpose == "sig");
    let operations = value.get("key_ops").and_then(Value::as_array);
    let may_verify = operations.is_none_or(|operations| operations.iter().any(|operation| operation == "verify"));
    if !is_for_signatures || !may_verify {
        return None;
    }
    let (kind, parts): (_, &[&str]) = match (text("kty")?, text("crv")) {
        ("RSA", _) => (Kind::Rsa, &["kty", "n", "e"]),
        ("EC", Some("P-256")) => (Kind::P256, &["kty", "crv", "x", "y"]),
        ("EC", Some("P-384")) => (Kind::P384, &["kty", "crv", "x", "y"]),
        ("OKP", Some("Ed25519")) => (Kind::Ed25519, &["kty", "crv", "x"]),
        _ => return None,
    };
    let is_sound = match kind {
        Kind::Rsa => is_reasonable(text("n")?, text("e")?),
        Kind::P256 => has_bytes(text("x")?, 32) && has_bytes(text("y")?, 32),
        Kind::P384 => has_bytes(text("x")?, 48) && has_bytes(text("y")?, 48),
        Kind::Ed25519 => has_bytes(text("x")?, 32),
    };
    if !is_sound {
        return None;
    }
    let (id, algorithm) = (optional("kid")?, optional("alg")?);
    // Only what is needed goes on: no certificate, no address, no private part.
    let mut plain = Map::new();
    for part in parts {
        plain.insert((*part).to_owned(), json!(text(part)?));
    }
    plain.insert("use".to_owned(), json!("sig"));
    for (name, text) in [("kid", &id), ("alg", &algorithm)] {
        if let Some(text) = text {
            plain.insert(name.to_owned(), json!(text));
        }
    }
    let typed = serde_json::from_value(Value::Object(plain.clone())).ok()?;
    plain.remove("alg");
    let jwk: Jwk = serde_json::from_value(Value::Object(plain)).ok()?;
    let decoding = DecodingKey::from_jwk(&jwk).ok()?;
    Some((typed, Key { id, kind, algorithm, decoding }))
}

fn has_bytes(text: &str, count: usize) -> bool {
    URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == count)
}

fn is_reasonable(modulus: &str, exponent: &str) -> bool {
    let bits = |text: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let at = bytes.iter().position(|byte| *byte != 0)?;
        let first = usize::try_from(bytes.get(at)?.leading_zeros()).ok()?;
        Some((bytes.len() - at) * 8 - first)
    };
    bits(modulus).is_some_and(|bits| RSA_SIZES.contains(&bits)) && bits(exponent).is_some_and(|bits| bits <= 33)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::provider::hostile::Signer;

    fn read(keys: &[Value]) -> Result<Keys, AskError> {
        Keys::read(json!({ "keys": keys }).to_string().as_bytes())
    }

    fn with(mut key: Value, change: &[(&str, Value)]) -> Value {
        for (name, value) in change {
            key[*name] = value.clone();
        }
        key
    }

    #[test]
    fn only_public_keys_for_signatures_are_keys() {
        let key = Signer::rsa("one").public();
        assert_eq!(read(std::slice::from_ref(&key)).unwrap().each.len(), 1);
        for odd in [
            json!({"kty": "oct", "kid": "one", "k": "c2VjcmV0"}),
            json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}),
            json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode([255; 128]), "e": "AQAB"}),
            json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode([255; 2048]), "e": "AQAB"}),
            with(key.clone(), &[("e", json!(URL_SAFE_NO_PAD.encode([255; 256])))]),
            with(key.clone(), &[("use", json!("enc"))]),
            with(key.clone(), &[("key_ops", json!(["encrypt"]))]),
            with(key.clone(), &[("kid", json!(7))]),
            with(key.clone(), &[("n", json!("!"))]),
            json!("key"),
        ] {
            assert!(read(std::slice::from_ref(&odd)).is_err(), "{odd}");
            assert_eq!(read(&[odd, key.clone()]).unwrap().each.len(), 1);
        }
    }

    #[test]
    fn more_keys_than_anybody_has_are_refused() {
        let keys = |count: usize| (0..count).map(|n| Signer::rsa(&n.to_string()).public()).collect::<Vec<_>>();
        assert!(read(&keys(MOST_KEYS)).is_ok());
        assert!(read(&keys(MOST_KEYS + 1)).is_err());
    }

    #[test]
    fn a8_a_key_is_chosen_by_name_and_kind() {
        let (rsa, ec) = (Signer::rsa("rsa").public(), Signer::es256("ec").public());
        let keys = read(&[rsa.clone(), ec.clone()]).unwrap();
        use SigningAlgorithm as A;
        assert!(keys.choose(Some("rsa"), A::Rs256).is_ok());
        assert!(keys.choose(None, A::Es256).is_ok());
        assert_eq!(keys.choose(Some("rsa"), A::Es256).err(), Some(NoKey::Unknown));
        assert_eq!(keys.choose(Some("ec"), A::Es384).err(), Some(NoKey::Unknown));
        for name in ["", "RSA", "../rsa", "rsa\0", "' or 1=1 --", "https://evil.example/jwks"] {
            assert_eq!(keys.choose(Some(name), A::Rs256).err(), Some(NoKey::Unknown), "{name:?}");
        }
        let two = read(&[rsa.clone(), Signer::rsa("other").public()]).unwrap();
        assert_eq!(two.choose(None, A::Rs256).err(), Some(NoKey::Ambiguous));
        let pinned = read(&[with(rsa, &[("alg", json!("RS256"))])]).unwrap();
        assert!(pinned.choose(Some("rsa"), A::Rs256).is_ok());
        assert_eq!(pinned.choose(Some("rsa"), A::Ps256).err(), Some(NoKey::Unknown));
    }
}
