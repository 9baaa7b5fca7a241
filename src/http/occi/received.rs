use actix_web::{HttpRequest, http::Method, web};
use futures_util::StreamExt;
use occi_schema::{EntityRequest, Limits, MediaType, Purpose, parse};

use super::answer::Failure;
use crate::{
    broker::{Broker, MOST_AT_ONCE, Page, Repeatable},
    http::{BODY_LIMIT, address::base_of},
};

/// A request, as far as OCCI is concerned.
pub struct Received {
    /// Its method.
    pub method: Method,
    /// The term in `?action=`, if there is one.
    pub action: Option<String>,
    /// The start of every URL in the answer: `http://host:port`.
    pub base: String,
    legacy_json: bool,
    headers: Vec<(String, String)>,
    query: Vec<(String, String)>,
    /// Its body, once read.
    pub body: Vec<u8>,
}

impl Received {
    /// A request to this server, under the name that it is known by.
    pub fn new(request: &HttpRequest, broker: &Broker) -> Self {
        // Fields that are no text are left out: nothing that is parsed here may have any other byte.
        let headers = request
            .headers()
            .iter()
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
            .collect();
        // The group's own example separates by semicolons.
        let query = request.query_string().replace(';', "&");
        let query =
            web::Query::<Vec<(String, String)>>::from_query(&query).map_or_else(|_| Vec::new(), |query| query.0);
        let action = query.iter().find(|(name, _)| name == "action").map(|(_, term)| term.clone());
        let base = base_of(request);
        let legacy_json = broker.speaks_legacy_json();
        Self { method: request.method().clone(), action, base, legacy_json, headers, query, body: Vec::new() }
    }

    /// Reads the body, up to the limit.
    pub async fn read_body(&mut self, mut payload: web::Payload) -> Result<(), Failure> {
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|error| Failure::status(400, format!("the body ended early: {error}")))?;
            if self.body.len() + chunk.len() > BODY_LIMIT {
                return Err(Failure::status(413, format!("a body may have {BODY_LIMIT} bytes")));
            }
            self.body.extend_from_slice(&chunk);
        }
        Ok(())
    }

    pub fn headers(&self) -> Vec<(&str, &str)> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The request as one that may be sent again, if the client has given it a key. The same are two requests of one
    /// method, path, query and body, with the same fields that describe what is asked.
    pub fn repeatable(&self, path: &str) -> Result<Option<Repeatable>, Failure> {
        let Some(key) = self.header("idempotency-key") else { return Ok(None) };
        let describes =
            |name: &str| ["content-type", "category", "link"].contains(&name) || name.starts_with("x-occi-");
        let fields = self.headers.iter().filter(|(name, _)| describes(name));
        let fields = fields.flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        let query = self.query.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        let head = [self.method.as_str().as_bytes(), path.as_bytes(), self.body.as_slice()];
        Ok(Some(Repeatable::new(key, head.into_iter().chain(query).chain(fields))?))
    }

    /// All `Accept` fields as one list.
    pub fn accept(&self) -> Option<String> {
        let fields: Vec<&str> =
            self.headers.iter().filter(|(name, _)| name == "accept").map(|(_, value)| value.as_str()).collect();
        (!fields.is_empty()).then(|| fields.join(", "))
    }

    /// The rendering of the answer.
    pub fn answer_media(&self, purpose: Purpose) -> Result<MediaType, Failure> {
        MediaType::negotiate(self.accept().as_deref(), purpose)
            .map(|media| media.with_legacy_json(self.legacy_json))
            .map_err(|error| Failure::status(error.status(), error.to_string()))
    }

    /// The entity that the request describes.
    pub fn entity(&self) -> Result<EntityRequest, Failure> {
        let request = parse::entity(self.request_media()?, &self.headers(), &self.body, &Limits::default())?;
        Ok(request.with_local_paths(&self.base))
    }

    /// The entities that the request describes: in JSON it may be several (GFD.223 section 11.3.1).
    pub fn entities(&self) -> Result<Vec<EntityRequest>, Failure> {
        let requests = parse::entities(self.request_media()?, &self.headers(), &self.body, &Limits::default())?;
        Ok(requests.into_iter().map(|request| request.with_local_paths(&self.base)).collect())
    }

    /// The part of the list that is asked for, if only a part is (GFD.223 section 7.2).
    pub fn page(&self) -> Result<Option<Page>, Failure> {
        let number = |name: &str| match self.query.iter().find(|(known, _)| known == name) {
            None => Ok(None),
            Some((_, text)) => match text.parse::<usize>() {
                Ok(number) if number > 0 => Ok(Some(number)),
                _ => Err(Failure::status(400, format!("{name} must be a whole number from 1"))),
            },
        };
        match (number("page")?, number("number")?) {
            (None, None) => Ok(None),
            (Some(_), Some(most)) if most > MOST_AT_ONCE => {
                Err(Failure::status(413, format!("a page may have {MOST_AT_ONCE} entities")))
            }
            (Some(page), Some(most)) => Ok(Some(Page { skip: (page - 1).saturating_mul(most), most })),
            _ => Err(Failure::status(400, "page and number go together")),
        }
    }

    /// The rendering of the request.
    pub fn request_media(&self) -> Result<MediaType, Failure> {
        MediaType::of_request(self.header("content-type"), self.body.is_empty())
            .map(|media| media.with_legacy_json(self.legacy_json))
            .map_err(|error| Failure::status(406, error.to_string()))
    }
}
