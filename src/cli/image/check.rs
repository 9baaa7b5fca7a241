use std::{path::PathBuf, process::ExitCode, sync::atomic::AtomicBool};

use disk_image::{Cancellable, ImageError, for_each_piece};

use super::{
    progress,
    source::{SourceArgs, about},
};
use crate::cli::print_json;

/// Findings shown at most: a damaged table can have millions.
const MOST_FINDINGS: usize = 50;

/// What `tombolo image check` takes.
#[derive(clap::Args)]
pub struct CheckArgs {
    /// The image
    image: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
    /// Only tables and counts: do not read the guest's bytes
    #[arg(long)]
    quick: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &CheckArgs, cancelled: &AtomicBool) -> anyhow::Result<ExitCode> {
    let image = args.source.open(&args.image)?;
    let shown = || args.image.display().to_string();
    if !args.quick {
        let view = Cancellable::new(image.as_ref(), cancelled);
        let bar = progress::bar("checking", image.size())?;
        for_each_piece(&view, |offset, piece| {
            progress::advance(&bar, offset + piece.length());
            Ok::<(), ImageError>(())
        })
        .map_err(|error| about(&args.image, &error))?;
        bar.finish_and_clear();
    }
    let damage = image.damage(MOST_FINDINGS).map_err(|error| about(&args.image, &error))?;
    let warnings = image.warnings();
    let is_whole = damage.is_empty();
    if args.json {
        print_json(&serde_json::json!({
            "filename": shown(), "format": image.format(), "damage": damage, "warnings": warnings,
        }))?;
    } else {
        for line in &damage {
            println!("{line}");
        }
        for line in &warnings {
            println!("warning: {line}");
        }
        match (is_whole, damage.len()) {
            (true, _) => println!("{}: no damage found", shown()),
            (false, MOST_FINDINGS) => println!("{}: {MOST_FINDINGS} findings, perhaps more", shown()),
            (false, count) => println!("{}: {count} findings", shown()),
        }
    }
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::from(3) })
}
