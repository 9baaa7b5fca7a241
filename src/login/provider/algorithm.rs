use jsonwebtoken::Algorithm;
use openidconnect::core::CoreJwsSigningAlgorithm;
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

impl SigningAlgorithm {
    /// As RFC 7518 names it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    /// As the library for ID tokens names it.
    pub(super) fn typed(self) -> CoreJwsSigningAlgorithm {
        match self {
            Self::Rs256 => CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
            Self::Rs384 => CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
            Self::Rs512 => CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
            Self::Ps256 => CoreJwsSigningAlgorithm::RsaSsaPssSha256,
            Self::Ps384 => CoreJwsSigningAlgorithm::RsaSsaPssSha384,
            Self::Ps512 => CoreJwsSigningAlgorithm::RsaSsaPssSha512,
            Self::Es256 => CoreJwsSigningAlgorithm::EcdsaP256Sha256,
            Self::Es384 => CoreJwsSigningAlgorithm::EcdsaP384Sha384,
            Self::EdDsa => CoreJwsSigningAlgorithm::EdDsa,
        }
    }

    /// As the library for other tokens names it; `None` for what shares a key.
    pub(super) fn of_header(algorithm: Algorithm) -> Option<Self> {
        Some(match algorithm {
            Algorithm::RS256 => Self::Rs256,
            Algorithm::RS384 => Self::Rs384,
            Algorithm::RS512 => Self::Rs512,
            Algorithm::PS256 => Self::Ps256,
            Algorithm::PS384 => Self::Ps384,
            Algorithm::PS512 => Self::Ps512,
            Algorithm::ES256 => Self::Es256,
            Algorithm::ES384 => Self::Es384,
            Algorithm::EdDSA => Self::EdDsa,
            _ => return None,
        })
    }
}
