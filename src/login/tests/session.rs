//! Sessions end when they should, for every process at once; what may be used once is used once.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use super::{member, rules, sign_in};
use crate::{
    login::Rights,
    store::{
        Db, Timestamp,
        confirmation::{self, RefreshToken},
        grant, login_link,
        member::{ProjectId, Standing, UserId},
        password,
        session::{self, NewSession},
        spent, user,
    },
};

const HOUR: Duration = Duration::from_secs(3600);

pub async fn stories(db: &Db, other: &Db) {
    sessions_begin_and_end(db, other).await;
    a_session_acts_in_its_project(db, other).await;
    providers_end_sessions(db).await;
    nobody_has_sessions_without_end(db).await;
    keys_are_spent_once(db, other).await;
    links_let_in_once(db, other).await;
    passwords_are_found(db).await;
    one_asks_the_provider(db, other).await;
}

fn session(user: UserId, hash: &str) -> NewSession {
    NewSession {
        secret_hash: hash.into(),
        user,
        provider: Some("school".into()),
        provider_session: Some(format!("sid-{hash}")),
        id_token: Some("sealed".into()),
        project: None,
        address: "192.0.2.1".into(),
        user_agent: "Mozilla\u{7}".into(),
        expires_at: Timestamp::now().plus(HOUR),
    }
}

async fn begin(db: &Db, session: NewSession) {
    db.write(move |connection| session::insert(connection, &session)).await.unwrap();
}

async fn is_live(db: &Db, hash: &str) -> bool {
    session::find_live(db, hash).await.unwrap().is_some()
}

async fn sessions_begin_and_end(db: &Db, other: &Db) {
    let sam = member(db, "sam").await.user;
    assert!(!is_live(db, "s1").await, "nothing is kept of what is not there");
    begin(other, session(sam, "s1")).await;
    begin(db, session(sam, "s2")).await;
    begin(db, NewSession { expires_at: Timestamp::now(), ..session(sam, "over") }).await;
    for hash in ["s1", "s2"] {
        assert!(is_live(db, hash).await && is_live(other, hash).await);
    }
    assert!(!is_live(db, "over").await);
    let listed = db.read(move |c| session::list(c, sam)).await.unwrap();
    assert_eq!((listed.len(), listed[0].user_agent.as_str()), (2, "Mozilla"));
    let ended = other.write(|connection| session::end(connection, "s1")).await.unwrap().unwrap();
    assert_eq!((ended.user, ended.id_token.as_deref()), (sam, Some("sealed")));
    assert!(!is_live(db, "s1").await && !is_live(other, "s1").await, "for every process at once");
    assert!(is_live(db, "s2").await);
    begin(db, session(sam, "s3")).await;
    assert_eq!(db.write(move |c| session::end_of_user(c, sam, Some("s3"))).await.unwrap(), 1);
    assert!(!is_live(other, "s2").await && is_live(other, "s3").await);
    db.write(move |c| user::set_standing(c, sam, Standing::Disabled)).await.unwrap();
    assert!(!is_live(other, "s3").await, "who was shut out has none");
}

