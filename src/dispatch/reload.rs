//! Takes over what is written down about sites while the server runs.
//!
//! The files are read again every few seconds, and at once on SIGHUP. That they are read, and not only looked at, is
//! what finds a changed secret in a file of its own, wherever links lead, on every file system; they are small. Each
//! replica does this for itself.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::site::{Exchange, Sites};
use crate::config::{ConfigError, DeclaredSites, SiteSource};

/// How often the files are read.
const ROUND: Duration = Duration::from_secs(2);

/// Reloads sites until the token is cancelled.
///
/// # Errors
/// This process cannot hear signals.
pub fn keep_up(
    sites: &Sites,
    source: SiteSource,
    shutdown: &CancellationToken,
) -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut hangup = signal(SignalKind::hangup())?;
    let (sites, shutdown) = (sites.clone(), shutdown.clone());
    Ok(async move {
        let mut trouble: Option<String> = None;
        loop {
            let was_asked = tokio::select! {
                () = shutdown.cancelled() => return,
                heard = hangup.recv() => heard.is_some(),
                () = tokio::time::sleep(ROUND) => false,
            };
            let (sites, source) = (sites.clone(), source.clone());
            let reloaded = tokio::task::spawn_blocking(move || reload(&sites, &source)).await;
            let now = match reloaded {
                Ok(Ok(exchange)) => {
                    tell(&exchange, was_asked);
                    None
                }
                Ok(Err(error)) => Some(error.to_string()),
                Err(error) => Some(error.to_string()),
            };
            if let Some(reason) = now.as_ref().filter(|now| was_asked || trouble.as_ref() != Some(*now)) {
                tracing::error!(%reason, "sites stay as they are: what is written down cannot be read");
            }
            trouble = now;
        }
    })
}

/// Lets the sites be what is written down now. Adapters read their certificates, so this may block.
///
/// # Errors
/// What is written down cannot be read; nothing has changed then.
pub fn reload(sites: &Sites, source: &SiteSource) -> Result<Exchange, ConfigError> {
    let declared = source.read()?;
    if let Some(reason) = declared.unreadable {
        // Nobody knows which sites are gone.
        return Err(ConfigError::Unusable(reason));
    }
    let DeclaredSites { sites: written, refused, .. } = declared;
    let resolved = written.iter().map(|site| site.resolve());
    Ok(sites.exchange(resolved.chain(refused.into_iter().map(Err)).collect()))
}

/// What has changed, for who looks after the server.
pub fn tell(exchange: &Exchange, was_asked: bool) {
    let Exchange { added, changed, removed, refused } = exchange;
    for refused in refused {
        tracing::error!("{refused}; correct it, it is read again in a moment");
    }
    let nothing = added.is_empty() && changed.is_empty() && removed.is_empty();
    if !nothing || was_asked {
        tracing::info!(?added, ?changed, ?removed, "sites are reloaded");
    }
    for site in removed {
        tracing::warn!(%site, "the site is not configured any more; what is there stays, and nobody looks after it");
    }
}
