//! The OCCI door (GFD.223). Paths come from the model: the query interface, collections of kinds and mixins, entities.

mod answer;
mod collection;
mod entity;
mod query;
mod received;

use actix_web::{HttpRequest, HttpResponse, web};
use occi_schema::{MediaType, OcciVersion, Purpose};

use self::{answer::Failure, received::Received};
use super::principal;
use crate::{broker::Broker, store::entity::EntityId};

/// Both are one interface (GFD.223 section 9).
const QUERY_PATHS: [&str; 2] = ["/-/", "/.well-known/org/ogf/occi/-/"];

/// Where a path leads.
enum Place {
    Query,
    Collection(String),
    Entity(EntityId),
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
        match path.rsplit_once('/') {
            Some(("/compute", id)) => id.parse().map_or(Self::Nowhere, |id| Self::Entity(EntityId(id))),
            _ => Self::Nowhere,
        }
    }
}

/// Every request that no other door takes.
pub async fn door(request: HttpRequest, broker: web::Data<Broker>, payload: web::Payload) -> HttpResponse {
    let received = Received::new(&request, broker.public_url());
    // An error is shown in the rendering that was asked for, if there is one.
    let media = MediaType::negotiate(received.accept().as_deref(), Purpose::Single).unwrap_or(MediaType::TextPlain);
    match lead(&request, &broker, received, payload).await {
        Ok(response) => response,
        Err(failure) => failure.response(media),
    }
}

async fn lead(
    request: &HttpRequest,
    broker: &Broker,
    mut received: Received,
    payload: web::Payload,
) -> Result<HttpResponse, Failure> {
    check_version(&received)?;
    let place = Place::of(request.path());
    let reading = matches!(received.method.as_str(), "GET" | "HEAD");
    // The query interface tells strangers how to speak to this server, and nothing else.
    if matches!(place, Place::Query) && reading {
        let principal = principal::of(request, broker).await?;
        return query::show(broker, principal.as_ref(), &received).await;
    }
    let principal = principal::of(request, broker).await?.ok_or(Failure::Unauthenticated)?;
    if !reading {
        received.read_body(payload).await?;
    }
    match place {
        Place::Query => query::change(broker, &principal, &received).await,
        Place::Collection(path) => collection::serve(broker, &principal, &received, &path).await,
        Place::Entity(id) => entity::serve(broker, &principal, &received, id).await,
        Place::Nowhere => match received.method.as_str() {
            // A client may choose a path of its own by PUT; this server does not let it (GFD.185 section 3.4.4).
            "PUT" => {
                Err(Failure::status(400, "this server chooses the paths of entities; POST to their kind's collection"))
            }
            _ => Err(Failure::status(404, format!("there is nothing at {}", excerpt(request.path())))),
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
