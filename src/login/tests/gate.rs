//! Access tokens of a provider open the gate in a project of their person, and Keystone tokens that were got for them
//! live no longer than what they stand for. The provider is a simulator.

use serde_json::json;

use crate::{
    login::{
        Credentials, Proof, Rights, Role, Rules,
        gate::{Gate, GateError},
        keystone::KeystoneToken,
        provider::{Clock, Providers, hostile::Hostile},
        secret::Secret,
    },
    store::{
        Db, Timestamp,
        grant::{self, Grant, Origin, Place},
        member::{self, ProjectId, Standing, UserId},
        spent, user,
    },
};

pub async fn stories(db: &Db, other: &Db) {
    let world = World::new();
    let gate = world.gate(db);
    a_token_acts_in_the_only_project(&world, &gate).await;
    of_several_projects_one_is_named(&world, &gate, db).await;
    requests_after_the_first_write_nothing(&world, &gate, db).await;
    a48_a_keystone_token_dies_with_what_it_stands_for(&world, &gate, other).await;
    who_was_let_in_by_nobody_is_told_so(&world, &gate).await;
    an_absent_provider_is_not_a_wrong_token(&world, &gate).await;
}

struct World {
    hostile: Hostile,
    secret: Secret,
    providers: Providers,
}

impl World {
    fn new() -> Self {
        let hostile = Hostile::start(&Clock::default());
        let secret = Secret::from_bytes([5; 32]);
        let providers = Providers::new(&[hostile.config("gate-school")], None, &secret).unwrap();
        Self { hostile, secret, providers }
    }

    fn gate(&self, db: &Db) -> Gate {
        let rule = "provider = 'gate-school'\nclaim = 'groups'\nmatches = '(?<n>gate-.*)'\nproject = '{n}'\n\
                    create_projects = true";
        let valid_for = std::time::Duration::from_secs(3600);
        let rules = Rules { mapping: vec![toml::from_str(rule).unwrap()], valid_for };
        Gate::with_providers(db.clone(), self.secret.clone(), self.providers.clone(), rules)
    }

    /// An access token of somebody who is in these groups; each is another one.
    fn token(&self, person: &str, groups: &[&str]) -> String {
        let mut claims = self.hostile.access_claims();
        claims["sub"] = json!(format!("gate-{person}"));
        claims["preferred_username"] = json!(format!("gate-{person}"));
        claims["groups"] = json!(groups);
        claims["jti"] = json!(uuid::Uuid::now_v7());
        self.hostile.token("at+jwt", &claims)
    }
}

fn shown(token: &str, project: Option<&str>) -> Credentials {
    Credentials::bare(token).unwrap().acting_in(project)
}

async fn a_token_acts_in_the_only_project(world: &World, gate: &Gate) {
    let token = world.token("ann", &["gate-one"]);
    let principal = gate.principal(&shown(&token, None)).await.unwrap().unwrap();
    assert_eq!((principal.user_name.as_str(), &principal.by), ("gate-ann", &Proof::Provider("gate-school".into())));
    assert_eq!(principal.rights, Role::Member.rights());
    let named = gate.principal(&shown(&token, Some("gate-one"))).await.unwrap().unwrap();
    assert_eq!(named.project, principal.project);
    // Over Basic the name must be theirs.
    for (name, opens) in [("gate-ann", true), ("gate-bob", false)] {
        let credentials = Credentials::named(name, &token).unwrap();
        assert_eq!(gate.principal(&credentials).await.unwrap().is_some(), opens, "{name}");
    }
    let mut foreign = world.hostile.access_claims();
    foreign["aud"] = json!("somebody else");
    let foreign = world.hostile.token("at+jwt", &foreign);
    for nothing in [foreign.as_str(), "a.b.c", "rubbish", &world.hostile.token("JWT", &world.hostile.id_claims())] {
        assert!(gate.principal(&shown(nothing, None)).await.unwrap().is_none(), "{nothing:.40}");
    }
}

async fn of_several_projects_one_is_named(world: &World, gate: &Gate, db: &Db) {
    let token = world.token("eve", &["gate-one", "gate-two"]);
    let Err(GateError::Refused(words)) = gate.principal(&shown(&token, None)).await else { panic!("which one?") };
    assert!(words.contains("gate-one, gate-two") && words.contains("X-Project"), "{words}");
    let two = project(db, "gate-two").await;
    for named in ["gate-two", &two.0.to_string(), &two.0.simple().to_string()] {
        let principal = gate.principal(&shown(&token, Some(named))).await.unwrap().unwrap();
        assert_eq!(principal.project, two, "{named}");
    }
    project(db, "gate-three").await;
    for named in ["gate-three", "nowhere", "\u{202e}"] {
        let refused = gate.principal(&shown(&token, Some(named))).await;
        assert!(matches!(refused, Err(GateError::Refused(_))), "{named}");
    }
    // Who looks after everything may act anywhere, and has to say where.
    let eve = gate.known(&shown(&token, None)).await.unwrap().unwrap().user;
    give(db, eve, Role::FederationAdmin, Place::Federation).await;
    let principal = gate.principal(&shown(&token, Some("gate-three"))).await.unwrap().unwrap();
    assert_eq!(principal.rights, Rights::ALL);
}

