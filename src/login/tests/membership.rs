//! Who may let others in, and what becomes of their word and of tokens when they may not any more.

use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use super::{log, member, rules, sign_in};
use crate::{
    config::Registration,
    login::{
        AppToken, Credentials, Right, Rights, Role,
        account::{self, TokenRequest},
        authenticate, membership,
        membership::{Decider, Decision, Invite, MembershipError, ask, decide, give, invite, open_requests, take},
        operator,
        people::{Admitted, Occasion, admit},
        unguessable::Unguessable,
    },
    store::{
        Db, Timestamp,
        grant::{self, Grant, Origin, Place},
        member::{self as members, ProjectId, Standing, UserId},
        quota::{Limits, Whose},
    },
};

pub async fn stories(db: &Db, other: &Db) {
    invitations_let_in(db).await;
    an_invitation_is_worth_what_its_makers_word_is(db).await;
    who_asks_is_let_in_by_those_who_may(db).await;
    roles_are_given_by_those_who_may(db).await;
    accounts_show_what_there_is(db).await;
    a48_tokens_die_with_what_they_stand_on(db, other).await;
}

async fn project(db: &Db, name: &'static str) -> ProjectId {
    db.write(move |connection| members::ensure_project(connection, name)).await.unwrap()
}

async fn manager(db: &Db, name: &str, project: ProjectId) -> UserId {
    let user = member(db, name).await.user;
    give(db, Decider::Operator, user, Role::Manager, Place::Project(project)).await.unwrap();
    user
}

async fn nobody(db: &Db, name: &str) -> Admitted {
    let said = json!({"preferred_username": name});
    sign_in(db, &rules(&[]), name, said).await
}

async fn rights(db: &Db, user: UserId, project: ProjectId) -> Rights {
    let grants = db.read(move |connection| grant::of_user(connection, user)).await.unwrap();
    grant::rights_in(&grants, project).0
}

fn invitation(project: ProjectId, uses: u32) -> Invite {
    Invite { project, role: Role::Member, note: "class 3b".into(), days: 7, uses }
}

fn is_not_allowed<T: std::fmt::Debug>(outcome: &Result<T, MembershipError>) {
    assert!(matches!(outcome, Err(MembershipError::NotAllowed(_))), "{outcome:?}");
}

fn is_not_there<T: std::fmt::Debug>(outcome: &Result<T, MembershipError>) {
    assert!(matches!(outcome, Err(MembershipError::NotThere(_))), "{outcome:?}");
}

async fn invitations_let_in(db: &Db) {
    let club = project(db, "club").await;
    let mary = manager(db, "mary", club).await;
    let (id, secret) = invite(db, Decider::User(mary), invitation(club, 2)).await.unwrap();
    assert_eq!(membership::offer(db, &secret).await.unwrap().project, "club");
    let guests = [nobody(db, "g1").await, nobody(db, "g2").await, nobody(db, "g3").await];
    assert_eq!(guests[0].standing, Standing::Pending);
    for _ in 0..2 {
        // Twice the same person uses one.
        assert_eq!(membership::accept_invitation(db, guests[0].user, &secret).await.unwrap(), club);
    }
    assert_eq!(rights(db, guests[0].user, club).await, Role::Member.rights());
    assert_eq!(nobody(db, "g1").await.standing, Standing::Active, "who is invited need not wait");
    // Of two at once, one gets what is left.
    let (second, third) = tokio::join!(
        membership::accept_invitation(db, guests[1].user, &secret),
        membership::accept_invitation(db, guests[2].user, &secret)
    );
    assert_eq!([&second, &third].iter().filter(|accepted| accepted.is_ok()).count(), 1, "{second:?} {third:?}");
    is_not_there(&membership::offer(db, &secret).await);
    is_not_there(&membership::offer(db, &Unguessable::generate().unwrap()).await);
    // Members invite nobody, and managers only into their own projects.
    is_not_allowed(&invite(db, Decider::User(guests[0].user), invitation(club, 1)).await);
    is_not_allowed(&invite(db, Decider::User(mary), invitation(project(db, "not-hers").await, 1)).await);
    let too_much = Invite { uses: 1001, ..invitation(club, 1) };
    assert!(matches!(invite(db, Decider::User(mary), too_much).await, Err(MembershipError::Invalid(_))));
    let odd = Invite { role: Role::FederationAdmin, ..invitation(club, 1) };
    assert!(matches!(invite(db, Decider::Operator, odd).await, Err(MembershipError::Invalid(_))));
    is_not_there(&membership::revoke_invitation(db, Decider::User(guests[0].user), id).await);
    let (id, secret) = invite(db, Decider::User(mary), invitation(club, 1)).await.unwrap();
    membership::revoke_invitation(db, Decider::User(mary), id).await.unwrap();
    is_not_there(&membership::accept_invitation(db, guests[2].user, &secret).await);
    assert!(log(db).await.iter().any(|event| event.kind == "invitation.accepted"));
}

