use serde::Deserialize;

/// How a provider signs. There are only algorithms with a public key: whoever may check must not be able to sign, and
/// what is not signed is not taken at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum SigningAlgorithm {
    /// RSA, PKCS #1 v1.5, SHA-256
    #[serde(rename = "RS256")]
    Rs256,
    /// RSA, PKCS #1 v1.5, SHA-384
    #[serde(rename = "RS384")]
    Rs384,
    /// RSA, PKCS #1 v1.5, SHA-512
    #[serde(rename = "RS512")]
    Rs512,
    /// RSA, PSS, SHA-256
    #[serde(rename = "PS256")]
    Ps256,
    /// RSA, PSS, SHA-384
    #[serde(rename = "PS384")]
    Ps384,
    /// RSA, PSS, SHA-512
    #[serde(rename = "PS512")]
    Ps512,
    /// ECDSA on P-256, SHA-256
    #[serde(rename = "ES256")]
    Es256,
    /// ECDSA on P-384, SHA-384
    #[serde(rename = "ES384")]
    Es384,
    /// Ed25519
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl SigningAlgorithm {
    /// What providers use today.
    pub fn usual() -> Vec<Self> {
        vec![Self::Rs256, Self::Es256, Self::Ps256, Self::EdDsa]
    }
}
