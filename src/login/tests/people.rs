//! Whom a provider vouches for becomes somebody here, and gets what the rules say, for as long as they say it.

use serde_json::json;

use super::{claims, log, rules, sign_in};
use crate::{
    login::people::{Admitted, Occasion, admit, forget_by_provider},
    store::{
        Db,
        grant::{self, Grant, Origin},
        member::{self, Standing},
        user,
    },
};

const STAFF: &str = "claim = 'groups'\nequals = 'staff'\nproject = 'staff'\nrole = 'manager'\ncreate_projects = true";
const CLASS: &str = "claim = 'groups'\nmatches = 'class-(?<n>.+)'\nproject = 'class-{n}'\ncreate_projects = true";
const THERE: &str = "claim = 'groups'\nequals = 'staff'\nproject = 'is-not-there'";

pub async fn stories(db: &Db) {
    a19_people_are_who_their_provider_says_and_never_their_name_or_mail(db).await;
    roles_follow_what_the_provider_says(db).await;
    nobody_is_let_in_without_a_role(db).await;
    who_was_shut_out_stays_so(db).await;
    many_first_sign_ins_at_once_make_one_user(db).await;
    old_access_tokens_bring_nothing_back(db).await;
    what_happened_is_told(db).await;
}

async fn roles(db: &Db, who: &Admitted) -> Vec<String> {
    let user = who.user;
    let show = move |connection: &mut _| {
        let grants = grant::of_user(connection, user)?;
        let show = |grant: Grant| {
            let project = grant.project().map(|project| member::project_name(connection, project)).transpose()?;
            Ok(format!("{} {}", grant.role, project.flatten().unwrap_or_default()))
        };
        grants.into_iter().map(show).collect::<Result<Vec<_>, crate::store::StoreError>>()
    };
    let mut roles = db.read(show).await.unwrap();
    roles.sort();
    roles
}

async fn a19_people_are_who_their_provider_says_and_never_their_name_or_mail(db: &Db) {
    let rules = rules(&[STAFF]);
    let said = json!({
        "preferred_username": "carol", "name": "Carol", "email": "carol@school.example", "email_verified": true,
        "groups": ["staff"],
    });
    let carol = sign_in(db, &rules, "carol-1", said.clone()).await;
    assert_eq!((carol.name.as_str(), carol.standing), ("carol", Standing::Active));
    assert_eq!(sign_in(db, &rules, "carol-1", said).await, carol, "the same person is the same user");
    // Somebody else with the same name and mail, without any group, at the same provider.
    let stolen = json!({"preferred_username": "carol", "email": "carol@school.example", "email_verified": true});
    let thief = sign_in(db, &rules, "thief", stolen.clone()).await;
    assert_ne!(thief.user, carol.user);
    assert_eq!((thief.name.as_str(), thief.standing), ("carol-2", Standing::Pending));
    assert!(roles(db, &thief).await.is_empty());
    // The same subject at another provider is somebody else, too.
    let mut elsewhere = claims("carol-1", stolen);
    elsewhere.identity.issuer = "https://elsewhere.example".into();
    let elsewhere = admit(db, &rules, "elsewhere", &elsewhere, Occasion::SignIn(None)).await.unwrap();
    assert_eq!(elsewhere.name, "carol-3");
    // A local user of the name is not taken over either.
    db.write(|connection| member::ensure_user(connection, "dora")).await.unwrap();
    assert_eq!(sign_in(db, &rules, "dora", json!({"preferred_username": "dora"})).await.name, "dora-2");
    assert_eq!(sign_in(db, &rules, "root", json!({"preferred_username": "Admin"})).await.name, "admin-2");
}

async fn roles_follow_what_the_provider_says(db: &Db) {
    let rules = rules(&[STAFF, CLASS, THERE]);
    let tina = sign_in(db, &rules, "tina", json!({"groups": ["staff", "class-3b", "class-4a"]})).await;
    assert_eq!(roles(db, &tina).await, ["manager staff", "member class-3b", "member class-4a"]);
    sign_in(db, &rules, "tina", json!({"groups": ["class-3b"]})).await;
    assert_eq!(roles(db, &tina).await, ["member class-3b"]);
    // What others gave stays.
    let (user, place) = (tina.user, grant::Place::Federation);
    let by_hand = Grant {
        role: crate::login::Role::FederationAdmin,
        place,
        origin: Origin::Operator,
        reason: "test".into(),
        expires_at: None,
    };
    db.write(move |connection| grant::put(connection, user, &by_hand)).await.unwrap();
    sign_in(db, &rules, "tina", json!({})).await;
    assert_eq!(roles(db, &tina).await, ["federation-admin "]);
    // A rule that says the same for another reason counts as another one; the same rule again writes nothing.
    let again = async |groups: &[&str]| sign_in(db, &rules, "tina", json!({"groups": groups})).await;
    again(&["class-3b"]).await;
    let before = log(db).await.len();
    again(&["class-3b"]).await;
    let after = log(db).await;
    assert_eq!(after.len(), before + 1, "only the sign-in itself: {:?}", &after[before..]);
    forget_by_provider(db, tina.user, "school", "it said so").await.unwrap();
    assert_eq!(roles(db, &tina).await, ["federation-admin "]);
}

