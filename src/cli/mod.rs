//! One file per subcommand.

mod backup;
mod catalog;
mod catalog_import;
mod data_dir;
mod database;
mod doctor;
mod events;
mod image;
mod interrupt;
mod invitation;
mod login;
mod mapping;
mod node;
mod occi;
mod orphans;
mod project;
mod quota;
mod registration;
mod saga;
mod serve;
mod site;
mod token;
mod usage;
mod user;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{
    config::{Config, ConfigArgs},
    request::{self, Actor},
};

/// One OCCI endpoint and one catalogue in front of many virtual machine managers.
#[derive(Parser)]
#[command(
    name = "tombolo",
    version,
    max_term_width = 100,
    after_help = "\
A first machine, on one host, in four commands:
  tombolo serve &
  tombolo catalog publish debian.raw --name debian --title 'Debian 12'
  export TOKEN=$(tombolo token create --user ann --project class-3b)
  curl -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: text/plain' http://127.0.0.1:8787/compute/ \\
    --data 'Category: compute; scheme=\"http://schemas.ogf.org/occi/infrastructure#\"; class=\"kind\"'

What can this host do? `tombolo doctor`. Everything lies in the data directory: --data-dir or TOMBOLO_DATA_DIR."
)]
pub struct Cli {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve OCCI, and run machines on this host unless sites are configured
    Serve(serve::ServeArgs),
    /// Run only the node driver of this host, for a broker elsewhere
    Node(node::NodeArgs),
    /// List sites, show how they are configured, and try whether they work
    #[command(subcommand)]
    Site(site::SiteCommand),
    /// Publish and list appliances
    #[command(subcommand)]
    Catalog(catalog::CatalogCommand),
    /// Look at disk images of any format, and convert them
    #[command(subcommand)]
    Image(image::ImageCommand),
    /// Sign in at a server elsewhere, and keep a token for it
    Login(login::LoginArgs),
    /// Give the token for a server back
    Logout(login::LogoutArgs),
    /// Create, list and revoke app tokens
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Show long requests that are under way
    #[command(subcommand)]
    Saga(saga::SagaCommand),
    /// List what has happened, and find out whether the log of it was changed
    #[command(subcommand)]
    Events(events::EventsCommand),
    /// Users: list, create, disable, enable, passwords, one-time links
    #[command(subcommand)]
    User(user::UserCommand),
    /// Projects: create, list, members, grant and revoke roles
    #[command(subcommand)]
    Project(project::ProjectCommand),
    /// Invitations into projects
    #[command(subcommand)]
    Invitation(invitation::InvitationCommand),
    /// People who have asked to be let in
    #[command(subcommand)]
    Registration(registration::RegistrationCommand),
    /// What projects and their members may take
    #[command(subcommand)]
    Quota(quota::QuotaCommand),
    /// The rules that give roles to people of a provider
    #[command(subcommand)]
    Mapping(mapping::MappingCommand),
    /// Show what each project takes at present
    Usage(usage::UsageArgs),
    /// Copy the database into a new file
    Backup(backup::BackupArgs),
    /// Put a copy of the database in its place
    Restore(backup::RestoreArgs),
    /// Move to another database
    #[command(subcommand)]
    Database(database::DatabaseCommand),
    /// What sites have with our tags and nobody owns
    #[command(subcommand)]
    Orphans(orphans::OrphansCommand),
    /// Test an OCCI server, this one or any other
    #[command(subcommand)]
    Occi(occi::OcciCommand),
    /// Say what this host can do, and what is missing
    Doctor(doctor::DoctorArgs),
}

impl Cli {
    /// Does what was asked, and answers the status to end with.
    ///
    /// # Errors
    /// What went wrong, to be printed in one line.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.config.load()?;
        crate::log::start(&config.log);
        // What is written into the event log on the way was done by whoever has started this.
        request::scope_of(Actor::of_command_line(), self.command.run(config)).await
    }
}

impl Command {
    async fn run(self, config: Config) -> anyhow::Result<ExitCode> {
        match self {
            Command::Serve(args) => serve::run(config, &args).await,
            Command::Node(args) => node::run(&config, &args).await,
            Command::Site(command) => return site::run(&config, command).await,
            Command::Catalog(command) => catalog::run(&config, command).await,
            Command::Image(command) => return image::run(command).await,
            Command::Login(args) => login::login(args).await,
            Command::Logout(args) => login::logout(args).await,
            Command::Token(command) => token::run(&config, command).await,
            Command::Saga(command) => saga::run(&config, command).await,
            Command::Database(command) => database::run(&config, command).await,
            Command::Orphans(command) => orphans::run(&config, command).await,
            Command::Events(command) => return events::run(&config, command).await,
            Command::User(command) => user::run(&config, command).await,
            Command::Project(command) => project::run(&config, command).await,
            Command::Invitation(command) => invitation::run(&config, command).await,
            Command::Registration(command) => registration::run(&config, command).await,
            Command::Quota(command) => quota::run(&config, command).await,
            Command::Mapping(command) => mapping::run(&config, command).await,
            Command::Usage(args) => usage::run(&config, &args).await,
            Command::Backup(args) => return backup::backup(&config, &args).await,
            Command::Restore(args) => return backup::restore(&config, &args).await,
            Command::Occi(command) => occi::run(command).await,
            Command::Doctor(args) => doctor::run(&config, &args).await,
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints a value as JSON, for scripts.
fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}
