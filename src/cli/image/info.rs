use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::ExitCode,
};

use disk_image::{ImageReader, SECTOR};

use super::source::SourceArgs;
use crate::cli::print_json;

/// What `tombolo image info` takes.
#[derive(clap::Args)]
pub struct InfoArgs {
    /// The image
    image: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &InfoArgs) -> anyhow::Result<ExitCode> {
    let image = args.source.open(&args.image)?;
    let metadata = fs::metadata(&args.image)?;
    // What a device takes on the disk is not known.
    let stored = if metadata.is_file() { Some(metadata.blocks() * SECTOR) } else { None };
    if args.json {
        let facts: serde_json::Map<_, _> = image
            .facts()
            .into_iter()
            .map(|fact| Ok((fact.name.to_owned(), serde_json::to_value(fact.value)?)))
            .collect::<Result<_, serde_json::Error>>()?;
        print_json(&serde_json::json!({
            "filename": args.image.display().to_string(), "format": image.format(), "virtual-size": image.size(),
            "logical-sector-size": image.logical_sector_size(), "actual-size": stored, "facts": facts,
            "warnings": image.warnings(),
        }))?;
    } else {
        print(&args.image, image.as_ref(), stored);
    }
    Ok(ExitCode::SUCCESS)
}

fn print(path: &Path, image: &dyn ImageReader, stored: Option<u64>) {
    let line = |name: &str, value: &dyn std::fmt::Display| println!("{name:<20} {value}");
    line("image", &path.display());
    line("format", &image.format());
    line("disk", &size(image.size()));
    if let Some(stored) = stored {
        line("on disk here", &size(stored));
    }
    if image.logical_sector_size() != 512 {
        line("sectors", &format_args!("{} bytes", image.logical_sector_size()));
    }
    for fact in image.facts() {
        line(&fact.name.replace('-', " "), &fact.value);
    }
    for warning in image.warnings() {
        line("warning", &warning);
    }
}

/// For people, with the exact number for everybody else.
pub fn size(bytes: u64) -> String {
    format!("{} ({bytes} bytes)", indicatif::BinaryBytes(bytes))
}
