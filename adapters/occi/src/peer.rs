//! Who the server is: its habits, its rendering, its categories, as negotiated and read from its query interface.

use std::time::{Duration, Instant};

use backend::BackendError;
use backend_http::{Answer, Method, quoted};
use occi_schema::{CategoryId, MediaType};

use crate::{
    connection::{Asked, Connection, refusal},
    dialect::Dialect,
    model::Categories,
    options::OcciOptions,
    reading, trail,
};

/// Both are one interface (GFD.223 section 9); the first one is a must.
const QUERY_PATHS: [&str; 2] = ["-/", ".well-known/org/ogf/occi/-/"];
/// Where a broker names itself and those behind it.
pub(crate) const BROKER_HEADER: &str = "x-tombolo-broker";
/// For how long what is known is believed.
const FRESH: Duration = Duration::from_secs(30);

/// What is known of the server.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) dialect: Dialect,
    pub(crate) media: MediaType,
    pub(crate) categories: Categories,
    /// Categories that could not be read.
    pub(crate) unreadable: usize,
    /// Its `Server` field.
    pub(crate) software: String,
    /// Its `Date` field.
    pub(crate) date: Option<String>,
    /// The brokers there, the nearest first.
    pub(crate) brokers: Vec<String>,
    learnt: Instant,
}

impl Peer {
    /// Asks, in the renderings that there are, until an answer tells of machines.
    pub(crate) async fn learn(connection: &Connection, options: &OcciOptions) -> Result<Self, BackendError> {
        let wish = options.rendering.map(MediaType::from);
        let habits = options.dialect.map(Dialect::of);
        let renderings = match (wish, habits) {
            (Some(media), _) => vec![media],
            (None, Some(habits)) => habits.renderings.to_vec(),
            (None, None) => Dialect::of_server("").renderings.to_vec(),
        };
        let mut outcome = Err(BackendError::Failed("no rendering was tried".into()));
        for media in renderings {
            let answer = match query(connection, media).await {
                Ok(answer) => answer,
                // It knows no such rendering; the next one.
                Err(error @ (BackendError::Refused(_) | BackendError::Unsupported(_) | BackendError::Failed(_))) => {
                    outcome = outcome.and(Err(error));
                    continue;
                }
                Err(error) => return Err(error),
            };
            let peer = Self::of_answer(&answer, media, habits)?;
            // The server's own habits say which rendering is the better one.
            let is_preferred = wish.is_some() || peer.dialect.renderings.contains(&peer.media);
            if peer.categories.has_machines() && is_preferred {
                return Ok(peer);
            }
            if !matches!(&outcome, Ok(Self { categories, .. }) if categories.has_machines()) {
                outcome = Ok(peer);
            }
        }
        outcome
    }

    fn of_answer(answer: &Answer, asked: MediaType, habits: Option<Dialect>) -> Result<Self, BackendError> {
        let software = quoted(answer.header("server").unwrap_or("an OCCI server"));
        let dialect = habits.unwrap_or_else(|| Dialect::of_server(&software));
        let media = reading::media_of(answer, asked);
        let (found, unreadable) = reading::categories(answer, asked)
            .map_err(|why| BackendError::Failed(format!("the query interface cannot be read: {}", quoted(&why))))?;
        Ok(Self {
            dialect,
            media,
            categories: Categories::new(found),
            unreadable,
            software,
            date: answer.header("date").map(str::to_owned),
            brokers: answer.header(BROKER_HEADER).map(trail::behind).unwrap_or_default(),
            learnt: Instant::now(),
        })
    }

    pub(crate) fn is_fresh(&self) -> bool {
        self.learnt.elapsed() < FRESH
    }

    /// The path of an entity of the kind.
    ///
    /// # Errors
    /// The server has no such kind.
    pub(crate) fn collection(&self, connection: &Connection, kind: &CategoryId) -> Result<String, BackendError> {
        let location = self.categories.location(kind);
        let location = location.ok_or_else(|| {
            BackendError::Unsupported(format!("make a {}: its query interface has no such kind", kind.term()))
        })?;
        let path = connection.path_of(location)?;
        Ok(if path.ends_with('/') { path } else { format!("{path}/") })
    }
}

/// The query interface, at either of its paths.
async fn query(connection: &Connection, media: MediaType) -> Result<Answer, BackendError> {
    let mut missing = None;
    for below in QUERY_PATHS {
        let path = connection.below(below);
        let answer = connection.ask(&Asked::new(Method::GET, &path, media)).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        match refusal(&answer, &path) {
            BackendError::NotFound(words) => missing = Some(words),
            error => return Err(error),
        }
    }
    let words = missing.unwrap_or_default();
    Err(BackendError::Refused(format!("there is no OCCI query interface at {}: {words}", connection.name())))
}
