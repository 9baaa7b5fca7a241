//! The server under test as checks see it: they send requests, and ask for things to look at.
//!
//! Whatever a request makes is noted in the ledger by itself, from the answer, and removed when the check has ended.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    CheckError,
    answer::{Answer, Category, Entity, OCCI},
    check::Stop,
    draft::{Draft, category_value},
    exchange::{Client, Exchange, Purpose},
    fixture::Shared,
    ledger::{Ledger, Made},
    model::Model,
    options::{Mode, Options},
    request::Request,
};

/// Between two looks at something that changes.
const LOOK: Duration = Duration::from_millis(50);
const SLOW_LOOK: Duration = Duration::from_secs(1);
/// How long a removal is tried that the server refuses for now.
const REMOVAL_PATIENCE: Duration = Duration::from_secs(20);

/// The server under test.
pub(crate) struct Session {
    client: Client,
    options: Options,
    pub(crate) model: Model,
    /// The `Server` field of the first answer.
    pub(crate) software: String,
    /// In the names of all that this run makes.
    run: String,
    counter: AtomicU32,
    journal: Mutex<Vec<Exchange>>,
    ledger: Mutex<Ledger>,
    preparing: AtomicU32,
    sharing: AtomicU32,
    pub(crate) shared: Mutex<BTreeMap<Shared, Result<String, Stop>>>,
}

impl Session {
    /// Reads the query interface.
    pub(crate) async fn open(options: &Options) -> Result<Self, CheckError> {
        let client = Client::new(options)?;
        let untestable = |problem: String| CheckError::Untestable { url: options.url.clone(), problem };
        let (_, answer) = client.send(&Request::get("/-/"), Purpose::Preparation).await;
        let answer = answer.map_err(|problem| untestable(client.without_secrets(&problem)))?;
        if answer.status == 401 || answer.status == 403 {
            let problem = format!("it answers {} to these credentials; see --auth", answer.status);
            return Err(untestable(problem));
        }
        let model = Model::of(&answer);
        if answer.status != 200 || model.categories.is_empty() {
            let words = client.without_secrets(&answer.first_words());
            return Err(untestable(format!("GET /-/ answers {} and no categories: {words}", answer.status)));
        }
        let run = uuid::Uuid::new_v4().simple().to_string()[..8].to_owned();
        Ok(Self {
            software: client.without_secrets(answer.header("Server").unwrap_or_default()),
            client,
            options: options.clone(),
            model,
            run,
            counter: AtomicU32::new(0),
            journal: Mutex::default(),
            ledger: Mutex::default(),
            preparing: AtomicU32::new(0),
            sharing: AtomicU32::new(0),
            shared: Mutex::default(),
        })
    }

