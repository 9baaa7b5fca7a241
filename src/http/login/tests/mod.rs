//! The doors as browsers see them: a real server, a real database, and a provider that can be told to misbehave.

mod account;
mod browser;
mod entering;
mod forgery;
mod headers;
mod leaving;
mod members;
mod strangers;

use std::{net::TcpListener, sync::Arc, time::Duration};

use image_store::ImageStore;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use self::browser::{Browser, Page};
use super::Doors;
use crate::{
    broker::Broker,
    config::{Config, SiteDeclaration},
    dispatch::{Dispatch, Sites, reload},
    http::{Addresses, Entrance, Figures, Rooms, server},
    login::{
        gate::Gate,
        local_admin,
        provider::{Clock, Providers, hostile::Hostile},
        secret::Secret,
    },
    measured,
    store::{Db, member, password},
};

/// Everybody of the provider who is a teacher manages the class; everybody else of its groups is in it.
const RULES: &str = "
[[mapping]]
provider = 'school'
claim = 'groups'
equals = 'teachers'
project = 'class-3b'
role = 'manager'
create_projects = true
";

/// A server, and a provider that it knows.
struct Rig {
    base: String,
    db: Db,
    hostile: Hostile,
    _shutdown: tokio_util::sync::DropGuard,
    _directory: tempfile::TempDir,
}

impl Rig {
    /// With a provider that is called School.
    async fn new() -> Self {
        Self::with("").await
    }

    /// With more in the configuration.
    async fn with(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let db = Db::open(directory.path().join("t.sqlite").to_str().unwrap()).unwrap();
        let hostile = Hostile::start(&Clock::default());
        let mut config: Config = toml::from_str(text).unwrap();
        config.data_dir = directory.path().to_owned();
        let lab = "name = 'lab'\nadapter = { kind = 'simulator', boot_milliseconds = 1 }";
        config.site.push(toml::from_str::<SiteDeclaration>(lab).unwrap());
        let mapping: crate::config::LoginConfig = toml::from_str(RULES).unwrap();
        config.login.mapping = mapping.mapping;
        let mut provider = hostile.config("school");
        provider.title = "School".into();
        config.login.provider = vec![provider];
        let secret = Secret::from_bytes([7; 32]);
        let public_url = Some(config.occi.public_url.as_str()).filter(|url| !url.is_empty());
        let providers = Providers::new(&config.login.provider, public_url, &secret).unwrap();
        let images = Arc::new(ImageStore::open(directory.path().join("images")).unwrap());
        let sites = Sites::default();
        reload::reload(&sites, &config.site_source()).unwrap();
        let dispatch = Dispatch::new(&db, sites, &images, config.policy(), config.trial());
        let rooms = Rooms {
            broker: Broker::new(db.clone(), dispatch, &config).unwrap(),
            gate: Gate::new(db.clone(), secret.clone()),
            doors: Doors::new(db.clone(), providers, secret, config.login.clone()),
            figures: Figures::new(measured::recorder().unwrap().handle(), &config.metrics),
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let entrance = Entrance { listener, addresses: Addresses::new(&config), tls: None };
        let shutdown = CancellationToken::new();
        let server = server(rooms, entrance, &shutdown).unwrap();
        let (handle, ended) = (server.handle(), shutdown.clone());
        actix_web::rt::spawn(server);
        actix_web::rt::spawn(async move {
            ended.cancelled().await;
            handle.stop(false).await;
        });
        Self { base, db, hostile, _shutdown: shutdown.drop_guard(), _directory: directory }
    }

    fn browser(&self) -> Browser {
        Browser::new(&self.base)
    }

    /// Somebody who has just signed in at the provider.
    async fn signed_in(&self) -> Browser {
        let mut browser = self.browser();
        let page = self.sign_in(&mut browser, "/account").await;
        assert_eq!((page.status, page.location.as_deref()), (303, Some("/account")), "{}", page.body);
        browser
    }

    /// Goes to the provider and comes back; answers what our callback answers.
    async fn sign_in(&self, browser: &mut Browser, next: &str) -> Page {
        let there = browser.get(&format!("/login/start?provider=school&next={next}")).await;
        assert_eq!(there.status, 303, "{}", there.body);
        let back = self.come_back(&there.location.unwrap());
        browser.get(&back).await
    }

    /// The person signs in at the provider: where it sends the browser to.
    fn come_back(&self, location: &str) -> String {
        let answer = self.hostile.visit(location);
        let fields = [("code", answer.code.unwrap()), ("state", answer.state.unwrap())];
        let query: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        format!("/login/callback/school?{query}")
    }

    async fn link(&self) -> String {
        let link = local_admin::link(&self.db, Duration::from_secs(60)).await.unwrap();
        format!("/login/link/{}", link.reveal())
    }

    /// A user with a password, who is in no project.
    async fn local_user(&self, name: &str, chosen: &str) {
        let hash = crate::login::password::Password::chosen(chosen.to_owned()).unwrap().hash().await.unwrap();
        let name = name.to_owned();
        let made = self.db.write(move |connection| {
            let user = member::ensure_user(connection, &name)?;
            password::set(connection, user, &hash)
        });
        made.await.unwrap();
    }

    async fn sessions(&self) -> i64 {
        self.db.read(crate::store::session::count).await.unwrap()
    }

    async fn spent(&self) -> i64 {
        self.db.read(crate::store::spent::count).await.unwrap()
    }
}
