use std::{num::NonZero, path::PathBuf, process::ExitCode, sync::atomic::AtomicBool, time::Instant};

use anyhow::{anyhow, bail};
use disk_image::{
    ImageReader,
    convert::{Converted, Output, Work},
};

use super::{
    info::size,
    progress,
    source::{SourceArgs, about, warn},
    target::TargetArgs,
};
use crate::cli::print_json;

const ANOTHER_NAME: &str = "; choose another name, or overwrite it with --force";

/// What `tombolo image convert` takes.
#[derive(clap::Args)]
pub struct ConvertArgs {
    /// The image to read: a file or block device
    source_image: PathBuf,
    /// What to write: a new file, or a block device
    target_image: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    target: TargetArgs,
    /// Replace a file, or overwrite a device
    #[arg(long)]
    force: bool,
    /// Do not wait until the disk has all bytes
    #[arg(long)]
    no_sync: bool,
    /// Threads to read, compress and write with; as many as there are cores when not given
    #[arg(long, value_name = "COUNT")]
    threads: Option<NonZero<usize>>,
    /// Say nothing but errors
    #[arg(short, long)]
    quiet: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &ConvertArgs, cancelled: &AtomicBool) -> anyhow::Result<ExitCode> {
    // All that can be wrong with the request, before the long work.
    let target = args.target.target(&args.target_image)?;
    let image = args.source.open(&args.source_image)?;
    let advice = if args.target_image.exists() && !args.force { ANOTHER_NAME } else { "" };
    let output = Output::create(&args.target_image, args.force).map_err(|error| anyhow!("{error}{advice}"))?;
    if output.is_source(&args.source_image)? {
        bail!("{} is source and target at once", args.source_image.display());
    }
    if !args.quiet {
        warn(&args.source_image, image.as_ref());
    }

    let began = Instant::now();
    let bar = progress::bar("converting", image.size())?;
    let progress = |done| progress::advance(&bar, done);
    let durable = !args.no_sync;
    let work = Work { threads: args.threads, durable, identity: None, progress: &progress, cancelled };
    let converted =
        target.write(image.as_ref(), output.file(), &work).map_err(|error| about(&args.source_image, &error))?;
    bar.set_message("storing");
    output.keep(durable).map_err(|error| anyhow!("{error}"))?;
    bar.finish_and_clear();
    report(args, image.as_ref(), converted, began)?;
    Ok(ExitCode::SUCCESS)
}

fn report(args: &ConvertArgs, image: &dyn ImageReader, converted: Converted, began: Instant) -> anyhow::Result<()> {
    let Converted { file_length, disk_size, .. } = converted;
    if args.json {
        return print_json(&serde_json::json!({
            "filename": args.target_image.display().to_string(), "virtual-size": disk_size,
            "source-size": image.size(), "file-length": file_length, "seconds": began.elapsed().as_secs_f64(),
        }));
    }
    // Never silently: a guest sees the difference.
    if disk_size != image.size() {
        let more = disk_size - image.size();
        let problem = "the target's format has no disk of the source's size";
        eprintln!("tombolo: {problem}: the disk is {more} bytes longer, {}", size(disk_size));
    }
    Ok(())
}
