use std::{
    io::{BufRead, IsTerminal, Write},
    process::{Command, Stdio},
};

use anyhow::{Context, anyhow, bail, ensure};
use clap::Subcommand;
use serde_json::json;

use super::{data_dir, print_json};
use crate::{
    config::Config,
    login::{local_admin, operator, password::Password},
    store::{
        Db,
        member::Standing,
        user::{self, User},
    },
};

/// A password is not longer, in bytes.
const LONGEST_PASSWORD: u64 = 4096;

/// What `tombolo user` can do.
#[derive(Subcommand)]
pub enum UserCommand {
    /// List all users
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a user who signs in without a provider
    Create {
        /// By which they are addressed
        name: String,
    },
    /// Shut a user out: their sessions end, and their tokens open nothing
    Disable {
        /// Their name
        name: String,
    },
    /// Let a user in again; sessions stay ended, tokens work again
    Enable {
        /// Their name
        name: String,
    },
    /// Give a user a password, read from the terminal or from standard input
    Password {
        /// Their name
        name: String,
        /// Take the password away instead
        #[arg(long)]
        remove: bool,
    },
    /// Print a link that lets a user in once
    Link {
        /// Their name; the local administrator when not given
        #[arg(long)]
        user: Option<String>,
    },
}

pub async fn run(config: &Config, command: UserCommand) -> anyhow::Result<()> {
    let db = data_dir::open_store(config).await?;
    match command {
        UserCommand::List { json } => list(&db, json).await?,
        UserCommand::Create { name } => {
            let user = operator::create_local(&db, &name).await?;
            println!("{}", user.0);
        }
        UserCommand::Disable { name } => set_standing(&db, &name, Standing::Disabled).await?,
        UserCommand::Enable { name } => set_standing(&db, &name, Standing::Active).await?,
        UserCommand::Password { name, remove } => {
            let user = find(&db, &name).await?;
            let hash = match remove {
                true => None,
                false => Some(Password::chosen(read_password()?)?.hash().await?),
            };
            operator::set_password(&db, user.id, hash).await?;
        }
        UserCommand::Link { user } => {
            let link = match user {
                Some(name) => {
                    let user = find(&db, &name).await?;
                    ensure!(user.standing != Standing::Disabled, "{name} was shut out; `tombolo user enable` first");
                    local_admin::link_for(&db, user.id, config.login.link_time()).await?
                }
                None => local_admin::link(&db, config.login.link_time()).await?,
            };
            let public = &config.occi.public_url;
            let base = if public.is_empty() { format!("http://{}", config.listen) } else { public.clone() };
            println!("{base}/login/link/{}", link.reveal());
            eprintln!("valid for {} minutes, once", config.login.link_minutes);
        }
    }
    Ok(())
}

/// The user of this name.
pub async fn find(db: &Db, name: &str) -> anyhow::Result<User> {
    let wanted = name.to_owned();
    let found = db.read(move |connection| user::find_by_name(connection, &wanted)).await?;
    found.ok_or_else(|| anyhow!("there is no user {name:?}; `tombolo user list` shows all"))
}

async fn list(db: &Db, json: bool) -> anyhow::Result<()> {
    let users = db.read(user::list).await?;
    if json {
        let shown: Vec<_> = users.iter().map(|user| json!(user)).collect();
        return print_json(&shown);
    }
    for User { name, standing, display_name, email, .. } in users {
        let called = display_name.map(|name| format!("  {name}")).unwrap_or_default();
        let mail = email.map(|mail| format!("  <{mail}>")).unwrap_or_default();
        println!("{name}  {}{called}{mail}", standing.as_str());
    }
    Ok(())
}

async fn set_standing(db: &Db, name: &str, standing: Standing) -> anyhow::Result<()> {
    let user = find(db, name).await?;
    ensure!(operator::set_standing(db, user.id, standing).await?, "{name} is {} already", standing.as_str());
    Ok(())
}

/// Reads a line; from a terminal, twice and without showing it.
fn read_password() -> anyhow::Result<String> {
    if !std::io::stdin().is_terminal() {
        return read_line();
    }
    let _hidden = Hidden::begin()?;
    let ask = |what: &str| {
        eprint!("{what}: ");
        std::io::stderr().flush()?;
        let line = read_line();
        eprintln!();
        line
    };
    let (first, second) = (ask("New password")?, ask("Once more")?);
    if first != second {
        bail!("these are two different passwords; try again");
    }
    Ok(first)
}

fn read_line() -> anyhow::Result<String> {
    let mut line = String::new();
    let mut input = std::io::Read::take(std::io::stdin().lock(), LONGEST_PASSWORD);
    input.read_line(&mut line).context("the password cannot be read")?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// As long as it lives, the terminal does not show what is typed.
struct Hidden;

impl Hidden {
    fn begin() -> anyhow::Result<Self> {
        ensure!(stty("-echo"), "the terminal goes on showing what is typed; give the password on standard input");
        Ok(Self)
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        stty("echo");
    }
}

fn stty(argument: &str) -> bool {
    let run = Command::new("stty").arg(argument).stdin(Stdio::inherit()).status();
    run.is_ok_and(|status| status.success())
}
