//! A request before it is sent.

use serde_json::Value as Json;

use crate::draft::Draft;

/// What a check sends. Nothing is added to it but `Host`, `User-Agent`, credentials and the length of its body.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    /// A path below the server's address, or a location that it gave.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// `None` leaves the usual one.
    pub(crate) user_agent: Option<String>,
    pub(crate) credentials: CredentialUse,
    /// Header names as `X-Occi-Attribute` instead of `x-occi-attribute`.
    pub(crate) title_case: bool,
}

/// Whose credentials a request presents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CredentialUse {
    /// The tester's own.
    Own,
    /// None at all.
    Absent,
    /// Wrong ones: this `Authorization`.
    Wrong(String),
}

impl Request {
    pub(crate) fn new(method: &'static str, target: &str) -> Self {
        Self {
            method,
            target: target.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            user_agent: None,
            credentials: CredentialUse::Own,
            title_case: true,
        }
    }

    /// With `Accept: text/plain`.
    pub(crate) fn get(target: &str) -> Self {
        Self::new("GET", target).accept("text/plain")
    }

    /// With `Accept: text/plain`.
    pub(crate) fn post(target: &str) -> Self {
        Self::new("POST", target).accept("text/plain")
    }

    /// With `Accept: text/plain`.
    pub(crate) fn put(target: &str) -> Self {
        Self::new("PUT", target).accept("text/plain")
    }

    /// With `Accept: text/plain`.
    pub(crate) fn delete(target: &str) -> Self {
        Self::new("DELETE", target).accept("text/plain")
    }

    /// An action on an entity or a collection; `term` goes into the query.
    pub(crate) fn action(target: &str, term: &str) -> Self {
        Self::post(&format!("{target}?action={term}"))
    }

    /// Adds a header field; fields may repeat.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Leaves a header field out.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(found, _)| !found.eq_ignore_ascii_case(name));
        self
    }

    pub(crate) fn accept(self, media_types: &str) -> Self {
        self.without("Accept").header("Accept", media_types)
    }

    pub(crate) fn content_type(self, media_type: &str) -> Self {
        self.without("Content-Type").header("Content-Type", media_type)
    }

    pub(crate) fn user_agent(mut self, value: &str) -> Self {
        self.user_agent = Some(value.to_owned());
        self
    }

    pub(crate) fn credentials(mut self, credentials: CredentialUse) -> Self {
        self.credentials = credentials;
        self
    }

    pub(crate) fn lower_case(mut self) -> Self {
        self.title_case = false;
        self
    }

    /// These bytes as a body of this media type.
    pub(crate) fn body(mut self, media_type: &str, body: &str) -> Self {
        self.body = body.as_bytes().to_vec();
        self.content_type(media_type)
    }

    /// These lines as text/plain, well-formed or not.
    pub(crate) fn plain(self, lines: &str) -> Self {
        self.body("text/plain", lines)
    }

    /// The draft as text/plain.
    pub(crate) fn text(self, draft: &Draft) -> Self {
        let lines = draft.lines();
        self.plain(&lines)
    }

    /// The draft as text/occi: in header fields, one field for each name.
    pub(crate) fn occi(mut self, draft: &Draft) -> Self {
        self.headers.extend(draft.fields());
        self.content_type("text/occi")
    }

    /// The draft as text/occi, one field for each value.
    pub(crate) fn occi_repeated(mut self, draft: &Draft) -> Self {
        self.headers.extend(draft.repeated_fields());
        self.content_type("text/occi")
    }

    /// The draft as application/occi+json.
    pub(crate) fn json_draft(self, draft: &Draft) -> Self {
        let document = draft.json();
        self.json(&document)
    }

    /// This document as application/occi+json.
    pub(crate) fn json(self, document: &Json) -> Self {
        let body = document.to_string();
        self.body("application/occi+json", &body)
    }

    /// Filters or categories in header fields, as GET takes them.
    pub(crate) fn filter(self, draft: &Draft) -> Self {
        self.occi(draft)
    }
}
