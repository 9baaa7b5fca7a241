//! A browser, as far as it matters here: cookies, forms and where they come from.

use std::{collections::BTreeMap, net::SocketAddr};

use reqwest::{
    Client, ClientBuilder, Method, RequestBuilder, Response,
    header::{self, HeaderMap},
    redirect::Policy,
};

/// TLS wants a provider of cryptography, which the tests' process has to choose.
fn client() -> ClientBuilder {
    // A second choice is refused, and the first one stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
}

/// Keeps cookies, follows nothing.
pub struct Browser {
    pub base: String,
    pub cookies: BTreeMap<String, String>,
    client: Client,
}

/// What a browser was shown.
pub struct Page {
    pub status: u16,
    pub headers: HeaderMap,
    pub location: Option<String>,
    /// As they came, with their flags.
    pub set_cookies: Vec<String>,
    pub body: String,
}

impl Page {
    /// The hidden text of the first form.
    pub fn form_token(&self) -> String {
        let (_, rest) = self.body.split_once("name=\"form_token\" value=\"").unwrap_or_else(|| panic!("{}", self.body));
        rest.split_once('"').unwrap().0.to_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// What stands between two texts.
    pub fn between(&self, start: &str, end: &str) -> String {
        let (_, rest) = self.body.split_once(start).unwrap_or_else(|| panic!("no {start} in {}", self.body));
        rest.split_once(end).unwrap().0.to_owned()
    }
}

impl Browser {
    pub fn new(base: &str) -> Self {
        let client = client().redirect(Policy::none()).build().unwrap();
        Self { base: base.to_owned(), cookies: BTreeMap::new(), client }
    }

    /// One that finds the server under another name.
    pub fn calling(&self, host: &str) -> Client {
        let address: SocketAddr = self.base.trim_start_matches("http://").parse().unwrap();
        client().redirect(Policy::none()).resolve(host, address).build().unwrap()
    }

    /// A request with the cookies, and nothing else.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = self.client.request(method, format!("{}{path}", self.base));
        if cookies.is_empty() { request } else { request.header(header::COOKIE, cookies.join("; ")) }
    }

    pub async fn get(&mut self, path: &str) -> Page {
        let request = self.request(Method::GET, path);
        self.send(request).await
    }

    /// Sends a form of a page of the server.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let request = self.form(path, fields).header(header::ORIGIN, &self.base);
        self.send(request.header("sec-fetch-site", "same-origin")).await
    }

    /// A form, not saying where it comes from.
    pub fn form(&self, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
        let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.request(Method::POST, path).body(body);
        request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
    }

    /// Sends it, and keeps what cookies come back.
    pub async fn send(&mut self, request: RequestBuilder) -> Page {
        let page = Page::of(request.send().await.unwrap()).await;
        for cookie in &page.set_cookies {
            let (name, rest) = cookie.split_once('=').unwrap();
            let value = rest.split_once(';').unwrap().0;
            if cookie.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        page
    }
}

impl Page {
    pub async fn of(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = |value: &header::HeaderValue| value.to_str().unwrap().to_owned();
        let set_cookies = headers.get_all(header::SET_COOKIE).iter().map(text).collect();
        let location = headers.get(header::LOCATION).map(text);
        Self { status, headers, location, set_cookies, body: response.text().await.unwrap() }
    }
}