    pub(crate) fn mode(&self) -> Mode {
        self.options.mode
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    /// `http://host:port` of the server.
    pub(crate) fn base(&self) -> String {
        self.client.address.base()
    }

    /// A location as a path on this server; fails for one elsewhere.
    pub(crate) fn path(&self, location: &str) -> Result<String, Stop> {
        match self.client.address.path(location) {
            Some(path) => Ok(path),
            None => fail!("the location {location} is not on this server"),
        }
    }

    /// A name that nothing else of this or another run has: `{word}_{run}_{number}`.
    pub(crate) fn unique(&self, word: &str) -> String {
        format!("{word}_{}_{}", self.run, self.counter.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Sends a request; what it makes is noted. No answer at all is a failure.
    pub(crate) async fn send(&self, request: Request) -> Result<Answer, Stop> {
        let is_preparing = self.preparing.load(Ordering::Relaxed) > 0;
        let purpose = if is_preparing { Purpose::Preparation } else { Purpose::Check };
        let (exchange, answer) = self.client.send(&request, purpose).await;
        self.journal().push(exchange);
        match answer {
            Ok(answer) => {
                self.note_what_was_made(&request, &answer);
                Ok(answer)
            }
            Err(problem) => fail!("{} {}: {problem}", request.method, request.target),
        }
    }

    /// Reads an entity as text/plain.
    pub(crate) async fn read(&self, path: &str) -> Result<Entity, Stop> {
        let answer = self.send(Request::get(path)).await?;
        answer.expect(&[200])?.entity()
    }

    /// The categories that the query interface lists now.
    pub(crate) async fn categories(&self) -> Result<Vec<Category>, Stop> {
        self.send(Request::get("/-/")).await?.expect(&[200])?.categories()
    }

    /// What the query interface says now, for checks of what it lists.
    pub(crate) async fn listed_now(&self) -> Result<Model, Stop> {
        Ok(Model { categories: self.categories().await? })
    }

    /// Paths of the members of a collection, read as text/plain.
    pub(crate) async fn members(&self, collection: &str) -> Result<Vec<String>, Stop> {
        let answer = self.send(Request::get(collection)).await?;
        let locations = answer.expect(&[200, 204])?.locations()?;
        locations.iter().map(|location| self.path(location)).collect()
    }

    /// Looks at an entity until it is as wanted; only the last look stays in the report.
    pub(crate) async fn wait_for(
        &self,
        path: &str,
        wanted: &str,
        mut is_so: impl FnMut(&Entity) -> bool + Send,
    ) -> Result<Entity, Stop> {
        let (began, mut pause) = (Instant::now(), LOOK);
        loop {
            let before = self.journal().len();
            let entity = self.read(path).await?;
            if is_so(&entity) {
                return Ok(entity);
            }
            if began.elapsed() > self.options.patience {
                fail!("{path} was not {wanted} within {} s", self.options.patience.as_secs());
            }
            self.journal().truncate(before);
            tokio::time::sleep(pause).await;
            pause = (pause * 5 / 4).min(SLOW_LOOK);
        }
    }

    /// Waits until the attribute has the value.
    pub(crate) async fn wait_for_state(&self, path: &str, attribute: &str, value: &str) -> Result<Entity, Stop> {
        let wanted = format!("{attribute}={value:?}");
        self.wait_for(path, &wanted, |entity| entity.text(attribute) == Some(value)).await
    }

    /// Asks for an action without parameters, as text/plain.
    pub(crate) async fn act(&self, target: &str, action: &str) -> Result<Answer, Stop> {
        let (_, term) = crate::draft::split_identifier(action);
        self.send(Request::action(target, term).text(&Draft::new().action(action))).await
    }

    /// Whether a whole collection may be emptied or acted on: with `--destructive`, or when all of it is ours.
    pub(crate) async fn may_destroy(&self, collection: &str) -> Result<(), Stop> {
        if self.options.destructive {
            return Ok(());
        }
        for member in self.members(collection).await? {
            if !self.ledger().holds(&Made::Entity(member)) {
                skip!("{collection} holds what others made; --destructive allows to touch it");
            }
        }
        Ok(())
    }

    /// Whatever runs in it is shown as preparation.
    pub(crate) async fn preparing<T>(&self, work: impl Future<Output = T> + Send) -> T {
        self.preparing.fetch_add(1, Ordering::Relaxed);
        let result = work.await;
        self.preparing.fetch_sub(1, Ordering::Relaxed);
        result
    }

    /// Whatever is made in it stays until the last check.
    pub(crate) async fn sharing<T>(&self, work: impl Future<Output = T> + Send) -> T {
        self.sharing.fetch_add(1, Ordering::Relaxed);
        let result = work.await;
        self.sharing.fetch_sub(1, Ordering::Relaxed);
        result
    }

    /// The exchanges since the last call.
    pub(crate) fn take_journal(&self) -> Vec<Exchange> {
        std::mem::take(&mut *self.journal())
    }

    /// A check was cut off in the middle: nothing prepares any more.
    pub(crate) fn calm(&self) {
        self.preparing.store(0, Ordering::Relaxed);
        self.sharing.store(0, Ordering::Relaxed);
    }

    /// A server's words may hold what was sent to it.
    pub(crate) fn without_secrets(&self, text: &str) -> String {
        self.client.without_secrets(text)
    }

    /// Whether this run made what is there.
    pub(crate) fn is_ours(&self, location: &str) -> bool {
        let path = self.client.address.path(location);
        path.is_some_and(|path| self.ledger().holds(&Made::Entity(path)))
    }

    /// Notes an entity that must be removed and that no answer to its creation named.
    pub(crate) fn note_entity(&self, path: &str) {
        self.ledger().note(Made::Entity(path.to_owned()), false);
    }

    /// Notes a mixin that must be removed and that no `POST /-/` made, such as a saved template.
    pub(crate) fn note_mixin(&self, identifier: &str) {
        self.ledger().note(Made::Mixin(identifier.to_owned()), false);
    }

    /// Removes what the last check made, or everything; answers what could not be removed, with the reason.
    pub(crate) async fn clean_up(&self, everything: bool) -> Vec<String> {
        let made = if everything { self.ledger().all() } else { self.ledger().of_check() };
        let mut left = Vec::new();
        for made in made {
            if let Err(problem) = self.remove(&made).await {
                let name = match &made {
                    Made::Entity(name) | Made::Mixin(name) => name,
                };
                left.push(format!("{name}: {problem}"));
            }
            self.ledger().forget(&made);
        }
        // Removing is not what a check is about.
        self.journal().clear();
        left
    }

    async fn remove(&self, made: &Made) -> Result<(), String> {
        let began = Instant::now();
        loop {
            let request = match made {
                Made::Entity(path) => Request::delete(path),
                Made::Mixin(identifier) => {
                    let category = category_value(identifier, "mixin");
                    Request::delete("/-/").header("Category", &category).content_type(OCCI)
                }
            };
            let (_, answer) = self.client.send(&request, Purpose::Preparation).await;
            let problem = match answer {
                Ok(answer) if answer.is_success() || [404, 410].contains(&answer.status) => return Ok(()),
                Ok(answer) => format!("DELETE answers {}: {}", answer.status, answer.first_words()),
                Err(problem) => problem,
            };
            if matches!(made, Made::Mixin(_)) || began.elapsed() > REMOVAL_PATIENCE {
                return Err(self.client.without_secrets(&problem));
            }
            // What it depends on may be going at this moment.
            tokio::time::sleep(LOOK * 4).await;
        }
    }

    fn note_what_was_made(&self, request: &Request, answer: &Answer) {
        let makes = ["POST", "PUT"].contains(&request.method) && !request.target.contains("?action=");
        if !makes || !answer.is_success() {
            return;
        }
        let is_shared = self.sharing.load(Ordering::Relaxed) > 0;
        if request.target.ends_with("/-/") {
            for identifier in mixins_of(request) {
                self.ledger().note(Made::Mixin(identifier), is_shared);
            }
            return;
        }
        let mut locations: Vec<String> = Vec::new();
        for field in answer.header_fields("Location") {
            locations.extend(field.split(',').map(|location| location.trim().to_owned()));
        }
        if answer.status == 201 {
            locations.extend(answer.locations().unwrap_or_default());
            if request.method == "PUT" {
                locations.push(request.target.clone());
            }
        }
        for path in locations.iter().filter_map(|location| self.client.address.path(location)) {
            let is_entity = !path.ends_with('/') && !path.contains('?');
            if is_entity {
                self.ledger().note(Made::Entity(path), is_shared);
            }
        }
    }

    /// It is known to be gone.
    pub(crate) fn forget(&self, path: &str) {
        self.ledger().forget(&Made::Entity(path.to_owned()));
    }

    fn journal(&self) -> MutexGuard<'_, Vec<Exchange>> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Identifiers of the mixins that a request to the query interface defines, as far as it is well-formed.
fn mixins_of(request: &Request) -> Vec<String> {
    let text = String::from_utf8_lossy(&request.body);
    if let Ok(document) = serde_json::from_str::<serde_json::Value>(&text) {
        let mixins = document.get("mixins").and_then(|mixins| mixins.as_array()).cloned();
        let mixins = mixins.unwrap_or_else(|| vec![document]);
        let identifier =
            |mixin: &serde_json::Value| Some(format!("{}{}", mixin["scheme"].as_str()?, mixin["term"].as_str()?));
        return mixins.iter().filter_map(identifier).collect();
    }
    let in_body = text.lines().filter_map(|line| line.strip_prefix("Category:").map(str::to_owned));
    let in_fields = request.headers.iter().filter(|(name, _)| name.to_ascii_lowercase().ends_with("category"));
    let values = in_body.chain(in_fields.map(|(_, value)| value.clone()));
    let each = values.flat_map(|value| crate::answer::split_commas(&value).unwrap_or_default());
    each.filter_map(|value| {
        let term = value.split(';').next()?.trim().to_owned();
        let (_, rest) = value.split_once("scheme=\"")?;
        let (scheme, _) = rest.split_once('"')?;
        Some(format!("{scheme}{term}"))
    })
    .collect()
}