async fn an_invitation_is_worth_what_its_makers_word_is(db: &Db) {
    let club = project(db, "club-2").await;
    let max = manager(db, "max", club).await;
    let (_, secret) = invite(db, Decider::User(max), invitation(club, 1)).await.unwrap();
    take(db, Decider::Operator, max, Role::Manager, Place::Project(club)).await.unwrap();
    is_not_there(&membership::offer(db, &secret).await);
    let guest = nobody(db, "late").await.user;
    is_not_there(&membership::accept_invitation(db, guest, &secret).await);
    give(db, Decider::Operator, max, Role::Manager, Place::Project(club)).await.unwrap();
    operator::set_standing(db, guest, Standing::Disabled).await.unwrap();
    is_not_allowed(&membership::accept_invitation(db, guest, &secret).await);
}

async fn who_asks_is_let_in_by_those_who_may(db: &Db) {
    let open = Registration::Approval;
    let lab = project(db, "lab-p").await;
    let nina = manager(db, "nina", lab).await;
    let other = manager(db, "otto", project(db, "elsewhere").await).await;
    let asker = nobody(db, "asker").await.user;
    is_not_allowed(&ask(db, Registration::Closed, asker, Some("lab-p"), "please").await);
    ask(db, open, asker, Some("no-such-project"), "first").await.unwrap();
    ask(db, open, asker, Some("lab-p"), "please").await.unwrap();
    let seen = open_requests(db, Decider::User(nina)).await.unwrap();
    assert_eq!((seen.len(), seen[0].words.as_str()), (1, "for project lab-p: please"), "the newer one counts");
    assert!(open_requests(db, Decider::User(other)).await.unwrap().is_empty());
    assert_eq!(open_requests(db, Decider::Operator).await.unwrap().len(), 1);
    let id: Uuid = seen[0].id.parse().unwrap();
    let yes = Decision::Approve(None, Role::Member);
    is_not_there(&decide(db, Decider::User(other), id, yes).await);
    is_not_there(&decide(db, Decider::User(asker), id, yes).await);
    let into_other = Decision::Approve(Some(project(db, "elsewhere").await), Role::Member);
    is_not_allowed(&decide(db, Decider::User(nina), id, into_other).await);
    assert!(membership::waits(db, asker).await.unwrap());
    decide(db, Decider::User(nina), id, yes).await.unwrap();
    is_not_there(&decide(db, Decider::User(nina), id, Decision::Refuse).await);
    assert_eq!(rights(db, asker, lab).await, Role::Member.rights());
    assert_eq!(nobody(db, "asker").await.standing, Standing::Active);
    let refused = nobody(db, "refused").await.user;
    ask(db, open, refused, None, "please").await.unwrap();
    assert!(open_requests(db, Decider::User(nina)).await.unwrap().is_empty(), "who names no project asks the operator");
    let id: Uuid = open_requests(db, Decider::Operator).await.unwrap()[0].id.parse().unwrap();
    assert!(matches!(decide(db, Decider::Operator, id, yes).await, Err(MembershipError::Invalid(_))));
    decide(db, Decider::Operator, id, Decision::Refuse).await.unwrap();
    assert_eq!(nobody(db, "refused").await.standing, Standing::Pending);
}

async fn roles_are_given_by_those_who_may(db: &Db) {
    let team = project(db, "team").await;
    let (tom, una) = (manager(db, "tom", team).await, member(db, "una-m").await.user);
    let place = Place::Project(team);
    is_not_allowed(&give(db, Decider::User(una), una, Role::Manager, place.clone()).await);
    is_not_allowed(&give(db, Decider::User(tom), tom, Role::FederationAdmin, Place::Federation).await);
    give(db, Decider::User(tom), una, Role::Member, place.clone()).await.unwrap();
    is_not_allowed(&take(db, Decider::User(una), tom, Role::Manager, place.clone()).await);
    assert!(take(db, Decider::User(tom), una, Role::Member, place.clone()).await.unwrap());
    assert!(!take(db, Decider::User(tom), una, Role::Member, place).await.unwrap());
    give(db, Decider::Operator, una, Role::FederationAdmin, Place::Federation).await.unwrap();
    assert!(rights(db, una, team).await.has(Right::Manage));
    let site = give(db, Decider::Operator, una, Role::SiteAdmin, Place::Federation).await;
    assert!(matches!(site, Err(MembershipError::Invalid(_))));
}

fn wanted(user: UserId, project: ProjectId, rights: &str) -> TokenRequest {
    TokenRequest { user, project, name: "laptop".into(), rights: rights.parse().unwrap(), days: 30 }
}

