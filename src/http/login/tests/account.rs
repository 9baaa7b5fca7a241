//! What people do on their page.

use reqwest::Method;

use super::*;

fn value_of(page: &Page, field: &str) -> String {
    page.between(&format!("name=\"{field}\" value=\""), "\"")
}

#[actix_web::test]
async fn a_token_is_shown_once_works_and_dies_when_it_is_revoked() {
    let rig = Rig::new().await;
    let mut anna = rig.signed_in().await;
    let page = anna.get("/account").await;
    let (token, project) = (page.form_token(), page.between("<option value=\"", "\""));
    let fields =
        [("form_token", token.as_str()), ("project", &project), ("name", "backup"), ("read", "yes"), ("days", "7")];
    let page = anna.post("/account/tokens", &fields).await;
    assert_eq!((page.status, page.header("cache-control")), (200, "no-store"));
    let secret = page.between("id=\"token\">", "<");
    assert!(secret.starts_with("tombolo_"), "{secret}");
    let program = rig.browser();
    let ask = async |method: Method, path: &str| {
        let request = program.request(method, path).bearer_auth(&secret);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(ask(Method::GET, "/compute/").await, 200);
    let page = anna.get("/account").await;
    assert!(page.body.contains("backup") && !page.body.contains(&secret), "{}", page.body);
    let id = page.between("action=\"/account/tokens/", "/revoke");
    let mut other = rig.browser();
    let link = rig.link().await;
    let form = other.get(&link).await.form_token();
    other.post(&link, &[("form_token", &form)]).await;
    let page = anna.post(&format!("/account/tokens/{id}/revoke"), &[("form_token", &token)]).await;
    assert_eq!(page.status, 303, "{}", page.body);
    assert_eq!(ask(Method::GET, "/compute/").await, 401);
    let page = anna.post(&format!("/account/tokens/{id}/revoke"), &[("form_token", &token)]).await;
    assert_eq!(page.status, 404, "there is none any more");
}

#[actix_web::test]
async fn no_token_is_more_than_its_owner() {
    let rig = Rig::new().await;
    rig.local_user("ben", "correct horse battery").await;
    let mut anna = rig.signed_in().await;
    let project = anna.get("/account").await.between("<option value=\"", "\"");
    let mut ben = rig.browser();
    let token = ben.get("/login").await.form_token();
    let fields = [("form_token", token.as_str()), ("user", "ben"), ("password", "correct horse battery")];
    assert_eq!(ben.post("/login/local", &fields).await.status, 303);
    let page = ben.get("/account").await;
    assert!(!page.body.contains("class-3b"), "{}", page.body);
    let token = page.form_token();
    let fields = [("form_token", token.as_str()), ("project", &project), ("read", "yes"), ("days", "7")];
    let page = ben.post("/account/tokens", &fields).await;
    assert_eq!(page.status, 403, "{}", page.body);
    assert!(page.body.contains("No token was made"), "{}", page.body);
    let page = ben.post("/account/project", &[("form_token", &token), ("project", &project)]).await;
    assert_eq!(page.status, 404, "another's project is not there");
    let token = anna.get("/account").await.form_token();
    for days in ["0", "367", "-1", "x"] {
        let fields = [("form_token", token.as_str()), ("project", &project), ("read", "yes"), ("days", days)];
        assert_eq!(anna.post("/account/tokens", &fields).await.status, 400, "{days}");
    }
}

#[actix_web::test]
async fn a_session_acts_in_the_project_that_is_chosen() {
    let rig = Rig::new().await;
    let mut admin = rig.browser();
    rig.signed_in().await;
    let link = rig.link().await;
    let token = admin.get(&link).await.form_token();
    admin.post(&link, &[("form_token", &token)]).await;
    let page = admin.get("/account").await;
    assert!(page.body.contains("Choose class-3b"), "who looks after everything may act everywhere: {}", page.body);
    assert_eq!(admin.get("/compute/").await.status, 200, "in the only project that they are in");
    let (token, project) = (page.form_token(), value_of(&page, "project"));
    let page = admin.post("/account/project", &[("form_token", &token), ("project", &project)]).await;
    assert_eq!(page.status, 303, "{}", page.body);
    let page = admin.get("/account").await;
    assert!(page.body.contains("Choose default") && !page.body.contains("Choose class-3b"), "{}", page.body);
}

#[actix_web::test]
async fn a_person_who_types_the_servers_name_is_led_to_their_account() {
    let rig = Rig::new().await;
    let mut browser = rig.browser();
    let request = browser.request(Method::GET, "/").header("sec-fetch-mode", "navigate");
    assert_eq!(browser.send(request).await.location.as_deref(), Some("/account"));
    assert_eq!(browser.get("/").await.status, 401, "programs speak OCCI there");
}
