use clap::Subcommand;

use super::data_dir;
use crate::{config::Config, store};

/// What `tombolo database` can do.
#[derive(Subcommand)]
pub enum DatabaseCommand {
    /// Copy everything from this server's SQLite file into an empty PostgreSQL database
    Copy {
        /// The empty database: postgres://user:password@host/name
        #[arg(long, env = "TOMBOLO_COPY_TO", hide_env_values = true)]
        to: String,
    },
}

pub async fn run(config: &Config, command: DatabaseCommand) -> anyhow::Result<()> {
    let DatabaseCommand::Copy { to } = command;
    data_dir::prepare(&config.data_dir)?;
    // A server that goes on would write what is not copied any more.
    let _ownership = data_dir::Ownership::take(&config.data_dir)?;
    let from = config.database_address();
    let copied = tokio::task::spawn_blocking(move || store::copy::to_postgres(&from, &to)).await??;
    for (table, rows) in copied {
        println!("{rows:>10}  {table}");
    }
    Ok(())
}