async fn nobody_is_let_in_without_a_role(db: &Db) {
    let nobody = sign_in(db, &rules(&[]), "nora", json!({"groups": ["staff"]})).await;
    assert_eq!(nobody.standing, Standing::Pending);
    let somebody = sign_in(db, &rules(&[STAFF]), "nora", json!({"groups": ["staff"]})).await;
    assert_eq!((somebody.user, somebody.standing), (nobody.user, Standing::Active));
    // Who has lost every role was let in once, and has no rights now.
    assert_eq!(sign_in(db, &rules(&[]), "nora", json!({})).await.standing, Standing::Active);
    assert!(roles(db, &nobody).await.is_empty());
}

async fn who_was_shut_out_stays_so(db: &Db) {
    let rules = rules(&[STAFF]);
    let olaf = sign_in(db, &rules, "olaf", json!({"groups": ["staff"]})).await;
    let id = olaf.user;
    assert!(db.write(move |c| user::set_standing(c, id, Standing::Disabled)).await.unwrap());
    let again = sign_in(db, &rules, "olaf", json!({"groups": ["staff"], "name": "New"})).await;
    assert_eq!((again.user, again.standing), (olaf.user, Standing::Disabled));
    assert_eq!(db.read(move |c| user::find(c, id)).await.unwrap().unwrap().display_name, None);
}

async fn many_first_sign_ins_at_once_make_one_user(db: &Db) {
    let tasks = (0..10).map(|number| {
        let db = db.clone();
        tokio::spawn(async move {
            // Two people of one name, five times each.
            let subject = if number % 2 == 0 { "eve-0" } else { "eve-1" };
            let said = json!({"preferred_username": "eve", "groups": ["staff"]});
            (subject, sign_in(&db, &rules(&[STAFF]), subject, said).await)
        })
    });
    let mut seen = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        let (subject, admitted) = task.await.unwrap();
        if !seen.contains(&(subject, admitted.user, admitted.name.clone())) {
            seen.push((subject, admitted.user, admitted.name));
        }
    }
    let mut names: Vec<_> = seen.iter().map(|(_, _, name)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["eve", "eve-2"], "{seen:?}");
}

async fn old_access_tokens_bring_nothing_back(db: &Db) {
    let rules = rules(&[STAFF]);
    let now = crate::store::Timestamp::now().0 / 1_000_000;
    let shown = async |made_at: i64| {
        let claims = claims("paul", json!({"groups": ["staff"], "iat": made_at}));
        admit(db, &rules, "school", &claims, Occasion::AccessToken).await.unwrap()
    };
    // Its first token lets a person in.
    let paul = shown(now - 600).await;
    assert_eq!(roles(db, &paul).await, ["manager staff"]);
    // Then the provider says that the group is gone; that token says still that it is there.
    let claims = claims("paul", json!({}));
    admit(db, &rules, "school", &claims, Occasion::Confirmation(None)).await.unwrap();
    assert!(roles(db, &paul).await.is_empty());
    shown(now - 600).await;
    assert!(roles(db, &paul).await.is_empty(), "an old token brings nothing back");
    shown(now + 1_000_000).await;
    assert_eq!(roles(db, &paul).await, ["manager staff"], "a new one does");
}

async fn what_happened_is_told(db: &Db) {
    let before = log(db).await.len();
    let said = json!({"preferred_username": "wendy", "groups": ["class-9z"]});
    crate::request::scope("req-1", async {
        crate::request::came_from("192.0.2.7");
        sign_in(db, &rules(&[CLASS]), "wendy", said).await
    })
    .await;
    let told = log(db).await.split_off(before);
    let kinds: Vec<_> = told.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["user.created", "project.created", "grant.changed", "login.succeeded"]);
    for event in &told {
        assert_eq!(event.body["actor"]["user"], "wendy");
        assert_eq!(event.body["actor"]["from"], "192.0.2.7");
        assert_eq!(event.body["actor"]["by"], "provider school");
    }
    assert_eq!(told[2].body["changes"][0]["project"], "class-9z");
    assert!(told[2].body["changes"][0]["reason"].as_str().unwrap().starts_with("rule 1: school with groups"));
}