async fn a_session_acts_in_its_project(db: &Db, other: &Db) {
    let rules = rules(&["claim = 'g'\nmatches = '(?<n>.+)'\nproject = '{n}'\ncreate_projects = true"]);
    let uma = sign_in(db, &rules, "uma", json!({"g": ["u-one"]})).await.user;
    begin(db, session(uma, "u")).await;
    let live = async || session::find_live(other, "u").await.unwrap().unwrap();
    let of = async |name: &'static str| {
        db.read(move |c| crate::store::member::find_project(c, name)).await.unwrap().unwrap()
    };
    assert_eq!(live().await.acts_in(), Some(of("u-one").await), "the only one");
    sign_in(db, &rules, "uma", json!({"g": ["u-one", "u-two"]})).await;
    assert_eq!(live().await.acts_in(), None, "one of two has to be chosen");
    let two = of("u-two").await;
    assert!(db.write(move |c| session::set_project(c, "u", two)).await.unwrap());
    assert_eq!(live().await.acts_in(), Some(two));
    assert_eq!(live().await.rights_in(two).to_string(), "read operate");
    sign_in(db, &rules, "uma", json!({"g": ["u-one"]})).await;
    assert_eq!(live().await.rights_in(two), Rights::NONE, "gone with the group");
    assert_eq!(live().await.acts_in(), Some(of("u-one").await));
    assert_eq!(live().await.rights_in(ProjectId(uuid::Uuid::nil())), Rights::NONE);
    // A role that ends by itself does so without a write.
    let brief = grant::Grant {
        role: crate::login::Role::Manager,
        place: grant::Place::Project(two),
        origin: grant::Origin::Operator,
        reason: "test".into(),
        expires_at: Some(Timestamp::now().plus(Duration::from_millis(300))),
    };
    db.write(move |c| grant::put(c, uma, &brief)).await.unwrap();
    assert_eq!(live().await.rights_in(two), Rights::ALL);
    while !live().await.rights_in(two).is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Who waits to be let in has a session and no rights.
    db.write(move |c| user::set_standing(c, uma, Standing::Pending)).await.unwrap();
    assert_eq!((live().await.standing, live().await.acts_in()), (Standing::Pending, None));
}

async fn providers_end_sessions(db: &Db) {
    let (vera, walt) = (member(db, "vera").await.user, member(db, "walt").await.user);
    for (user, hash) in [(vera, "v1"), (vera, "v2"), (walt, "w1"), (walt, "w2")] {
        begin(db, session(user, hash)).await;
    }
    begin(db, NewSession { provider: None, provider_session: None, ..session(vera, "local") }).await;
    let end = async |provider: &'static str, sid: Option<&'static str>, user: Option<UserId>| {
        db.write(move |c| session::end_by_provider(c, provider, sid, user)).await.unwrap().len()
    };
    assert_eq!(end("school", None, None).await, 0);
    assert_eq!(end("other", Some("sid-v1"), None).await, 0, "providers speak for their own");
    assert_eq!(end("school", Some("sid-v1"), Some(walt)).await, 0, "who says both means both");
    assert_eq!(end("school", Some("sid-v1"), None).await, 1);
    assert!(!is_live(db, "v1").await && is_live(db, "v2").await);
    assert_eq!(end("school", None, Some(walt)).await, 2);
    assert_eq!(end("school", None, Some(vera)).await, 1);
    assert!(is_live(db, "local").await);
}

async fn nobody_has_sessions_without_end(db: &Db) {
    let xena = member(db, "xena").await.user;
    for number in 0..25 {
        begin(db, session(xena, &format!("x{number}"))).await;
    }
    assert_eq!(db.read(move |c| session::list(c, xena)).await.unwrap().len(), 20);
    assert!(is_live(db, "x24").await && !is_live(db, "x4").await && is_live(db, "x5").await);
}

async fn keys_are_spent_once(db: &Db, other: &Db) {
    let later = Timestamp::now().plus(HOUR);
    let tries = (0..10).map(|number| {
        let db = if number % 2 == 0 { db.clone() } else { other.clone() };
        tokio::spawn(async move { db.write(move |c| spent::spend(c, "nonce", later)).await.unwrap() })
    });
    let first = join_all(tries.collect::<Vec<_>>()).await.into_iter().filter(|tried| *tried.as_ref().unwrap()).count();
    assert_eq!(first, 1);
    // What is void anyway is forgotten as others are spent.
    db.write(|c| spent::spend(c, "old", Timestamp::now())).await.unwrap();
    db.write(move |c| spent::spend(c, "new", later)).await.unwrap();
    assert_eq!(db.read(spent::count).await.unwrap(), 2);
    assert!(db.write(move |c| spent::spend(c, &"x".repeat(256), later)).await.is_err());
}

