use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Context, anyhow, bail, ensure};
use disk_image::{Cancellable, DiskView, ImageReader, Opening};
use image_store::{ImageStore, StoredImage};
use marketplace::{
    Appliance,
    opennebula::{FileChecksum, ForeignAppliance, ForeignListing},
};
use md5::Md5;
use sha2::{Digest, Sha256};
use url::Url;

use super::{
    catalog::{Publication, publish_stored, report},
    data_dir,
    image::progress,
    interrupt, print_json,
};
use crate::{
    config::Config,
    download::{Downloader, Reach},
    store::Timestamp,
};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// What `tombolo catalog import` takes.
#[derive(clap::Args)]
pub struct ImportArgs {
    /// A marketplace as OpenNebula subscribes to, like <https://marketplace.opennebula.io>
    #[arg(value_name = "MARKETPLACE")]
    url: Url,
    /// The appliance's name or id there
    #[arg(required_unless_present = "list", conflicts_with = "list")]
    appliance: Option<String>,
    /// List what the marketplace has
    #[arg(long)]
    list: bool,
    /// Its name here, a-z 0-9 - _; made of its name there when not given
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,
    /// The version's label; the time of the import when not given
    #[arg(long)]
    label: Option<String>,
    /// Least memory of a machine, in MiB
    #[arg(long, default_value_t = 64)]
    memory: u64,
    /// The most that is fetched, and the largest disk that is taken, in GiB
    #[arg(long, value_name = "GIB", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=2048))]
    largest: u64,
    /// Fetch from this host and from private networks too
    #[arg(long)]
    allow_private: bool,
    /// Take an appliance of which the marketplace tells no checksum
    #[arg(long)]
    unverified: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn import(config: &Config, args: ImportArgs) -> anyhow::Result<()> {
    let reach = Reach { private: args.allow_private, networks: config.marketplace.import_from.clone() };
    let downloader = Downloader::new(reach).map_err(|reason| anyhow!(reason))?;
    let listing = read_listing(&downloader, &args.url).await?;
    let Some(wanted) = &args.appliance else { return show(&listing, args.json) };
    let found = listing.find(wanted).map_err(|reason| anyhow!(reason))?;
    let name = match &args.name {
        Some(name) => name.clone(),
        None => found.suggested_name().map(String::from).context("no name for it can be made of its own; say --as")?,
    };
    let appliance =
        Appliance::try_from(found.draft(&name)).with_context(|| format!("cannot import {:?}", found.name))?;
    ensure!(
        args.unverified || found.file.checksum.is_some(),
        "the marketplace tells no checksum of {:?}: nobody could notice what happens to it on the way; say --unverified \
         if it is to be taken all the same",
        found.name
    );
    let db = data_dir::open_store(config).await?;
    let cancelled = interrupt::flag()?;
    let file = fetch(&downloader, &config.data_dir, found, args.largest * GIB, &cancelled)
        .await
        .with_context(|| format!("cannot import {:?}", found.name))?;
    let (image_dir, scratch, claimed) = (config.image_dir(), config.data_dir.clone(), found.file.size);
    let most = args.largest * GIB;
    let stored = tokio::task::spawn_blocking(move || store(&image_dir, &scratch, file, claimed, most, &cancelled))
        .await?
        .with_context(|| format!("cannot import {:?}", found.name))?;
    let label = args.label.unwrap_or_else(|| Timestamp::now().to_string().replace(':', ""));
    let publication = Publication { label, architecture: found.architecture, memory_mib: args.memory };
    publish_stored(&db, &appliance, &publication, &stored).await?;
    report(&appliance, &publication, &stored, args.json)
}

async fn read_listing(downloader: &Downloader, market: &Url) -> anyhow::Result<ForeignListing> {
    let mut url = market.clone();
    let path = market.path().trim_end_matches('/');
    url.set_path(&if path.ends_with("/appliance") { path.to_owned() } else { format!("{path}/appliance") });
    let mut text = Vec::new();
    let keep = |chunk: &[u8]| {
        text.extend_from_slice(chunk);
        Ok(())
    };
    let longest = u64::try_from(ForeignListing::LONGEST)?;
    downloader.fetch(&url, "application/json", longest, keep).await.context("cannot read the marketplace")?;
    Ok(ForeignListing::read(&text)?)
}

fn show(listing: &ForeignListing, json: bool) -> anyhow::Result<()> {
    if json {
        let entry = |appliance: &ForeignAppliance| {
            serde_json::json!({
                "id": appliance.id, "name": appliance.name, "version": appliance.version,
                "publisher": appliance.publisher, "architecture": appliance.architecture,
                "bytes": appliance.file.size, "has_checksum": appliance.file.checksum.is_some(),
            })
        };
        let appliances: Vec<_> = listing.appliances.iter().map(entry).collect();
        return print_json(&appliances);
    }
    for appliance in &listing.appliances {
        let size = appliance.file.size.map_or_else(|| "?".into(), |size| size.div_ceil(MIB).to_string());
        println!("{}  {}  {size} MiB  {}", appliance.name, appliance.version, appliance.publisher);
    }
    for (name, reason) in &listing.unusable {
        eprintln!("tombolo: {name:?} cannot be imported: {reason}");
    }
    Ok(())
}

/// What the bytes add up to, as the marketplace has said it.
enum Sum {
    Sha256(Sha256, String),
    Md5(Md5, String),
    Unknown,
}

impl Sum {
    fn of(checksum: Option<&FileChecksum>) -> Self {
        match checksum {
            Some(FileChecksum::Sha256(said)) => Self::Sha256(Sha256::new(), said.clone()),
            Some(FileChecksum::Md5(said)) => Self::Md5(Md5::new(), said.clone()),
            None => Self::Unknown,
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(sum, _) => sum.update(bytes),
            Self::Md5(sum, _) => sum.update(bytes),
            Self::Unknown => {}
        }
    }

