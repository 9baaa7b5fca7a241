//! Things to look at: computes, networks, storages, links and tags, made when a check asks for them.
//!
//! A `shared_…` one is made once and only looked at, by any number of checks. All others belong to the check that
//! asked for them, which may do with them what it likes.

use crate::{
    answer::{Answer, Entity},
    check::Stop,
    draft::{Draft, split_identifier},
    names::{COMPUTE, COMPUTE_STATE, NETWORK, NETWORK_INTERFACE, OS_TPL, START, STOP, STORAGE, STORAGE_LINK},
    request::Request,
    session::Session,
};

/// What is made once for all checks that only look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Shared {
    Compute,
    Network,
    Storage,
    Interface,
}

/// A link with both its ends.
#[derive(Debug, Clone)]
pub(crate) struct LinkFixture {
    pub(crate) path: String,
    pub(crate) source: String,
    pub(crate) target: String,
}

/// A user mixin.
#[derive(Debug, Clone)]
pub(crate) struct Tag {
    pub(crate) identifier: String,
    /// The path of its collection.
    pub(crate) location: String,
}

impl Tag {
    /// The line that registers it.
    pub(crate) fn line(&self) -> String {
        let (scheme, term) = split_identifier(&self.identifier);
        format!("Category: {term}; scheme=\"{scheme}\"; class=\"mixin\"; location=\"{}\"\n", self.location)
    }
}

impl Session {
    /// What a compute needs here: its kind, the templates that the server wants, and a title of its own.
    pub(crate) fn compute_draft(&self) -> Draft {
        self.untitled_compute_draft().attribute("occi.core.title", self.unique("compute"))
    }

    /// What a compute needs here, for checks that choose the title.
    pub(crate) fn untitled_compute_draft(&self) -> Draft {
        self.draft_of(self.options().resource_tpl.clone())
    }

    fn draft_of(&self, resource_tpl: Option<String>) -> Draft {
        let options = self.options();
        let offered = || self.model.templates(OS_TPL).first().map(|template| template.identifier());
        let mut draft = Draft::of(COMPUTE);
        for template in [options.os_tpl.clone().or_else(offered), resource_tpl].into_iter().flatten() {
            draft = draft.mixin(&template);
        }
        draft
    }

    /// A compute of this size, whatever size was asked for on the command line.
    pub(crate) fn compute_draft_with_size(&self, resource_tpl: &str) -> Draft {
        let title = self.unique("compute");
        self.draft_of(Some(resource_tpl.to_owned())).attribute("occi.core.title", title)
    }

    /// What a compute of this size needs here.
    pub(crate) fn compute_draft_of_size(&self, size: &str) -> Draft {
        let offered = || self.model.templates(OS_TPL).first().map(|template| template.identifier());
        let system = self.options().os_tpl.clone().or_else(offered);
        let draft = system.iter().fold(Draft::of(COMPUTE), |draft, system| draft.mixin(system));
        draft.mixin(size).attribute("occi.core.title", self.unique("compute"))
    }

    pub(crate) fn network_draft(&self) -> Draft {
        Draft::of(NETWORK).attribute("occi.core.title", self.unique("network"))
    }

    /// Of 1 GiB.
    pub(crate) fn storage_draft(&self) -> Draft {
        Draft::of(STORAGE).attribute("occi.core.title", self.unique("storage")).attribute("occi.storage.size", 1.0)
    }

    /// Makes an entity at its kind's collection, and answers its path.
    pub(crate) async fn create(&self, kind: &str, draft: &Draft) -> Result<String, Stop> {
        self.preparing(async {
            let collection = self.model.location(kind)?;
            let draft = self.with_what_is_required(kind, draft);
            let answer = self.send(Request::post(collection).text(&draft)).await?;
            self.created(&answer).map_err(|stop| match stop {
                Stop::Failed(problem) => Stop::Failed(format!("cannot create {kind} to look at: {problem}")),
                skipped @ Stop::Skipped(_) => skipped,
            })
        })
        .await
    }

    /// The letter of the documents lets a server require what servers in use fill in by themselves.
    fn with_what_is_required(&self, kind: &str, draft: &Draft) -> Draft {
        let known = [("occi.networkinterface.mac", "02:00:5e:10:00:01"), ("occi.storagelink.deviceid", "/dev/vdb")];
        let Some(kind) = self.model.find(kind) else { return draft.clone() };
        let is_required = |name: &str| kind.attribute(name).is_some_and(|attribute| attribute.is_required);
        let missing = known.iter().filter(|(name, _)| is_required(name) && !draft.has_attribute(name));
        missing.fold(draft.clone(), |draft, (name, value)| draft.attribute(name, *value))
    }

    /// The path of what an answer says was created: 201 or 200 with `Location`, or with a location in its body.
    pub(crate) fn created(&self, answer: &Answer) -> Result<String, Stop> {
        answer.expect(&[200, 201])?;
        let in_body = || answer.locations().ok().and_then(|locations| locations.first().cloned());
        match answer.header("Location").map(str::to_owned).or_else(in_body) {
            Some(location) => self.path(&location),
            None => fail!("the answer {} names no location: {}", answer.status, answer.first_words()),
        }
    }

    /// A compute of the check's own, in whatever state the server leaves it.
    pub(crate) async fn compute(&self) -> Result<String, Stop> {
        self.create(COMPUTE, &self.compute_draft()).await
    }

    /// A compute of the check's own, switched on and at rest.
    pub(crate) async fn active_compute(&self) -> Result<String, Stop> {
        self.compute_in("active", START).await
    }

