//! Terminals and programs that a person lets in (RFC 8628, RFC 8252): what they get is an app token of that person.

use std::time::Duration;

use serde_json::json;
use thiserror::Error;

use super::{
    AppToken, Rights,
    account::{self, AccountError, TokenRequest},
    code::{Code, UserCode, proves},
    loopback::LoopbackUri,
    secret::Secret,
    told::{self, Told},
};
use crate::{
    request,
    store::{
        Db, StoreError, Timestamp,
        authorization_code::{self, AuthorizationCode},
        device::{self, Decision, NewDevice, Opened, Polled, Waiting},
        member::{self, ProjectId, UserId},
        user,
    },
};

/// For how long a terminal waits.
pub const WAITS: Duration = Duration::from_secs(600);
/// How long it should wait between two questions, in seconds.
pub const INTERVAL: i32 = 5;
/// For how long a program may exchange its code.
const CODE_LIVES: Duration = Duration::from_secs(60);
/// What a program calls itself has so many characters.
pub const LONGEST_CLIENT: usize = 64;
/// Codes that others have already are not drawn so often.
const TRIES: usize = 3;

/// What a terminal gets to wait with.
#[derive(Debug)]
pub struct Opening {
    /// What it asks with.
    pub device_code: Code,
    /// What it shows to the person.
    pub user_code: UserCode,
}

/// A token that was handed out.
#[derive(Debug)]
pub struct HandedOut {
    /// The token.
    pub token: AppToken,
    /// Whose it is.
    pub user: String,
    /// The project that it acts in.
    pub project: String,
    /// What it is for.
    pub rights: Rights,
    /// For how long it is good.
    pub valid_for: Duration,
}

