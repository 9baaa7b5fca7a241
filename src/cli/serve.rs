use std::{io::Write, net::SocketAddr, sync::Arc};

use anyhow::{Context, anyhow};
use image_store::ImageStore;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{data_dir, node};
use crate::{
    broker::Broker,
    config::{AdapterConfig, Config, SiteConfig},
    dispatch::{Dispatch, Sites},
    http,
    login::{gate::Gate, secret::Secret},
    measured, store,
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
        anyhow::ensure!(
            listen.ip().is_loopback(),
            "--listen {listen}: only loopback addresses; put a TLS proxy in front"
        );
        config.listen = listen;
    }
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
    let image_dir = config.image_dir();
    let images = Arc::new(tokio::task::spawn_blocking(move || ImageStore::open(&image_dir)).await??);

    // Bound before anything is started, so that a taken port leaves nothing behind.
    let listener = std::net::TcpListener::bind(config.listen).with_context(|| {
        format!("cannot listen on {}; stop what does, or choose another port with --listen", config.listen)
    })?;
    let address = listener.local_addr()?;

    let shutdown = CancellationToken::new();
    let mut embedded_node = None;
    if config.site.is_empty() {
        embedded_node = Some(node::start_embedded(&config, &shutdown).await?);
        let adapter = AdapterConfig::NodeSocket { socket: config.node_socket() };
        config.site.push(SiteConfig { name: "local".into(), adapter, sighting_seconds: None });
    }
    let sites = Sites::connect(&config.site).map_err(|reason| anyhow!(reason))?;
    // A site that is away keeps nobody waiting; it is looked at again soon.
    let looks = sites.iter().map(|site| tokio::time::timeout(FIRST_LOOK, site.look()));
    futures_util::future::join_all(looks).await;
    tracing::debug!(policy = %config.policy().text(), "what sites are given at once");
    let dispatch = Dispatch::new(&db, sites, &images, config.policy(), config.trial());
    let dispatching = dispatch.run(&db, &shutdown);
    tokio::spawn(db.event_bell().clone().attend(db.clone(), shutdown.clone()));
    let secret = Secret::load_or_create(&config.data_dir.join("login.key"))?;
    let gate = Gate::new(db.clone(), secret);
    let broker = Broker::new(db, dispatch, &config)?;
    tokio::spawn(measured::keep_up(figures.clone(), shutdown.clone()));
    let server = http::server(broker, gate, listener, http::Figures::new(figures, &config.metrics), &shutdown)?;
    let handle = server.handle();
    let stop = {
        let shutdown = shutdown.clone();
        async move {
            shutdown.cancelled().await;
            handle.stop(true).await;
        }
    };
    tokio::spawn(cancel_on_signal(shutdown.clone())?);

    println!("listening on http://{address}/");
    std::io::stdout().flush()?;
    let served = tokio::join!(server, stop).0;
    shutdown.cancel();
    dispatching.await?;
    if let Some(node) = embedded_node {
        node.await??;
    }
    served.context("the HTTP server ended")
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