    fn check(self) -> anyhow::Result<()> {
        let hexadecimal = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let (kind, found, said) = match self {
            Self::Sha256(sum, said) => ("SHA-256", hexadecimal(&sum.finalize()), said),
            Self::Md5(sum, said) => ("MD5", hexadecimal(&sum.finalize()), said),
            Self::Unknown => return Ok(()),
        };
        ensure!(found == said, "its {kind} is {found}, and the marketplace says {said}: it was changed on the way");
        Ok(())
    }
}

/// The appliance's file, without a name, and just as its marketplace says.
async fn fetch(
    downloader: &Downloader,
    directory: &Path,
    appliance: &ForeignAppliance,
    most: u64,
    cancelled: &AtomicBool,
) -> anyhow::Result<File> {
    // No format makes a disk much longer than it is.
    let claimed = appliance.file.size.map_or(most, |size| size.saturating_add(size / 8).saturating_add(64 * MIB));
    let mut file = nameless(directory)?;
    let mut sum = Sum::of(appliance.file.checksum.as_ref());
    let bar = progress::bar("fetching", claimed.min(most))?;
    let keep = |chunk: &[u8]| {
        if cancelled.load(Ordering::Relaxed) {
            return Err(io::Error::new(io::ErrorKind::Interrupted, "interrupted"));
        }
        sum.add(chunk);
        file.write_all(chunk)?;
        bar.inc(chunk.len() as u64);
        Ok(())
    };
    downloader.fetch(&appliance.file.url, "*/*", claimed.min(most), keep).await?;
    bar.finish_and_clear();
    sum.check()?;
    Ok(file)
}

/// A file that is gone with this process, whatever happens to it.
fn nameless(directory: &Path) -> anyhow::Result<File> {
    let path = directory.join(format!("download-{}", uuid::Uuid::now_v7().simple()));
    let made = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
    let file = made.with_context(|| format!("cannot make {}", path.display()))?;
    fs::remove_file(&path)?;
    Ok(file)
}

fn store(
    image_dir: &Path,
    scratch: &Path,
    file: File,
    claimed: Option<u64>,
    most: u64,
    cancelled: &AtomicBool,
) -> anyhow::Result<StoredImage> {
    let goes_on = |_, _| !cancelled.load(Ordering::Relaxed);
    let opened = Opening::new().unpacked_in(scratch, most).watched(&goes_on).open_file(file)?;
    for warning in opened.warnings() {
        eprintln!("tombolo: {warning}");
    }
    check_size(opened.as_ref(), claimed, most)?;
    let view = Cancellable::new(opened.as_ref(), cancelled);
    let store = ImageStore::open(image_dir)?.largest_image(most);
    let bar = progress::bar("storing", view.size())?;
    let stored = store.import(&view, &|done, _| bar.set_position(done))?;
    bar.finish_and_clear();
    Ok(stored)
}

/// A small file may say that it is a huge disk.
fn check_size(opened: &dyn ImageReader, claimed: Option<u64>, most: u64) -> anyhow::Result<()> {
    let size = opened.size();
    if size > most {
        bail!("its disk has {size} bytes, which is more than --largest allows");
    }
    // Marketplaces round.
    let claimed = claimed.map(|claimed| claimed.next_multiple_of(MIB));
    if let Some(claimed) = claimed.filter(|claimed| size > *claimed) {
        bail!("its disk has {size} bytes, and the marketplace says at most {claimed}");
    }
    Ok(())
}
