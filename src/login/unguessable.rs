use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

const BYTES: usize = 32;
/// One of ours is 43 characters long.
const LONGEST: usize = 64;

/// 256 random bits in base64url: whoever has them was given them. What is remembered of it is its hash; a plain one is
/// enough, since nobody can try them all.
#[derive(Clone, PartialEq, Eq)]
pub struct Unguessable(String);

impl Unguessable {
    /// A new one.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// What somebody has presented, if it can be one at all.
    pub fn presented(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (!text.is_empty() && text.len() <= LONGEST && text.bytes().all(plain)).then(|| Self(text.to_owned()))
    }

    /// What is remembered: SHA-256 in hexadecimal digits.
    pub fn hash(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digest = Sha256::digest(self.0.as_bytes());
        let digits = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
    }

    /// The text, for whom it is meant.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

// It must not reach a log by way of {:?}.
impl fmt::Debug for Unguessable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unguessable")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_another_and_found_by_its_hash() {
        let (one, two) = (Unguessable::generate().unwrap(), Unguessable::generate().unwrap());
        assert_ne!(one, two);
        assert_eq!(one.reveal().len(), 43);
        assert_eq!(Unguessable::presented(one.reveal()).unwrap().hash(), one.hash());
        assert_eq!(one.hash().len(), 64);
        assert!(!format!("{one:?}").contains(one.reveal()));
    }

    #[test]
    fn what_cannot_be_one_is_not_looked_at() {
        for odd in ["", "a b", "a/b", "a%2f", "ä", "a=", &"x".repeat(65)] {
            assert_eq!(Unguessable::presented(odd), None, "{odd}");
        }
    }
}
