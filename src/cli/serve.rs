use std::{
    io::{IsTerminal, Write},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use image_store::ImageStore;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{data_dir, node};
use crate::{
    broker::Broker,
    config::{Config, SiteDeclaration, SiteSource},
    dispatch::{Dispatch, Sites, reload},
    http::{self, Addresses, Doors, Entrance, Rooms},
    login::{self, gate::Gate, provider::Providers, secret::Secret},
    measured, request,
    shelf::Shelf,
    store::{self, Db},
};

/// How long the start waits for sites to say what they are.
const FIRST_LOOK: std::time::Duration = std::time::Duration::from_secs(5);

/// What `tombolo serve` takes.
#[derive(clap::Args)]
pub struct ServeArgs {
    /// Where clients connect; port 0 takes any free one
    #[arg(long, env = "TOMBOLO_LISTEN", value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
}

pub async fn run(mut config: Config, args: &ServeArgs) -> anyhow::Result<()> {
    if let Some(listen) = args.listen {
        config.listen = listen;
        config.check_listen()?;
    }
    let tls = http::tls_config(&config.tls)?;
    // Before anything that measures itself.
    let figures = measured::collect()?;
    data_dir::prepare(&config.data_dir)?;
    let _ownership = data_dir::Ownership::take(&config.data_dir)?;
    let _database = match config.database_file() {
        Some(file) => Some(data_dir::Ownership::take_database(&file)?),
        None => None,
    };
    let db = data_dir::open_store(&config).await?;
    if config.database_is_local() {
        // The data directory is ours, so no owner of a lease can be alive: what was under way goes on at once.
        db.write(store::replica::forget_all).await?;
    }
    let secret = Secret::load_or_create(&config.key_file())?;
    request::be_broker(secret.broker_id());
    let public_url = Some(config.occi.public_url.as_str()).filter(|url| !url.is_empty());
    let providers = Providers::new(&config.login.provider, public_url, &secret)?;
    let is_open_to_all = !config.listen.ip().is_loopback();
    let has_door = !config.login.provider.is_empty() || login::local_admin::is_not_needed(&db).await?;
    anyhow::ensure!(
        has_door || !is_open_to_all,
        "listen = {}: nobody could sign in, and whoever reaches this address first could try to; configure a \
         [[login.provider]], or give a user a password with `tombolo user password`, or listen on 127.0.0.1",
        config.listen
    );
    let image_dir = config.image_dir();
    let images = Arc::new(tokio::task::spawn_blocking(move || ImageStore::open(&image_dir)).await??);

    // Bound before anything is started, so that a taken port leaves nothing behind.
    let listener = std::net::TcpListener::bind(config.listen).with_context(|| {
        format!("cannot listen on {}; stop what does, or choose another port with --listen", config.listen)
    })?;
    let address = listener.local_addr()?;

    let shutdown = CancellationToken::new();
    let mut embedded_node = None;
    let mut source = config.site_source();
    if source.read()?.is_empty() {
        embedded_node = Some(node::start_embedded(&config, &shutdown).await?);
        source = source.with(SiteDeclaration::local_node("local", &config.node_socket()));
    }
    let sites = first_sites(&source)?;
    tokio::spawn(reload::keep_up(&sites, source, &shutdown)?);
    // A site that is away keeps nobody waiting; it is looked at again soon.
    let present = sites.present();
    let looks = present.iter().map(|site| tokio::time::timeout(FIRST_LOOK, site.look()));
    futures_util::future::join_all(looks).await;
    tracing::debug!(policy = %config.policy().text(), "what sites are given at once");
    let shelf = Shelf::new(images, secret.clone(), &config).ending_with(&shutdown);
    let dispatch = Dispatch::new(&db, sites, shelf, config.policy(), config.trial());
    let dispatching = dispatch.run(&db, &shutdown);
    tokio::spawn(db.event_bell().clone().attend(db.clone(), shutdown.clone()));
    let gate = Gate::with_providers(db.clone(), secret.clone(), providers.clone(), config.login.rules());
    let doors = Doors::new(db.clone(), providers, secret, config.login.clone());
    let broker = Broker::new(db.clone(), dispatch, &config)?;
    tokio::spawn(broker.clone().prepare_market());
    tokio::spawn(measured::keep_up(figures.clone(), shutdown.clone()));
    let scheme = if tls.is_some() { "https" } else { "http" };
    let rooms = Rooms { broker, gate, doors, figures: http::Figures::new(figures, &config.metrics) };
    let entrance = Entrance { listener, addresses: Addresses::new(&config), tls };
    let server = http::server(rooms, entrance, &shutdown)?;
    let handle = server.handle();
    let stop = {
        let shutdown = shutdown.clone();
        async move {
            shutdown.cancelled().await;
            handle.stop(true).await;
        }
    };
    tokio::spawn(cancel_on_signal(shutdown.clone())?);

    println!("listening on {scheme}://{address}/");
    std::io::stdout().flush()?;
    if !has_door {
        let here = format!("{scheme}://{address}");
        offer_link(&db, public_url.unwrap_or(&here), config.login.link_minutes, config.login.link_time()).await?;
    }
    let served = tokio::join!(server, stop).0;
    shutdown.cancel();
    dispatching.await?;
    if let Some(node) = embedded_node {
        node.await??;
    }
    served.context("the HTTP server ended")
}

/// The sites as they are written down. A mistake in tombolo.toml ends the start, as any other mistake there; a wrong
/// file in the directory of sites costs its own site alone.
fn first_sites(source: &SiteSource) -> anyhow::Result<Sites> {
    let sites = Sites::default();
    let exchange = reload::reload(&sites, source)?;
    for refused in &exchange.refused {
        anyhow::ensure!(refused.origin.is_some() && !source.is_main(refused.origin.as_deref()), "{refused}");
    }
    reload::tell(&exchange, false);
    Ok(sites)
}

/// Lets in who sits at the terminal, as long as nobody can sign in otherwise. The link is for their eyes: where the output
/// goes into a file or a log, it is not printed.
async fn offer_link(db: &Db, base: &str, minutes: u32, holds: Duration) -> anyhow::Result<()> {
    let mut terminal = std::io::stdout();
    if !terminal.is_terminal() {
        tracing::info!("nobody can sign in by a browser yet; `tombolo user link` prints a link for the administrator");
        return Ok(());
    }
    let link = login::local_admin::link(db, holds).await?;
    writeln!(terminal, "open {base}/login/link/{} (valid {minutes} minutes, once)", link.reveal())?;
    Ok(terminal.flush()?)
}

/// Cancels the token when the process is asked to end. Machines go on; what is under way is resumed by the next start.
pub fn cancel_on_signal(shutdown: CancellationToken) -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = shutdown.cancelled() => return,
        }
        tracing::info!("ending; machines go on running");
        shutdown.cancel();
    })
}
