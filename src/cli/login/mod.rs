//! `tombolo login`: a token of one's own for a server elsewhere, through a browser.

mod browser;
mod loopback;
mod server;
mod terminal;
mod wallet;

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand};

use self::{
    server::{Granted, Server},
    wallet::{Login, Wallet},
};
use crate::{config, login::Rights, store::Timestamp};

/// What `tombolo login` takes.
#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
The token is kept in the user's configuration directory, readable by them alone:
  tombolo login https://cloud.school.example
  curl -H \"Authorization: Bearer $(tombolo login token https://cloud.school.example)\" \\
    https://cloud.school.example/compute/"
)]
pub struct LoginArgs {
    #[command(subcommand)]
    command: Option<LoginCommand>,
    /// The server, as `https://cloud.school.example`
    #[arg(required = true)]
    url: Option<String>,
    /// Show a code to be entered in a browser anywhere, instead of opening one here
    #[arg(long)]
    device: bool,
    /// Only say which page is to be opened
    #[arg(long)]
    no_browser: bool,
    /// What the token is to be for: read, operate, manage
    #[arg(long, value_name = "RIGHTS", default_value = "read,operate")]
    rights: Rights,
}

#[derive(Subcommand)]
enum LoginCommand {
    /// List where there is a token for, without the tokens
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the token for a server, for scripts
    Token {
        /// The server; the only one when there is one
        url: Option<String>,
    },
}

/// What `tombolo logout` takes.
#[derive(Args)]
pub struct LogoutArgs {
    /// The server; the only one when there is one
    url: Option<String>,
}

/// Gets a token, lists them, or prints one.
pub async fn login(args: LoginArgs) -> anyhow::Result<()> {
    let wallet = Wallet::of_user()?;
    match args.command {
        Some(LoginCommand::List { json }) => return list(&wallet, json),
        Some(LoginCommand::Token { url }) => {
            let login = wallet.the_one(url.as_deref())?;
            let is_over = login.expires_at.is_some_and(|end| Timestamp::now().0 >= end.saturating_mul(1_000_000));
            ensure!(!is_over, "the token for {} has ended; run `tombolo login {}`", login.url, login.url);
            println!("{}", login.token);
            return Ok(());
        }
        None => {}
    }
    let url = args.url.context("which server? as https://cloud.school.example")?;
    let server = Server::find(&url).await?;
    let by_loopback = !args.device && config::has_screen() && (args.no_browser || browser::is_there());
    let granted = if by_loopback {
        loopback::ask(&server, args.rights, !args.no_browser).await?
    } else {
        let opens = !args.no_browser && config::has_screen() && browser::is_there();
        terminal::ask(&server, args.rights, opens).await?
    };
    let ends = Timestamp::now().plus(Duration::from_secs(granted.expires_in));
    let Granted { token, user, project, rights, .. } = granted;
    let login = Login { url: server.url.clone(), token, user, project, rights, expires_at: Some(ends.0 / 1_000_000) };
    let (user, project, rights) = (login.user.clone(), login.project.clone(), login.rights.clone());
    if let Some(former) = wallet.keep(login)? {
        // It would lie about until it ends. Whether the server takes it back is not what was asked for.
        let _ = server.give_back(&former.token).await;
    }
    eprintln!("signed in at {} as {user}: {rights} in the project {project}, until {ends}", server.url);
    Ok(())
}

fn list(wallet: &Wallet, json: bool) -> anyhow::Result<()> {
    let logins = wallet.all()?;
    if json {
        let shown = |login: &Login| {
            let end = login.expires_at.map(|end| Timestamp(end.saturating_mul(1_000_000)).to_string());
            serde_json::json!({
                "url": login.url, "user": login.user, "project": login.project, "rights": login.rights,
                "expires_at": end,
            })
        };
        return super::print_json(&logins.iter().map(shown).collect::<Vec<_>>());
    }
    for login in logins {
        let end = login.expires_at.map(|end| Timestamp(end.saturating_mul(1_000_000)).to_string());
        let end = end.unwrap_or_else(|| "?".into());
        println!("{}  {}  {}  {}  until {end}", login.url, login.user, login.project, login.rights);
    }
    Ok(())
}

/// Gives the token back, and forgets it.
pub async fn logout(args: LogoutArgs) -> anyhow::Result<()> {
    let wallet = Wallet::of_user()?;
    let login = wallet.the_one(args.url.as_deref())?;
    let told = match Server::find(&login.url).await {
        Ok(server) => server.give_back(&login.token).await,
        Err(error) => Err(error),
    };
    wallet.forget(&login.url)?;
    if let Err(error) = told {
        bail!(
            "the token for {} is forgotten here, but the server could not be told ({error:#}); revoke it on your \
             account page",
            login.url
        );
    }
    eprintln!("signed out at {}", login.url);
    Ok(())
}

/// Somebody else's words, for a terminal: nothing that would move its cursor or turn the direction of writing.
fn printable(text: &str, most: usize) -> String {
    let is_odd = |c: &char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().filter(|c| !is_odd(c)).take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn nothing_moves_the_cursor() {
        assert_eq!(printable("a\u{1b}[2Jb\r\n\u{202e}c\u{9b}d", 100), "a[2Jbcd");
        assert_eq!(printable("abc", 2), "ab");
    }
}