    /// A compute of the check's own, switched off and at rest.
    pub(crate) async fn inactive_compute(&self) -> Result<String, Stop> {
        self.compute_in("inactive", STOP).await
    }

    async fn compute_in(&self, state: &str, action: &str) -> Result<String, Stop> {
        self.preparing(async {
            let path = self.compute().await?;
            if self.settled_compute(&path).await?.text(COMPUTE_STATE) != Some(state) {
                self.act(&path, action).await?.expect(&[200, 204])?;
                self.wait_for_state(&path, COMPUTE_STATE, state).await?;
                self.settled_compute(&path).await?;
            }
            Ok(path)
        })
        .await
    }

    /// Waits until nothing happens to a compute any more.
    ///
    /// No document says how to see that. What is under way mostly has a message, or offers no action; what has not
    /// changed for twenty looks is taken as it is.
    pub(crate) async fn settled_compute(&self, path: &str) -> Result<Entity, Stop> {
        let (mut last, mut looks) = (None, 0_u32);
        self.wait_for(path, "at rest", |entity| {
            let state = entity.text(COMPUTE_STATE).map(str::to_owned);
            let message = entity.text("occi.compute.state.message").map(str::to_owned);
            let has_actions = entity.offers(START) || entity.offers(STOP);
            let is_over = state.as_deref() == Some("error") || (message.is_none() && has_actions);
            let seen = Some((state, message));
            looks = if last == seen { looks + 1 } else { 0 };
            last = seen;
            is_over || looks >= 20
        })
        .await
    }

    pub(crate) async fn network(&self) -> Result<String, Stop> {
        self.create(NETWORK, &self.network_draft()).await
    }

    pub(crate) async fn storage(&self) -> Result<String, Stop> {
        self.create(STORAGE, &self.storage_draft()).await
    }

    /// A network interface from a compute to a network, all three of the check's own.
    pub(crate) async fn interface(&self) -> Result<LinkFixture, Stop> {
        self.model.require(NETWORK_INTERFACE)?;
        self.link(NETWORK_INTERFACE, self.network().await?).await
    }

    /// A storage link from a compute to a storage, all three of the check's own.
    pub(crate) async fn storage_link(&self) -> Result<LinkFixture, Stop> {
        self.model.require(STORAGE_LINK)?;
        self.link(STORAGE_LINK, self.storage().await?).await
    }

    async fn link(&self, kind: &str, target: String) -> Result<LinkFixture, Stop> {
        let source = self.compute().await?;
        let path = self.create(kind, &link_draft(kind, &source, &target)).await?;
        Ok(LinkFixture { path, source, target })
    }

    /// A user mixin that is not registered yet.
    pub(crate) fn new_tag(&self) -> Tag {
        let term = self.unique("my_stuff");
        let location = self.path(&format!("/{term}/")).unwrap_or_else(|_| format!("/{term}/"));
        Tag { identifier: format!("http://example.com/occi/my_stuff#{term}"), location }
    }

    /// A registered user mixin of the check's own.
    pub(crate) async fn tag(&self) -> Result<Tag, Stop> {
        let tag = self.new_tag();
        self.preparing(async {
            let answer = self.send(Request::post("/-/").plain(&tag.line())).await?;
            if [403, 501].contains(&answer.status) {
                skip!("the server lets users define no mixins: it answers {}", answer.status);
            }
            answer.expect(&[200, 201, 204])?;
            Ok(tag)
        })
        .await
    }

    /// Puts a tag, or another mixin, on entities.
    pub(crate) async fn associate(&self, collection: &str, paths: &[&str]) -> Result<(), Stop> {
        let draft = paths.iter().fold(Draft::new(), |draft, path| draft.location(path));
        let answer = self.preparing(self.send(Request::post(collection).text(&draft))).await?;
        answer.expect(&[200, 204]).map(|_| ())
    }

    /// A compute to look at only.
    pub(crate) async fn shared_compute(&self) -> Result<String, Stop> {
        self.share(Shared::Compute, self.inactive_compute()).await
    }

    /// A network to look at only.
    pub(crate) async fn shared_network(&self) -> Result<String, Stop> {
        self.share(Shared::Network, self.network()).await
    }

    /// A storage to look at only.
    pub(crate) async fn shared_storage(&self) -> Result<String, Stop> {
        self.share(Shared::Storage, self.storage()).await
    }

    /// A network interface from the shared compute to the shared network, to look at only.
    pub(crate) async fn shared_interface(&self) -> Result<LinkFixture, Stop> {
        self.model.require(NETWORK_INTERFACE)?;
        let (source, target) = (self.shared_compute().await?, self.shared_network().await?);
        let draft = link_draft(NETWORK_INTERFACE, &source, &target);
        let path = self.share(Shared::Interface, self.create(NETWORK_INTERFACE, &draft)).await?;
        Ok(LinkFixture { path, source, target })
    }

    async fn share(
        &self,
        which: Shared,
        making: impl Future<Output = Result<String, Stop>> + Send,
    ) -> Result<String, Stop> {
        let known = self.shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(&which).cloned();
        if let Some(known) = known {
            return known;
        }
        let made = self.sharing(self.preparing(making)).await;
        let mut shared = self.shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        shared.insert(which, made.clone());
        made
    }

    /// Shared things may be gone: those who ask next get new ones.
    pub(crate) fn forget_shared(&self) {
        self.shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clear();
    }
}

/// A link of a kind between two paths.
pub(crate) fn link_draft(kind: &str, source: &str, target: &str) -> Draft {
    Draft::of(kind).attribute("occi.core.source", source).attribute("occi.core.target", target)
}
