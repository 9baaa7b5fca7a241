use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ring::{
    hmac,
    rand::SystemRandom,
    rsa::PublicKeyComponents,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
        RsaKeyPair,
    },
};
use serde_json::{Value, json};

/// A private key of the hostile provider.
pub struct Signer {
    /// Its published name.
    pub kid: String,
    key: PrivateKey,
}

enum PrivateKey {
    Rsa { pair: RsaKeyPair, pss: bool },
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    /// RS256 with the first test key, whatever its name.
    pub fn rsa(kid: &str) -> Self {
        Self::rsa_of(kid, include_str!("keys/for-tests-only-one.pem"), false)
    }

    /// RS256 with the second test key: a stranger's.
    pub fn other_rsa(kid: &str) -> Self {
        Self::rsa_of(kid, include_str!("keys/for-tests-only-two.pem"), false)
    }

    /// PS256 with the first test key.
    pub fn pss(kid: &str) -> Self {
        Self::rsa_of(kid, include_str!("keys/for-tests-only-one.pem"), true)
    }

    /// ES256 with a new key.
    pub fn es256(kid: &str) -> Self {
        let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        Self { kid: kid.to_owned(), key: PrivateKey::P256(pair) }
    }

    /// Ed25519 with a new key.
    pub fn ed25519(kid: &str) -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        Self { kid: kid.to_owned(), key: PrivateKey::Ed25519(pair) }
    }

    fn rsa_of(kid: &str, pem: &str, pss: bool) -> Self {
        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let pair = RsaKeyPair::from_pkcs8(&STANDARD.decode(body).unwrap()).unwrap();
        Self { kid: kid.to_owned(), key: PrivateKey::Rsa { pair, pss } }
    }

    /// The algorithm's name.
    pub fn algorithm(&self) -> &'static str {
        match &self.key {
            PrivateKey::Rsa { pss: false, .. } => "RS256",
            PrivateKey::Rsa { pss: true, .. } => "PS256",
            PrivateKey::P256(_) => "ES256",
            PrivateKey::Ed25519(_) => "EdDSA",
        }
    }

    /// The public bytes that a naive library would take for a shared key.
    pub fn public_bytes(&self) -> Vec<u8> {
        match &self.key {
            PrivateKey::Rsa { pair, .. } => pair.public().as_ref().to_vec(),
            PrivateKey::P256(pair) => pair.public_key().as_ref().to_vec(),
            PrivateKey::Ed25519(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    /// As it is published.
    pub fn public(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match &self.key {
            PrivateKey::Rsa { pair, .. } => {
                let parts = PublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({"kty": "RSA", "kid": self.kid, "use": "sig", "n": text(&parts.n), "e": text(&parts.e)})
            }
            PrivateKey::P256(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "kid": self.kid, "use": "sig", "x": text(x), "y": text(y)})
            }
            PrivateKey::Ed25519(pair) => {
                let x = text(pair.public_key().as_ref());
                json!({"kty": "OKP", "crv": "Ed25519", "kid": self.kid, "use": "sig", "x": x})
            }
        }
    }

    /// Half of the hash that belongs to the algorithm, as `at_hash` and `c_hash` have it.
    pub fn half_hash(&self, text: &str) -> String {
        let hash = if self.algorithm() == "EdDSA" { sha512(text) } else { sha256(text) };
        URL_SAFE_NO_PAD.encode(&hash[..hash.len() / 2])
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.key {
            PrivateKey::Rsa { pair, pss } => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let result = if *pss {
                    pair.sign(&RSA_PSS_SHA256, &random, message, &mut signature)
                } else {
                    pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                };
                result.unwrap();
                signature
            }
            PrivateKey::P256(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            PrivateKey::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// A token of these, with a good signature.
    pub fn token(&self, header: &Value, claims: &Value) -> String {
        compact(header, claims, |message| self.sign(message))
    }
}

/// A token with whatever stands for a signature.
pub fn compact(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

/// HS256 with any bytes for a key.
pub fn hs256(key: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref().to_vec()
}

/// SHA-512.
pub fn sha512(text: &str) -> Vec<u8> {
    ring::digest::digest(&ring::digest::SHA512, text.as_bytes()).as_ref().to_vec()
}

/// SHA-256.
pub fn sha256(text: &str) -> Vec<u8> {
    ring::digest::digest(&ring::digest::SHA256, text.as_bytes()).as_ref().to_vec()
}
