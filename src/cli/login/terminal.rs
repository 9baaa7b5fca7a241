//! By a code that is shown here and entered in a browser anywhere (RFC 8628).

use std::time::Duration;

use anyhow::{bail, ensure};
use serde::Deserialize;
use url::Url;

use super::{
    browser, printable,
    server::{Granted, Server},
};
use crate::{config, login::Rights};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// Nobody waits longer, whatever the server says.
const LONGEST_WAIT: u64 = 30 * 60;
/// Seconds between two questions, whatever the server says.
const INTERVALS: std::ops::RangeInclusive<u64> = 1..=120;

#[derive(Deserialize)]
struct Opening {
    device_code: String,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expires_in: u64,
    #[serde(default = "usual")]
    interval: u64,
}

fn usual() -> u64 {
    5
}

/// A terminal that waits.
pub struct Terminal {
    /// What the person enters.
    pub code: String,
    /// Where they enter it.
    pub page: Url,
    /// The same page with the code in it.
    pub whole: Option<Url>,
    client: String,
    opening: Opening,
}

/// Waits until somebody has let this terminal in.
pub async fn ask(server: &Server, rights: Rights, opens_browser: bool) -> anyhow::Result<Granted> {
    let terminal = begin(server, rights).await?;
    eprintln!("Open   {}\nEnter  {}", terminal.page, terminal.code);
    if let Some(whole) = &terminal.whole {
        let is_open = opens_browser && browser::open(whole.as_str());
        eprintln!("{}  {whole}", if is_open { "Opened" } else { "Or all at once:" });
    }
    eprintln!("Waiting until somebody lets this terminal in …");
    terminal.wait(server).await
}

/// Begins to wait.
pub async fn begin(server: &Server, rights: Rights) -> anyhow::Result<Terminal> {
    let (client, scope) = (format!("tombolo on {}", config::computer()), rights.to_string());
    let opening: Opening = server.begin(&[("client_id", &client), ("scope", &scope)]).await?;
    let page = server.own(&opening.verification_uri)?;
    let whole = opening.verification_uri_complete.as_deref().map(|page| server.own(page)).transpose()?;
    let code = printable(&opening.user_code, 40);
    ensure!(!code.is_empty() && opening.device_code.len() <= 4096, "{} gives an odd code", server.url);
    Ok(Terminal { code, page, whole, client, opening })
}

impl Terminal {
    /// Asks until there is an answer.
    pub async fn wait(self, server: &Server) -> anyhow::Result<Granted> {
        let longest = Duration::from_secs(self.opening.expires_in.clamp(1, LONGEST_WAIT) + 60);
        match tokio::time::timeout(longest, poll(server, &self.client, &self.opening)).await {
            Ok(granted) => granted,
            Err(_) => bail!("nobody has let this terminal in in time; begin anew"),
        }
    }
}

async fn poll(server: &Server, client: &str, opening: &Opening) -> anyhow::Result<Granted> {
    let mut interval = opening.interval.clamp(*INTERVALS.start(), *INTERVALS.end());
    let fields = [("grant_type", GRANT), ("device_code", &opening.device_code), ("client_id", client)];
    loop {
        tokio::time::sleep(Duration::from_secs(interval)).await;
        let slower = |interval: u64| (interval + 5).min(*INTERVALS.end());
        match server.token(&fields).await {
            Ok(Ok(granted)) => return Ok(granted),
            Ok(Err(no)) => match no.error.as_str() {
                "authorization_pending" => {}
                "slow_down" => interval = slower(interval),
                "access_denied" => bail!("you, or somebody else, has refused: {}", no.description),
                "expired_token" => bail!("nobody has let this terminal in in time; begin anew"),
                error => bail!("{} gives no token: {error} ({})", server.url, no.description),
            },
            // It may be back in a moment (RFC 8628 section 3.5).
            Err(error) => {
                eprintln!("{error:#}; asking again");
                interval = slower(interval);
            }
        }
    }
}