async fn links_let_in_once(db: &Db, other: &Db) {
    let yves = member(db, "yves").await.user;
    let later = Timestamp::now().plus(HOUR);
    db.write(move |c| login_link::insert(c, "over", yves, Timestamp::now())).await.unwrap();
    db.write(move |c| login_link::insert(c, "link", yves, later)).await.unwrap();
    for _ in 0..2 {
        assert_eq!(other.read(|c| login_link::look(c, "link")).await.unwrap(), Some(yves), "looking uses nothing up");
    }
    assert_eq!(db.write(|c| login_link::consume(c, "over")).await.unwrap(), None);
    let tries = (0..10).map(|number| {
        let db = if number % 2 == 0 { db.clone() } else { other.clone() };
        tokio::spawn(async move { db.write(|c| login_link::consume(c, "link")).await.unwrap() })
    });
    let let_in =
        join_all(tries.collect::<Vec<_>>()).await.into_iter().filter(|tried| tried.as_ref().unwrap().is_some());
    assert_eq!(let_in.count(), 1);
    db.write(move |c| login_link::insert(c, "more", yves, later)).await.unwrap();
    db.write(move |c| login_link::revoke_of_user(c, yves)).await.unwrap();
    assert_eq!(db.read(|c| login_link::look(c, "more")).await.unwrap(), None);
}

async fn passwords_are_found(db: &Db) {
    assert!(!db.read(password::any).await.unwrap());
    let zoe = member(db, "zoe").await.user;
    for hash in ["$argon2id$1", "$argon2id$2"] {
        db.write(move |c| password::set(c, zoe, hash)).await.unwrap();
    }
    assert!(db.read(password::any).await.unwrap());
    let find = async |name: &'static str| db.read(move |c| password::find(c, name)).await.unwrap();
    assert_eq!(find("zoe").await, Some((zoe, "$argon2id$2".into())));
    assert_eq!(find("sam").await, None);
    db.write(move |c| user::set_standing(c, zoe, Standing::Disabled)).await.unwrap();
    assert!(find("zoe").await.is_none() && !db.read(password::any).await.unwrap(), "who was shut out does not count");
    assert!(db.write(move |c| password::remove(c, zoe)).await.unwrap());
    assert!(!db.write(move |c| password::remove(c, zoe)).await.unwrap());
}

async fn one_asks_the_provider(db: &Db, other: &Db) {
    let abe = member(db, "abe").await.user;
    let put = async |token: RefreshToken| {
        let (at, until) = (Timestamp::now(), Timestamp::now().plus(HOUR));
        db.write(move |c| confirmation::put(c, abe, "school", &token, at, until)).await.unwrap();
    };
    let due = async |age: u64| db.read(move |c| confirmation::is_due(c, abe, Duration::from_secs(age))).await.unwrap();
    let claim = async |db: &Db| {
        let claimed = db.write(move |c| confirmation::claim(c, abe, Duration::ZERO, HOUR)).await.unwrap();
        claimed.map(|due| (due.provider, due.refresh_token))
    };
    assert!(!due(0).await, "without a refresh token nobody can ask");
    put(RefreshToken::Now(Some("one".into()))).await;
    assert!(due(0).await && !due(60).await);
    let (first, second) = tokio::join!(claim(db), claim(other));
    let claimed: Vec<_> = [first, second].into_iter().flatten().collect();
    assert_eq!(claimed, [("school".to_owned(), "one".to_owned())], "one asks");
    assert!(!due(0).await);
    put(RefreshToken::Unchanged).await;
    assert_eq!(claim(db).await.unwrap().1, "one");
    put(RefreshToken::Now(None)).await;
    assert!(claim(db).await.is_none());
    put(RefreshToken::Now(Some("two".into()))).await;
    db.write(move |c| confirmation::end(c, abe)).await.unwrap();
    assert!(!due(0).await && claim(db).await.is_none());
}
