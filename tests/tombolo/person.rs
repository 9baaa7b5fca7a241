//! A person with a browser, as far as it matters here: cookies, forms, and a link from the server's terminal.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use reqwest::{Client, Method, header, redirect::Policy};

use crate::server::Home;

/// A server that was started at a terminal, where it prints the administrator's link.
pub struct Terminal {
    child: Child,
    pub base: String,
    pub link: String,
}

impl Terminal {
    /// Starts it in a terminal of its own, as `script` of util-linux makes one.
    pub fn serve(home: &Home) -> Self {
        let serve = home.command(&["serve", "--listen", "127.0.0.1:0"]);
        let mut words: Vec<String> = vec![serve.get_program().to_str().unwrap().to_owned()];
        words.extend(serve.get_args().map(|word| word.to_str().unwrap().to_owned()));
        let mut command = Command::new("script");
        command.args([
            "--quiet",
            "--flush",
            "--return",
            "--command",
            &format!("exec {}", words.join(" ")),
            "/dev/null",
        ]);
        for (name, value) in serve.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = Vec::new();
        let mut find = |start: &str| {
            for line in lines.by_ref() {
                let line = line.unwrap().trim().to_owned();
                if let Some(found) = line.strip_prefix(start) {
                    return found.split(' ').next().unwrap().trim_end_matches('/').to_owned();
                }
                seen.push(line);
            }
            panic!("no {start:?} in {seen:#?}");
        };
        let (base, link) = (find("listening on "), find("open "));
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, base, link }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // With its terminal, the server ends.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a person was shown.
pub struct Page {
    pub status: u16,
    pub location: String,
    pub body: String,
}

impl Page {
    /// What stands between two texts.
    pub fn between(&self, start: &str, end: &str) -> String {
        let (_, rest) = self.body.split_once(start).unwrap_or_else(|| panic!("no {start} in {}", self.body));
        rest.split_once(end).unwrap().0.replace("&amp;", "&").replace("&#38;", "&").replace("&#34;", "\"")
    }

    pub fn form_token(&self) -> String {
        self.between("name=\"form_token\" value=\"", "\"")
    }
}

/// Keeps cookies, follows nothing.
pub struct Person {
    base: String,
    cookies: BTreeMap<String, String>,
    client: Client,
}

impl Person {
    pub fn at(base: &str) -> Self {
        let client = crate::client::builder().redirect(Policy::none()).build().unwrap();
        Self { base: base.to_owned(), cookies: BTreeMap::new(), client }
    }

    /// The administrator, signed in by the link from the terminal.
    pub async fn administrator(terminal: &Terminal) -> Self {
        let mut person = Self::at(&terminal.base);
        let link = terminal.link.strip_prefix(&terminal.base).unwrap().to_owned();
        let form_token = person.get(&link).await.form_token();
        let page = person.post(&link, &[("form_token", &form_token)]).await;
        assert_eq!((page.status, page.location.as_str()), (303, "/account"), "{}", page.body);
        person
    }

    pub async fn get(&mut self, path: &str) -> Page {
        self.send(Method::GET, path, None).await
    }

    /// Sends a form of a page of the server.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        self.send(Method::POST, path, Some(fields)).await
    }

    async fn send(&mut self, method: Method, path: &str, fields: Option<&[(&str, &str)]>) -> Page {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.base) };
        let mut request = self.client.request(method, url);
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() && !path.starts_with("http") {
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        if let Some(fields) = fields {
            request = request
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .header(header::ORIGIN, &self.base)
                .body(form(fields));
        }
        let response = request.send().await.unwrap();
        for cookie in response.headers().get_all(header::SET_COOKIE) {
            let (name, rest) = cookie.to_str().unwrap().split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), rest.split_once(';').unwrap().0.to_owned());
        }
        let location = response.headers().get(header::LOCATION).map_or("", |place| place.to_str().unwrap()).to_owned();
        Page { status: response.status().as_u16(), location, body: response.text().await.unwrap() }
    }
}

/// Fields as forms write them.
pub fn form(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}
