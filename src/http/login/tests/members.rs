//! How people come into projects.

use super::*;

/// Somebody of the provider whom no rule gives anything.
async fn ben(rig: &Rig) -> Browser {
    rig.hostile.play(|script| {
        script.subject = "subject-of-ben".into();
        script.person.insert("preferred_username".into(), json!("ben"));
        script.person.insert("groups".into(), json!(["others"]));
    });
    rig.signed_in().await
}

#[actix_web::test]
async fn an_invitation_lets_in_whom_no_rule_lets_in() {
    let rig = Rig::new().await;
    let mut anna = rig.signed_in().await;
    let mut ben = ben(&rig).await;
    let page = ben.get("/account").await;
    assert!(page.body.contains("You are not let in yet"), "{}", page.body);
    assert_eq!(ben.get("/compute/").await.status, 401);
    assert_eq!(ben.get("/registrations").await.status, 403);
    let page = anna.get("/registrations").await;
    let (token, project) = (page.form_token(), page.between("<option value=\"", "\""));
    let wanted = |role: &'static str| {
        [
            ("form_token", token.clone()),
            ("project", project.clone()),
            ("role", role.to_owned()),
            ("note", "for <b>ben</b>".to_owned()),
            ("days", "7".to_owned()),
            ("uses", "1".to_owned()),
        ]
    };
    let post = async |browser: &mut Browser, fields: &[(&str, String)]| {
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        browser.post("/invitations", &fields).await
    };
    for role in ["federation-admin", "site-admin", "king"] {
        assert!(matches!(post(&mut anna, &wanted(role)).await.status, 400 | 403), "{role}");
    }
    let page = post(&mut anna, &wanted("member")).await;
    assert_eq!((page.status, page.header("cache-control")), (200, "no-store"), "{}", page.body);
    let link = page.between("id=\"link\">", "<");
    let link = link.strip_prefix(&rig.base).unwrap().to_owned();
    let mut stranger = rig.browser();
    let page = stranger.get(&link).await;
    assert!(page.body.contains("Sign in first") && !page.body.contains("<b>"), "{}", page.body);
    assert!(page.body.contains(&format!("/login?next={}", link.replace('/', "%2F"))), "{}", page.body);
    let page = ben.get(&link).await;
    assert!(page.body.contains("Join class-3b"), "{}", page.body);
    let token = page.form_token();
    assert_eq!(ben.post(&link, &[("form_token", &token)]).await.location.as_deref(), Some("/account"));
    let page = ben.get("/account").await;
    assert!(page.body.contains("class-3b") && !page.body.contains("not let in yet"), "{}", page.body);
    assert_eq!(ben.get("/compute/").await.status, 200);
    assert_eq!(stranger.get(&link).await.status, 404, "it was for one");
    assert_eq!(ben.get("/registrations").await.status, 404, "a member decides on nobody");
}

#[actix_web::test]
async fn who_asks_waits_for_a_decision() {
    let rig = Rig::with("[login]\nregistration = 'approval'\n").await;
    let mut anna = rig.signed_in().await;
    let mut ben = ben(&rig).await;
    assert!(ben.get("/account").await.body.contains("ask to be let in"));
    let token = ben.get("/register").await.form_token();
    let words = "I am <script>ben</script>";
    let fields = [("form_token", token.as_str()), ("project", "class-3b"), ("words", words)];
    let page = ben.post("/register", &fields).await;
    assert!(page.status == 200 && page.body.contains("You have asked"), "{}", page.body);
    let page = anna.get("/registrations").await;
    assert!(page.body.contains("ben") && !page.body.contains("<script"), "{}", page.body);
    let place = page.between("action=\"/registrations/", "/approve");
    let fields = [("form_token", token.as_str()), ("role", "manager")];
    let own = ben.post(&format!("/registrations/{place}/approve"), &fields).await;
    assert_eq!(own.status, 403, "nobody decides on themselves");
    let token = page.form_token();
    let page = anna
        .post(&format!("/registrations/{place}/approve"), &[("form_token", token.as_str()), ("role", "member")])
        .await;
    assert_eq!(page.location.as_deref(), Some("/registrations"), "{}", page.body);
    let page = ben.get("/account").await;
    assert!(page.body.contains("class-3b"), "{}", page.body);
    let closed = Rig::new().await;
    let mut carl = closed.signed_in().await;
    assert_eq!(carl.get("/register").await.status, 403, "where nobody is let in by asking");
}
