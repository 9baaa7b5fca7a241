//! The OCCI door (GFD.223). Paths come from the model: the query interface, collections of kinds and mixins, entities.

mod answer;
mod collection;
mod entity;
mod listing;
mod query;
mod received;

use actix_web::{HttpRequest, HttpResponse, web};
use occi_schema::{MediaType, OcciVersion, Purpose};
use uuid::Uuid;

pub use self::answer::Failure;
use self::received::Received;
use super::{challenge, principal};
use crate::{
    broker::{Broker, BrokerError},
    store::entity::EntityId,
};

/// Both are one interface (GFD.223 section 9).
const QUERY_PATHS: [&str; 2] = ["/-/", "/.well-known/org/ogf/occi/-/"];

/// Where a path leads.
enum Place {
    Query,
    Collection(String),
    Entity(String, EntityId),
    Nowhere,
}

impl Place {
    fn of(path: &str) -> Self {
        if QUERY_PATHS.contains(&path) {
            return Self::Query;
        }
        if path.ends_with('/') {
            return Self::Collection(path.to_owned());
        }
        // An entity's last segment is its id within its kind's location (section 3.8 rule 12 of our notes).
        // Some clients put the whole `occi.core.id` there.
        let read = |id: &str| id.strip_prefix("urn:uuid:").unwrap_or(id).parse::<Uuid>().ok();
        match path.rsplit_once('/').and_then(|(collection, id)| Some((collection, read(id)?))) {
            Some((collection, id)) if !collection.is_empty() => {
                Self::Entity(format!("{collection}/{id}"), EntityId(id))
            }
            _ => Self::Nowhere,
        }
    }
}

/// Every request that no other door takes.
pub async fn door(request: HttpRequest, broker: web::Data<Broker>, payload: web::Payload) -> HttpResponse {
    let received = Received::new(&request, &broker);
    // An error is shown in the rendering that was asked for, if there is one.
    let media = MediaType::negotiate(received.accept().as_deref(), Purpose::Single).unwrap_or(MediaType::TextPlain);
    let tells_gone = broker.tells_gone_to(received.header("user-agent").unwrap_or_default());
    let base = received.base.clone();
    let failure = match lead(&request, &broker, received, payload).await {
        Ok(response) => return response,
        Err(Failure::Broker(BrokerError::Gone(what))) if !tells_gone => BrokerError::NotFound(what).into(),
        Err(failure) => failure,
    };
    let mut response = failure.response(media, broker.mode());
    challenge::put(&mut response, &request, &base);
    response
}

async fn lead(
    request: &HttpRequest,
    broker: &Broker,
    mut received: Received,
    payload: web::Payload,
) -> Result<HttpResponse, Failure> {
    check_version(&received)?;
    // Some clients join a base that ends in a slash with a path that begins with one.
    let mut path = request.path().to_owned();
    while path.contains("//") {
        path = path.replace("//", "/");
    }
    let place = Place::of(&path);
    let reading = matches!(received.method.as_str(), "GET" | "HEAD");
    // Under more load than can be borne, what is refused has to cost nothing: not even the question who asks.
    if matches!(place, Place::Collection(_)) && received.method == "POST" && received.action.is_none() {
        broker.check_room()?;
    }
    // The query interface tells strangers how to speak to this server, and nothing else. Who shows something that opens
    // nothing hears so at once: rOCCI and jOCCI try their credentials here, and look for Keystone when they fail.
    if matches!(place, Place::Query) && reading {
        let principal = principal::of(request).await?;
        if principal.is_none() && principal::shows_something(request) {
            return Err(Failure::Unauthenticated);
        }
        return query::show(broker, principal.as_ref(), &received).await;
    }
    let principal = principal::of(request).await?.ok_or(Failure::Unauthenticated)?;
    if !reading {
        received.read_body(payload).await?;
    }
    match place {
        Place::Query => query::change(broker, &principal, &received).await,
        Place::Collection(path) => collection::serve(broker, &principal, &received, &path).await,
        Place::Entity(path, id) => entity::serve(broker, &principal, &received, &path, id).await,
        Place::Nowhere => match received.method.as_str() {
            // A client may choose a path of its own by PUT, within limits (GFD.185 section 3.4.4).
            "PUT" => Err(Failure::status(
                400,
                "an entity's path is its kind's location and a UUID; or POST to that location",
            )),
            _ => Err(Failure::status(404, format!("there is nothing at {}", excerpt(&path)))),
        },
    }
}

/// A client that needs a later version than this server's is told so (GFD.223 section 5.3).
fn check_version(received: &Received) -> Result<(), Failure> {
    OcciVersion::of_client(received.header("user-agent"))
        .map(|_| ())
        .map_err(|error| Failure::status(501, error.to_string()))
}

fn excerpt(path: &str) -> String {
    path.chars().take(80).collect()
}