async fn accounts_show_what_there_is(db: &Db) {
    let house = project(db, "house").await;
    let vic = manager(db, "vic", house).await;
    operator::set_limits(db, house, Whose::EachMember, Some(Limits { machines: Some(3), ..Limits::default() }))
        .await
        .unwrap();
    let token = account::make_token(db, wanted(vic, house, "read manage")).await.unwrap();
    let shown = account::account(db, vic).await.unwrap().unwrap();
    let of = shown.projects.iter().find(|project| project.name == "house").unwrap();
    assert_eq!((of.rights, of.quota.own.left.machines), (Rights::ALL, Some(3)));
    assert_eq!((shown.tokens.len(), shown.tokens[0].name.as_str()), (1, "laptop"));
    for (request, words) in [
        (wanted(vic, house, ""), "at least read"),
        (TokenRequest { days: 367, ..wanted(vic, house, "read") }, "1 to 366 days"),
        (TokenRequest { name: "x".repeat(65), ..wanted(vic, house, "read") }, "64 letters"),
        (wanted(vic, ProjectId(Uuid::nil()), "read"), "no rights"),
    ] {
        let refused = account::make_token(db, request).await.unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    }
    let guest = member(db, "guest-of-house").await.user;
    give(db, Decider::User(vic), guest, Role::Member, Place::Project(house)).await.unwrap();
    let more = account::make_token(db, wanted(guest, house, "read operate manage")).await.unwrap_err().to_string();
    assert!(more.contains("only: read operate"), "{more}");
    let theirs = account::make_token(db, wanted(guest, house, "read")).await.unwrap();
    assert!(!account::revoke_token(db, guest, token.id).await.unwrap(), "a member revokes nobody's");
    assert!(account::revoke_token(db, vic, theirs.id).await.unwrap(), "a manager revokes those of the project");
    assert!(account::revoke_token(db, vic, token.id).await.unwrap());
    assert!(!account::revoke_token(db, vic, token.id).await.unwrap());
}

async fn opens(db: &Db, token: &AppToken) -> Option<Rights> {
    let credentials = Credentials { user: None, secret: token.to_string(), project: None };
    authenticate(db, &credentials).await.unwrap().map(|principal| principal.rights)
}

async fn a48_tokens_die_with_what_they_stand_on(db: &Db, other: &Db) {
    let ship = project(db, "ship").await;
    let read = Some("read operate".parse::<Rights>().unwrap());
    let will = member(db, "will").await.user;
    let place = Place::Project(ship);
    let by_hand = async |give_it: bool| {
        if give_it {
            give(db, Decider::Operator, will, Role::Member, place.clone()).await.unwrap();
        } else {
            assert!(take(db, Decider::Operator, will, Role::Member, place.clone()).await.unwrap());
        }
    };
    by_hand(true).await;
    let token = account::make_token(db, wanted(will, ship, "read operate")).await.unwrap();
    let both = async || {
        let (here, there) = (opens(db, &token).await, opens(other, &token).await);
        assert_eq!(here, there, "every process knows at once");
        here
    };
    assert_eq!(both().await, read);
    operator::set_standing(other, will, Standing::Disabled).await.unwrap();
    assert_eq!(both().await, None, "its user was shut out");
    operator::set_standing(db, will, Standing::Active).await.unwrap();
    assert_eq!(both().await, read);
    by_hand(false).await;
    assert_eq!(both().await, None, "the role was taken");
    // Rights that are narrowed narrow the token.
    give(db, Decider::Operator, will, Role::Manager, place.clone()).await.unwrap();
    let wide = account::make_token(db, wanted(will, ship, "read operate manage")).await.unwrap();
    assert_eq!(opens(other, &wide).await, Some(Rights::ALL));
    take(db, Decider::Operator, will, Role::Manager, place.clone()).await.unwrap();
    by_hand(true).await;
    assert_eq!((opens(other, &wide).await, both().await), (read, read));
    by_hand(false).await;
    // A role of a mapping ends by itself, without a write.
    let (reason, soon) = ("test".to_owned(), Timestamp::now().plus(Duration::from_millis(400)));
    let brief = Grant { role: Role::Member, place, origin: Origin::Mapping, reason, expires_at: Some(soon) };
    db.write(move |connection| grant::put(connection, will, &brief)).await.unwrap();
    assert_eq!(opens(db, &token).await, read);
    while opens(db, &token).await.is_some() || opens(other, &token).await.is_some() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(Timestamp::now() >= soon, "not before its time");
    // The group is gone the next time that the provider is asked.
    let rules = rules(&["claim = 'g'\nequals = 'crew'\nproject = 'ship'"]);
    let confirm = async |said: serde_json::Value| {
        let claims = super::claims("will", said);
        admit(db, &rules, "school", &claims, Occasion::Confirmation(None)).await.unwrap();
    };
    confirm(json!({"g": "crew"})).await;
    assert_eq!(both().await, read);
    confirm(json!({"g": "passengers"})).await;
    assert_eq!(both().await, None, "the group is gone");
    confirm(json!({"g": "crew"})).await;
    assert_eq!(both().await, read);
    operator::remove_project(db, ship).await.unwrap();
    assert_eq!(both().await, None, "the project is gone");
}
