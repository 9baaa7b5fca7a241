//! Codes that stand for something for a short while: long ones for programs, short ones for people.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use super::secret::Secret;

/// Letters that make no words and are not mixed up, as RFC 8628 section 6.1 proposes.
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const USER_CODE_LETTERS: usize = 8;

/// 256 random bits as text, for a program. Only its hash is kept.
#[derive(Clone)]
pub struct Code(String);

impl Code {
    /// A new one.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// What a client presents as one.
    pub fn presented(text: &str) -> Option<Self> {
        let plain = text.len() == 43 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        plain.then(|| Self(text.to_owned()))
    }

    /// The code itself, for the one who is to have it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// By what it is found again. Nobody guesses 256 bits, so a plain hash is enough.
    pub fn hash(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.0.as_bytes()))
    }
}

// It must not reach a log by way of {:?}.
impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code")
    }
}

/// Eight letters that a person reads from one screen and types on another: `WDJB-MJHT`.
#[derive(Clone, PartialEq, Eq)]
pub struct UserCode([u8; USER_CODE_LETTERS]);

/// No user code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a code has eight letters, such as WDJB-MJHT; see what the terminal shows")]
pub struct NoUserCode;

impl UserCode {
    /// A new one: one of 20⁸.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut letters = [0; USER_CODE_LETTERS];
        let mut bytes = [0; 4 * USER_CODE_LETTERS];
        loop {
            getrandom::fill(&mut bytes)?;
            // 240 is the largest multiple of 20 in a byte: above it, some letters would come more often.
            let mut even = bytes.iter().filter(|byte| **byte < 240);
            if letters
                .iter_mut()
                .all(|letter| even.next().map(|byte| *letter = LETTERS[usize::from(byte % 20)]).is_some())
            {
                return Ok(Self(letters));
            }
        }
    }

    /// By what it is found again. There are few enough codes to try them all, so the hash has a key.
    pub fn hash(&self, secret: &Secret) -> String {
        let key = secret.derive("device user code");
        URL_SAFE_NO_PAD.encode(Sha256::digest([key.as_slice(), self.0.as_slice()].concat()))
    }
}

impl fmt::Display for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, second) = self.0.split_at(USER_CODE_LETTERS / 2);
        write!(f, "{}-{}", String::from_utf8_lossy(first), String::from_utf8_lossy(second))
    }
}

impl fmt::Debug for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserCode")
    }
}

impl FromStr for UserCode {
    type Err = NoUserCode;

    /// As people type: in small letters too, with any hyphens and blanks.
    fn from_str(text: &str) -> Result<Self, NoUserCode> {
        if text.len() > 64 {
            return Err(NoUserCode);
        }
        let typed = text.bytes().filter(|byte| !matches!(byte, b'-' | b' ')).map(|byte| byte.to_ascii_uppercase());
        let letters: Vec<u8> = typed.collect();
        let letters: [u8; USER_CODE_LETTERS] = letters.try_into().map_err(|_| NoUserCode)?;
        if letters.iter().all(|letter| LETTERS.contains(letter)) { Ok(Self(letters)) } else { Err(NoUserCode) }
    }
}

/// Whether the verifier is what the challenge was made from, by SHA-256 (RFC 7636 section 4.6). There is no other
/// method here: `plain` would let whoever sees the request exchange the code.
pub fn proves(verifier: &str, challenge: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    (43..=128).contains(&verifier.len())
        && verifier.bytes().all(allowed)
        && subtle::ConstantTimeEq::ct_eq(challenge_of(verifier).as_bytes(), challenge.as_bytes()).into()
}

/// The challenge that the verifier proves.
pub fn challenge_of(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_code_is_read_as_people_type_it() {
        let code: UserCode = "WDJB-MJHT".parse().unwrap();
        for typed in ["wdjbmjht", " wdjb mjht ", "WDJB--MJHT", "w-d-j-b-m-j-h-t"] {
            assert_eq!(typed.parse(), Ok(code.clone()), "{typed:?}");
        }
        for typed in ["", "WDJB-MJH", "WDJB-MJHTX", "WDJA-MJHT", "WDJB-MJH1", "WDJB\u{2010}MJHT", &"W".repeat(100)] {
            assert_eq!(typed.parse::<UserCode>(), Err(NoUserCode), "{typed:?}");
        }
    }

    #[test]
    fn a17_user_codes_are_spread_over_all_letters_and_their_hashes_have_a_key() {
        let mut seen = std::collections::BTreeMap::<u8, u32>::new();
        for _ in 0..2000 {
            let code = UserCode::generate().unwrap();
            assert_eq!(code.to_string().parse(), Ok(code.clone()));
            code.0.iter().for_each(|letter| *seen.entry(*letter).or_default() += 1);
        }
        // 800 of each are to be expected; six standard deviations are 165.
        assert_eq!(seen.len(), 20);
        assert!(seen.values().all(|count| (600..1000).contains(count)), "{seen:?}");
        let code = UserCode::generate().unwrap();
        let (one, other) = (Secret::from_bytes([1; 32]), Secret::from_bytes([2; 32]));
        assert_eq!(code.hash(&one), code.hash(&one));
        assert_ne!(code.hash(&one), code.hash(&other));
    }

    #[test]
    fn a_presented_code_is_plain_and_is_not_in_the_debug_form() {
        let code = Code::generate().unwrap();
        assert_eq!(Code::presented(code.reveal()).unwrap().hash(), code.hash());
        assert!(!format!("{code:?}").contains(code.reveal()));
        for text in ["", "short", &"x".repeat(44), &format!("{}\n", "x".repeat(42)), &"ü".repeat(22)] {
            assert!(Code::presented(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn only_the_origin_of_a_challenge_proves_it() {
        // RFC 7636 appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert!(proves(verifier, challenge));
        assert!(!proves(verifier, verifier), "the plain method is none");
        assert!(!proves(&verifier[1..], challenge));
        for short in ["", "a"] {
            assert!(!proves(short, &challenge_of(short)));
        }
        let long = "a".repeat(129);
        assert!(!proves(&long, &challenge_of(&long)));
    }
}
