use std::{
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use anyhow::{Context, bail};
use clap::Subcommand;
use disk_image::{Cancellable, DiskView};
use image_store::{ImageStore, StoredImage};
use marketplace::{
    Appliance, ApplianceDraft, ApplianceName, ApplianceVersion, Architecture, PublicationTime, Requirements,
    VersionDraft,
};

use super::{
    catalog_import::{ImportArgs, import as import_from_marketplace},
    data_dir,
    image::{
        progress,
        source::{SourceArgs, warn},
    },
    interrupt, print_json,
};
use crate::{
    config::Config,
    store::{self, Db, Timestamp},
};

const MIB: u64 = 1 << 20;

/// What `tombolo catalog` can do.
#[derive(Subcommand)]
pub enum CatalogCommand {
    /// Publish a disk image as an appliance, or as a new version of one
    #[command(after_help = "\
The image is stored once, by the digest of what a guest sees, whatever format it came in. From then on clients find \
the appliance in the query interface as a mixin below os_tpl, and new machines get its newest version.")]
    Publish(PublishArgs),
    /// Import an appliance from a marketplace in OpenNebula's format, or list what it has
    #[command(after_help = "\
Nothing is fetched from this host or from private networks unless --allow-private or [marketplace] import_from says so. \
What comes must have the checksum that the marketplace tells, and no larger disk than it says.")]
    Import(ImportArgs),
    /// List what is offered
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Take an appliance, or one version of it, out of the offer; its machines go on
    Withdraw {
        /// The appliance
        name: String,
        /// Only this version
        #[arg(long)]
        label: Option<String>,
    },
}

/// What `tombolo catalog publish` takes.
#[derive(clap::Args)]
pub struct PublishArgs {
    /// The disk image: raw or qcow2
    file: PathBuf,
    /// Short name, a-z 0-9 - _, which becomes the template's term
    #[arg(long)]
    name: String,
    /// Title for people, without commas
    #[arg(long)]
    title: String,
    /// More words for people
    #[arg(long, default_value = "")]
    description: String,
    /// Who stands for it
    #[arg(long, default_value = "local")]
    publisher: String,
    /// The version's label; the publication time when not given
    #[arg(long)]
    label: Option<String>,
    #[command(flatten)]
    source: SourceArgs,
    /// Least memory of a machine, in MiB
    #[arg(long, default_value_t = 64)]
    memory: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(config: &Config, command: CatalogCommand) -> anyhow::Result<()> {
    match command {
        CatalogCommand::Publish(args) => publish(config, args).await,
        CatalogCommand::Import(args) => import_from_marketplace(config, args).await,
        CatalogCommand::List { json } => list(config, json).await,
        CatalogCommand::Withdraw { name, label } => withdraw(config, name, label).await,
    }
}

async fn publish(config: &Config, args: PublishArgs) -> anyhow::Result<()> {
    // Checked before the long work: a typing error must not cost minutes.
    let appliance = Appliance::try_from(ApplianceDraft {
        name: args.name.clone(),
        title: args.title,
        description: args.description,
        publisher: args.publisher,
    })
    .with_context(|| format!("cannot publish {:?}", args.name))?;
    let label = args.label.unwrap_or_else(|| Timestamp::now().to_string().replace(':', ""));
    let db = data_dir::open_store(config).await?;
    let image_dir = config.image_dir();
    let (file, source) = (args.file.clone(), args.source);
    let cancelled = interrupt::flag()?;
    let stored = tokio::task::spawn_blocking(move || import(&image_dir, &file, &source, &cancelled))
        .await?
        .with_context(|| format!("cannot publish {}", args.file.display()))?;
    let publication = Publication { label, architecture: Architecture::X86_64, memory_mib: args.memory };
    publish_stored(&db, &appliance, &publication, &stored).await?;
    report(&appliance, &publication, &stored, args.json)
}

/// What is said of a version besides its image.
pub struct Publication {
    pub label: String,
    pub architecture: Architecture,
    pub memory_mib: u64,
}

/// Offers a stored image to everybody, as a version of the appliance.
pub async fn publish_stored(
    db: &Db,
    appliance: &Appliance,
    publication: &Publication,
    stored: &StoredImage,
) -> anyhow::Result<()> {
    let Publication { label, architecture, memory_mib } = publication;
    let version = ApplianceVersion::try_from(VersionDraft {
        label: label.clone(),
        image: stored.digest,
        image_bytes: stored.size,
        requirements: Requirements {
            architecture: *architecture,
            cores: 1,
            memory_mib: *memory_mib,
            disk_bytes: stored.size,
        },
        published_at: PublicationTime(Timestamp::now().0),
        withdrawn: false,
    })?;
    let published = appliance.clone();
    let published = db.write(move |connection| store::appliance::publish(connection, &published, &version)).await;
    match published {
        Err(error) if error.is_duplicate() => {
            bail!("{} has a version {label} already; choose another --label", appliance.name());
        }
        published => Ok(published?),
    }
}

/// Says what was published.
pub fn report(
    appliance: &Appliance,
    publication: &Publication,
    stored: &StoredImage,
    json: bool,
) -> anyhow::Result<()> {
    let (name, label) = (appliance.name(), &publication.label);
    if json {
        return print_json(&serde_json::json!({
            "name": name, "label": label, "image": stored.digest, "bytes": stored.size,
            "stored_bytes": stored.stored_bytes,
        }));
    }
    let (disk, kept) = (stored.size.div_ceil(MIB), stored.stored_bytes.div_ceil(MIB));
    println!("published {name} {label}: a disk of {disk} MiB, {kept} MiB stored, image {}", stored.digest);
    Ok(())
}

fn import(image_dir: &Path, file: &Path, source: &SourceArgs, cancelled: &AtomicBool) -> anyhow::Result<StoredImage> {
    let opened = source.open(file)?;
    warn(file, opened.as_ref());
    let view = Cancellable::new(opened.as_ref(), cancelled);
    let store = ImageStore::open(image_dir)?;
    let bar = progress::bar("storing", view.size())?;
    let stored = store.import(&view, &|done, _| bar.set_position(done))?;
    bar.finish_and_clear();
    Ok(stored)
}

async fn list(config: &Config, json: bool) -> anyhow::Result<()> {
    let db = data_dir::open_store(config).await?;
    let offered = db.read(|connection| store::appliance::offered(connection, None)).await?;
    if json {
        let shown: Vec<_> = offered
            .iter()
            .map(|offered| {
                serde_json::json!({
                    "name": offered.appliance.name(), "title": offered.appliance.title(),
                    "publisher": offered.appliance.publisher(), "label": offered.version.label(),
                    "image": offered.version.image(), "bytes": offered.version.image_bytes(),
                    "published_at": Timestamp(offered.version.published_at().0).to_string(),
                })
            })
            .collect();
        return print_json(&shown);
    }
    for offered in offered {
        let size = offered.version.image_bytes().div_ceil(MIB);
        println!(
            "{}  {}  {}  {size} MiB",
            offered.appliance.name(),
            offered.version.label(),
            offered.appliance.title()
        );
    }
    Ok(())
}

async fn withdraw(config: &Config, name: String, label: Option<String>) -> anyhow::Result<()> {
    let name: ApplianceName = name.try_into()?;
    let db = data_dir::open_store(config).await?;
    let shown = name.clone();
    let count = db.write(move |connection| store::appliance::withdraw(connection, &name, label.as_deref())).await?;
    anyhow::ensure!(count > 0, "nothing of {shown} is offered; `tombolo catalog list` shows what is");
    Ok(())
}
