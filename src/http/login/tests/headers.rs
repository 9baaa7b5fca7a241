//! What is on the answers, and what does not get into them.

use reqwest::Method;

use super::*;

#[actix_web::test]
async fn every_page_tells_browsers_what_it_may_do() {
    let rig = Rig::with("[occi]\npublic_url = 'https://broker.example'\n").await;
    for path in ["/login", "/login/nothing", "/login/callback/school?code=x&state=y", "/login/link/x", "/logout/x/"] {
        let page = rig.browser().get(path).await;
        if !page.header("content-type").starts_with("text/html") {
            continue;
        }
        let policy = page.header("content-security-policy");
        for part in [
            "default-src 'none'",
            "style-src 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(page.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(page.header("referrer-policy"), "same-origin", "{path}");
        assert_eq!(page.header("cache-control"), "no-store", "{path}");
        assert!(page.header("strict-transport-security").contains("max-age="), "{path}");
        assert!(!page.body.contains("<script") && !page.body.contains("style="), "{path}: {}", page.body);
        assert!(page.body.contains("<html lang=\"en\">") && page.body.contains("<h1>"), "{path}");
    }
    let plain = Rig::new().await;
    let page = plain.browser().get("/login").await;
    assert_eq!(page.header("strict-transport-security"), "", "over plain HTTP it would be ignored, or do harm");
}

#[actix_web::test]
async fn a42_what_people_are_called_is_shown_and_not_run() {
    let rig = Rig::new().await;
    let odd = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
    rig.hostile.play(|script| {
        script.person.insert("name".into(), json!(odd));
        script.person.insert("email".into(), json!(odd));
        script.person.insert("preferred_username".into(), json!(odd));
    });
    let mut anna = rig.signed_in().await;
    let request = anna.request(Method::GET, "/account").header("user-agent", odd);
    anna.send(request).await;
    let page = anna.get("/account").await;
    let token = page.form_token();
    let project = page.between("name=\"project\">\n", "</select>");
    let project = project.split("value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let fields = [("form_token", token.as_str()), ("project", &project), ("name", odd), ("read", "yes"), ("days", "1")];
    assert_eq!(anna.post("/account/tokens", &fields).await.status, 200);
    let page = anna.get("/account").await;
    assert!(!page.body.contains("<script") && !page.body.contains("<img"), "{}", page.body);
    assert!(page.body.contains("&#60;script&#62;alert(1)"), "the control: it is shown. {}", page.body);
    let page =
        rig.browser().get("/login/callback/school?error=%3Cscript%3E&error_description=%3Cscript%3E&state=x").await;
    assert!(!page.body.contains("<script"), "{}", page.body);
}

#[actix_web::test]
async fn a41_no_file_is_reached_by_its_name() {
    let rig = Rig::new().await;
    let mut anna = rig.signed_in().await;
    for path in [
        "/login/../etc/passwd",
        "/login/style.css/../../etc/passwd",
        "/login/%2e%2e/%2e%2e/etc/passwd",
        "/login/..%2f..%2fetc%2fpasswd",
        "/login/style.css%00.html",
        "/login/..%5c..%5cetc%5cpasswd",
        "/login/link/..%2f..%2fetc%2fpasswd",
        "/login/callback/..%2fschool",
        "/account/tokens/..%2f..%2fx",
        "/account//etc/passwd",
        "/login/style",
        "/login/templates/login.html",
        "/static/style.css",
    ] {
        // As it stands: a library would tidy it up.
        let page = raw(&anna.base, path, &anna.cookies).await;
        assert!(page.starts_with("HTTP/1.1 404 ") || page.starts_with("HTTP/1.1 400 "), "{path}: {page}");
        assert!(!page.contains("root:"), "{path}");
    }
    let page = anna.get("/login/style.css").await;
    assert!(page.status == 200 && page.header("content-type").starts_with("text/css"), "the control");
}

/// Sends a path to the letter, and answers what comes.
async fn raw(base: &str, path: &str, cookies: &std::collections::BTreeMap<String, String>) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let address = base.trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let cookies: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nCookie: {}\r\nConnection: close\r\n\r\n",
        cookies.join("; ")
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[actix_web::test]
async fn a36_a_name_that_is_not_ours_gets_nothing() {
    let rig = Rig::new().await;
    let browser = rig.browser();
    let port = rig.base.rsplit_once(':').unwrap().1;
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example"] {
        let client = browser.calling(host);
        for path in ["/login", "/account", "/compute/", "/-/", "/login/start?provider=school", "/keystone/"] {
            let request = client.get(format!("http://{host}:{port}{path}"));
            let request = request.header("x-forwarded-host", "localhost").header("x-forwarded-for", "127.0.0.1");
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), 421, "{host}{path}");
            assert!(!response.text().await.unwrap().contains("<a"), "{host}{path}");
        }
        assert_eq!(client.get(format!("http://{host}:{port}/healthz")).send().await.unwrap().status(), 200);
    }
    let client = browser.calling("localhost");
    let response = client.get(format!("http://localhost:{port}/login/start?provider=school")).send().await.unwrap();
    let location = response.headers()["location"].to_str().unwrap();
    let back = format!("http%3A%2F%2Flocalhost%3A{port}%2Flogin%2Fcallback%2Fschool");
    assert!(location.contains(&back), "the control: {location}");
}

#[actix_web::test]
async fn a36_nobody_becomes_somebody_by_saying_so() {
    let rig = Rig::new().await;
    let mut browser = rig.browser();
    for (name, value) in [
        ("x-user-id", "admin"),
        ("x-roles", "admin"),
        ("x-remote-user", "admin"),
        ("remote-user", "admin"),
        ("x-forwarded-user", "admin"),
        ("x-project-id", "default"),
        ("x-identity-status", "Confirmed"),
        ("x-ssl-client-s-dn", "CN=admin"),
    ] {
        let request = browser.request(Method::GET, "/compute/").header(name, value);
        assert_eq!(browser.send(request).await.status, 401, "{name}");
        let request = browser.request(Method::GET, "/account").header(name, value);
        assert_eq!(browser.send(request).await.status, 303, "{name}");
    }
}