async fn requests_after_the_first_write_nothing(world: &World, gate: &Gate, db: &Db) {
    let token = world.token("busy", &["gate-one"]);
    let busy = gate.known(&shown(&token, None)).await.unwrap().unwrap().user;
    // Somebody takes the role away: a write by the next request would bring it back.
    db.write(move |connection| {
        let grants = grant::of_user(connection, busy)?;
        grants.iter().try_for_each(|held| grant::remove(connection, busy, held.role, &held.place, None).map(drop))
    })
    .await
    .unwrap();
    for _ in 0..20 {
        assert!(gate.principal(&shown(&token, None)).await.unwrap().is_none(), "without any role one is nobody");
    }
    assert!(db.read(move |connection| grant::of_user(connection, busy)).await.unwrap().is_empty());
}

async fn a48_a_keystone_token_dies_with_what_it_stands_for(world: &World, gate: &Gate, other: &Db) {
    let shut_out = async |user: UserId, standing| {
        other.write(move |connection| user::set_standing(connection, user, standing)).await.unwrap();
    };
    let token = world.token("kay", &["gate-one", "gate-two"]);
    let known = gate.known(&shown(&token, None)).await.unwrap().unwrap();
    let one = gate.choose(&known, Some("gate-one")).await.unwrap().unwrap();
    let keystone = async |project: Option<ProjectId>| {
        let made = KeystoneToken::new(known.stands_for.clone(), project, Timestamp::now(), Some(known.expires_at));
        (made.spent_key(), made.seal(&world.secret).unwrap())
    };
    let (key, scoped) = keystone(Some(one.id)).await;
    let (_, unscoped) = keystone(None).await;
    let project = async |token: &str| gate.principal(&shown(token, None)).await.unwrap().map(|found| found.project);
    assert_eq!(project(&scoped).await, Some(one.id), "it acts where it was made for");
    assert!(gate.principal(&shown(&unscoped, None)).await.is_err(), "which one?");
    let found = gate.principal(&shown(&unscoped, Some("gate-one"))).await.unwrap().unwrap();
    assert_eq!(found.project, one.id);
    let elsewhere = gate.principal(&shown(&scoped, Some("gate-two"))).await;
    assert!(matches!(elsewhere, Err(GateError::Refused(_))), "and nowhere else");

    shut_out(known.user, Standing::Disabled).await;
    assert_eq!(project(&scoped).await, None, "it dies with the user, at once and in every process");
    shut_out(known.user, Standing::Active).await;
    assert_eq!(project(&scoped).await, Some(one.id));
    let place = Place::Project(one.id);
    other
        .write(move |connection| grant::remove(connection, known.user, Role::Member, &place, None).map(drop))
        .await
        .unwrap();
    assert_eq!(project(&scoped).await, None, "and with the role");
    give(other, known.user, Role::Member, Place::Project(one.id)).await;
    assert_eq!(project(&scoped).await, Some(one.id));
    let until = Timestamp::now().plus(std::time::Duration::from_secs(60));
    assert!(other.write(move |connection| spent::spend(connection, &key, until)).await.unwrap());
    assert_eq!(project(&scoped).await, None, "and when it is taken back");
}

async fn who_was_let_in_by_nobody_is_told_so(world: &World, gate: &Gate) {
    let token = world.token("stranger", &["another"]);
    let Err(GateError::Refused(words)) = gate.principal(&shown(&token, None)).await else { panic!("let in") };
    assert!(words.contains("nobody has let you in"), "{words}");
}

async fn an_absent_provider_is_not_a_wrong_token(world: &World, gate: &Gate) {
    let kept = world.token("ann", &["gate-one"]);
    assert!(gate.principal(&shown(&kept, None)).await.unwrap().is_some());
    // F31: what was shown before goes on, and what cannot be asked about is not called wrong.
    world.hostile.play(|script| script.outage = Some(503));
    assert!(gate.principal(&shown(&kept, None)).await.unwrap().is_some());
    let opaque = world.hostile.opaque_token();
    let unanswered = gate.principal(&shown(&opaque, None)).await;
    assert!(matches!(unanswered, Err(GateError::Away(_))), "{unanswered:?}");
    world.hostile.behave();
}

async fn project(db: &Db, name: &'static str) -> ProjectId {
    db.write(move |connection| member::ensure_project(connection, name)).await.unwrap()
}

async fn give(db: &Db, user: UserId, role: Role, place: Place) {
    db.write(move |connection| {
        let (origin, reason) = (Origin::Operator, String::from("a test"));
        grant::put(connection, user, &Grant { role, place: place.clone(), origin, reason, expires_at: None })
    })
    .await
    .unwrap();
}
