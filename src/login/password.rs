//! Passwords of users without a provider: kept as argon2id, with the parameters that the crate recommends (those of
//! OWASP).

use std::{fmt, sync::LazyLock};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use thiserror::Error;
use tokio::sync::Semaphore;

/// In characters; length is what makes a password hard to guess.
const SHORTEST: usize = 12;
/// In bytes; a longer one is not looked at.
const LONGEST: usize = 1024;
/// Each hashing takes 19 MiB and a core: strangers may not have more of them at once.
const MOST_AT_ONCE: usize = 2;

static PLACES: Semaphore = Semaphore::const_new(MOST_AT_ONCE);
/// What is compared with when there is no such user. Nobody knows a password that fits.
static NOBODYS: LazyLock<Option<String>> = LazyLock::new(|| {
    let mut password = [0; 32];
    getrandom::fill(&mut password).ok()?;
    Argon2::default().hash_password(&password).ok().map(|hash| hash.to_string())
});

/// A password as somebody has typed it.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

/// Why a password is not taken, or could not be hashed.
#[derive(Debug, Error)]
pub enum PasswordError {
    /// It is guessed too easily.
    #[error("the password has {0} characters; choose one of at least {SHORTEST}, four words for instance")]
    TooShort(usize),
    /// Nobody types that.
    #[error("the password is longer than {LONGEST} bytes; choose a shorter one")]
    TooLong,
    /// The system has not done it.
    #[error("the password could not be hashed: {0}; try again")]
    Failed(String),
}

impl Password {
    /// Takes what was typed to be compared; whether it would be a good password does not matter then.
    ///
    /// # Errors
    /// It is too long.
    pub fn typed(text: String) -> Result<Self, PasswordError> {
        if text.len() > LONGEST { Err(PasswordError::TooLong) } else { Ok(Self(text)) }
    }

    /// Takes a new password.
    ///
    /// # Errors
    /// It is too short or too long.
    pub fn chosen(text: String) -> Result<Self, PasswordError> {
        let characters = text.chars().count();
        if characters < SHORTEST { Err(PasswordError::TooShort(characters)) } else { Self::typed(text) }
    }

    /// What is remembered of it: a PHC string with a salt of its own.
    ///
    /// # Errors
    /// The system has no random bytes, or is ending.
    pub async fn hash(self) -> Result<String, PasswordError> {
        let hashed = in_turn(move || Argon2::default().hash_password(self.0.as_bytes()).map(|hash| hash.to_string()));
        let hashed = hashed.await.ok_or_else(|| PasswordError::Failed("the server is ending".into()))?;
        hashed.map_err(|error| PasswordError::Failed(error.to_string()))
    }

    /// Whether it is the one that was hashed. Where there is no hash the same work is done, so that nobody learns from
    /// the time it takes which users there are.
    pub async fn fits(self, remembered: Option<String>) -> bool {
        let is_known = remembered.is_some();
        let compared = in_turn(move || {
            let Some(remembered) = remembered.or_else(|| NOBODYS.clone()) else { return false };
            let Ok(remembered) = PasswordHash::new(&remembered) else { return false };
            Argon2::default().verify_password(self.0.as_bytes(), &remembered).is_ok()
        });
        compared.await.unwrap_or_default() && is_known
    }
}

// It must not reach a log by way of {:?}.
impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// Does the work beside the server's threads, a few at once.
async fn in_turn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let _place = PLACES.acquire().await.ok()?;
    tokio::task::spawn_blocking(work).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Password {
        Password::typed(text.to_owned()).unwrap()
    }

    #[tokio::test]
    async fn only_the_password_that_was_hashed_fits() {
        let hash = Password::chosen("correct horse battery".into()).unwrap().hash().await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(typed("correct horse battery").fits(Some(hash.clone())).await);
        assert!(!typed("correct horse batterY").fits(Some(hash.clone())).await);
        assert!(!typed("").fits(Some(hash)).await);
        assert!(!typed("correct horse battery").fits(None).await);
        assert!(!typed("correct horse battery").fits(Some("not a hash".into())).await);
    }

    #[tokio::test]
    async fn two_hashes_of_one_password_differ() {
        let hash = async || Password::chosen("correct horse battery".into()).unwrap().hash().await.unwrap();
        assert_ne!(hash().await, hash().await);
    }

    #[test]
    fn length_is_bounded_and_nothing_shows_it() {
        assert!(matches!(Password::chosen("elevenchars".into()), Err(PasswordError::TooShort(11))));
        assert!(Password::chosen("äöüäöüäöüäöü".into()).is_ok());
        assert!(matches!(Password::chosen("x".repeat(1025)), Err(PasswordError::TooLong)));
        assert!(matches!(Password::typed("x".repeat(1025)), Err(PasswordError::TooLong)));
        assert_eq!(format!("{:?}", typed("canary")), "Password");
    }
}