/// Why a terminal or a program gets nothing.
#[derive(Debug, Error)]
pub enum NotHandedOut {
    /// Nobody has decided yet.
    #[error("nobody has decided yet")]
    Pending,
    /// As before, and it has asked too soon.
    #[error("that was too soon; wait {0} seconds between two questions")]
    SlowDown(i32),
    /// The person has said no, or may not say yes any more.
    #[error("{0}")]
    Denied(String),
    /// It is too late.
    #[error("nobody has let this terminal in in time; begin anew")]
    Expired,
    /// The code is none, was used, or belongs to another.
    #[error("{0}")]
    Void(&'static str),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Randomness(#[from] getrandom::Error),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whether a program may call itself so: printable ASCII, which looks the same to everybody.
pub fn is_client(name: &str) -> bool {
    !name.trim().is_empty() && name.len() <= LONGEST_CLIENT && name.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// Lets a terminal wait.
///
/// # Errors
/// [`NotHandedOut::Denied`] when too many do; no random bytes; the database failed.
pub async fn open(
    db: &Db,
    secret: &Secret,
    client: &str,
    address: &str,
    rights: Rights,
) -> Result<Opening, NotHandedOut> {
    let mut tries = 1;
    loop {
        let (device_code, user_code) = (Code::generate()?, UserCode::generate()?);
        let now = Timestamp::now();
        let new = NewDevice {
            device_code_hash: device_code.hash(),
            user_code_hash: user_code.hash(secret),
            client: client.to_owned(),
            address: address.to_owned(),
            rights,
            interval_seconds: INTERVAL,
            expires_at: now.plus(WAITS),
        };
        match db.write(move |connection| device::open(connection, &new, now)).await {
            Ok(Opened::Waits) => return Ok(Opening { device_code, user_code }),
            Ok(Opened::TooManyOfAddress) => {
                return Err(NotHandedOut::Denied("too many terminals of your address wait already".into()));
            }
            Ok(Opened::TooMany) => return Err(NotHandedOut::Denied("too many terminals wait already".into())),
            Err(error) if error.is_duplicate() && tries < TRIES => tries += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// The terminal that shows this code; `None` if none does that waits.
///
/// # Errors
/// The database failed.
pub async fn look(db: &Db, secret: &Secret, code: &UserCode) -> Result<Option<Waiting>, StoreError> {
    let hash = code.hash(secret);
    db.write(move |connection| device::enter(connection, &hash, Timestamp::now())).await
}

/// A person decides about the terminal that shows this code, once; answers whether they did.
///
/// # Errors
/// The database failed.
pub async fn decide(
    db: &Db,
    secret: &Secret,
    code: &UserCode,
    waiting: &Waiting,
    decision: Decision,
) -> Result<bool, StoreError> {
    let (hash, actor) = (code.hash(secret), request::actor());
    let (client, address) = (waiting.client.clone(), waiting.address.clone());
    db.write(move |connection| {
        if !device::decide(connection, &hash, &decision, Timestamp::now())? {
            return Ok(false);
        }
        let told = match &decision {
            Decision::Deny => Told::new("login.denied", json!({ "client": client, "client_address": address })),
            Decision::Approve { project, rights, days, .. } => {
                let rights = rights.to_string();
                let body = json!({ "client": client, "client_address": address, "rights": rights, "days": days });
                Told::of(*project, "login.approved", body)
            }
        };
        told::record(connection, told, actor.as_ref())?;
        Ok(true)
    })
    .await
}

/// The terminal asks whether it is let in.
///
/// # Errors
/// It is not, or not yet; the database failed.
pub async fn poll(db: &Db, code: &Code) -> Result<HandedOut, NotHandedOut> {
    let hash = code.hash();
    let known = hash.clone();
    // Most of what strangers try is unknown: that costs no write.
    if !db.read_brief(move |connection| device::is_known(connection, &known)).await? {
        return Err(NotHandedOut::Void("there is no such device code, or its token was handed out already"));
    }
    match db.write(move |connection| device::poll(connection, &hash, Timestamp::now())).await? {
        Polled::Unknown => Err(NotHandedOut::Void("there is no such device code, or its token was handed out already")),
        Polled::Expired => Err(NotHandedOut::Expired),
        Polled::Pending => Err(NotHandedOut::Pending),
        Polled::SlowDown(seconds) => Err(NotHandedOut::SlowDown(seconds)),
        Polled::Denied => Err(NotHandedOut::Denied("access was denied".into())),
        Polled::Approved(approval) => {
            let device::Approval { user, project, rights, days, client } = approval;
            hand_out(db, user, project, rights, days, client).await
        }
    }
}

/// What a person has agreed to, for a program that waits at this address of their own computer. Answers where the
/// browser is to go, with the code; `None` when they agree to more than anybody does at once.
///
/// # Errors
/// No random bytes; the database failed.
pub async fn agree(
    db: &Db,
    agreed: &Agreed,
    decided: (UserId, ProjectId, Rights, i32),
    issuer: &str,
) -> Result<Option<String>, NotHandedOut> {
    let code = Code::generate()?;
    let now = Timestamp::now();
    let (user, project, rights, days) = decided;
    let (hash, actor) = (code.hash(), request::actor());
    let row = AuthorizationCode {
        user,
        project,
        client: agreed.client.clone(),
        rights,
        days,
        redirect_uri: agreed.redirect_uri.to_string(),
        challenge: agreed.challenge.clone(),
        expires_at: now.plus(CODE_LIVES),
    };
    let kept = db
        .write(move |connection| {
            if !authorization_code::insert(connection, &hash, &row, now)? {
                return Ok(false);
            }
            let body = json!({ "client": row.client, "rights": row.rights.to_string(), "days": row.days });
            told::record(connection, Told::of(row.project, "login.approved", body), actor.as_ref())?;
            Ok(true)
        })
        .await?;
    Ok(kept.then(|| agreed.answer(&[("code", code.reveal())], issuer)))
}

/// What a program asks for that waits on the person's own computer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// What it calls itself; nobody has checked it.
    pub client: String,
    /// Where it waits.
    pub redirect_uri: LoopbackUri,
    /// What it recognises the answer by.
    pub state: String,
    /// What it will prove the origin of.
    pub challenge: String,
    /// What it wants to do.
    pub rights: Rights,
}

impl Agreed {
    /// The request again, for the form in which the person decides.
    pub fn as_query(&self) -> String {
        let (redirect_uri, rights) = (self.redirect_uri.to_string(), self.rights.to_string());
        let fields = [
            ("response_type", "code"),
            ("client_id", &self.client),
            ("redirect_uri", &redirect_uri),
            ("state", &self.state),
            ("code_challenge", &self.challenge),
            ("code_challenge_method", "S256"),
            ("scope", &rights),
        ];
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
    }

    /// Where the browser is to go with these fields. The issuer goes with them (RFC 9207), so that an answer of another
    /// server is not taken for ours.
    pub fn answer(&self, fields: &[(&str, &str)], issuer: &str) -> String {
        let always = [("state", self.state.as_str()), ("iss", issuer)];
        let fields: Vec<_> = fields.iter().copied().chain(always).filter(|(_, value)| !value.is_empty()).collect();
        self.redirect_uri.with(&fields)
    }
}

/// A program exchanges its code. The code is void from now on, whatever comes of it.
///
/// # Errors
/// The code is none, or belongs to another program; the person may not say yes any more; the database failed.
pub async fn exchange(
    db: &Db,
    code: &Code,
    redirect_uri: &str,
    client: &str,
    verifier: &str,
) -> Result<HandedOut, NotHandedOut> {
    const VOID: &str = "the code is none of ours, was used, is older than a minute, or belongs to another program";
    let hash = code.hash();
    let known = hash.clone();
    if !db.read_brief(move |connection| authorization_code::is_known(connection, &known)).await? {
        return Err(NotHandedOut::Void(VOID));
    }
    let taken = db.write(move |connection| authorization_code::take(connection, &hash, Timestamp::now())).await?;
    let of_program = |row: &AuthorizationCode| {
        row.redirect_uri == redirect_uri && row.client == client && proves(verifier, &row.challenge)
    };
    let row = taken.filter(of_program).ok_or(NotHandedOut::Void(VOID))?;
    hand_out(db, row.user, row.project, row.rights, row.days, row.client).await
}

async fn hand_out(
    db: &Db,
    user: UserId,
    project: ProjectId,
    rights: Rights,
    days: i32,
    client: String,
) -> Result<HandedOut, NotHandedOut> {
    let names = db.read_brief(move |connection| {
        let name = user::find(connection, user)?.map(|user| user.name);
        Ok(name.zip(member::project_name(connection, project)?))
    });
    let gone = || NotHandedOut::Denied("the person or the project is not there any more".into());
    let (user_name, project_name) = names.await?.ok_or_else(gone)?;
    // For the event log: it is the person who gets a token, by this terminal.
    request::sent_by(&user_name, Some(user.0), format!("terminal {client}"));
    let days = u32::try_from(days).unwrap_or(1);
    let wanted = TokenRequest { user, project, name: client, rights, days };
    let token = account::make_token(db, wanted).await.map_err(|error| match error {
        AccountError::Store(error) => NotHandedOut::Store(error),
        AccountError::Randomness(error) => NotHandedOut::Randomness(error),
        refused => NotHandedOut::Denied(refused.to_string()),
    })?;
    let valid_for = Duration::from_secs(u64::from(days) * 24 * 60 * 60);
    Ok(HandedOut { token, user: user_name, project: project_name, rights, valid_for })
}

/// Whoever has a token may make it void; answers nothing, whether it was one or not (RFC 7009).
///
/// # Errors
/// The database failed.
pub async fn give_back(db: &Db, token: &str) -> Result<(), StoreError> {
    let Ok(token) = token.parse::<AppToken>() else { return Ok(()) };
    let live = crate::store::token::find_live(db, token.id).await?;
    let Some(live) = live.filter(|live| token.fits(&live.secret_hash)) else { return Ok(()) };
    request::sent_by(&live.user_name, Some(live.user.0), format!("token {}", token.id));
    account::revoke_token(db, live.user, token.id).await?;
    Ok(())
}
