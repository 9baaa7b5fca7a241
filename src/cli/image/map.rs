use std::{
    io::{self, BufWriter, Write},
    path::PathBuf,
    process::ExitCode,
    sync::atomic::AtomicBool,
};

use disk_image::{Cancellable, DiskView, Extent, ExtentKind};

use super::source::{SourceArgs, about};

/// What `tombolo image map` takes.
#[derive(clap::Args)]
pub struct MapArgs {
    /// The image
    image: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
    /// Print JSON: a list of objects with start, length, data and present
    #[arg(long)]
    json: bool,
}

pub fn run(args: &MapArgs, cancelled: &AtomicBool) -> anyhow::Result<ExitCode> {
    let image = args.source.open(&args.image)?;
    let view = Cancellable::new(image.as_ref(), cancelled);
    // A map may have millions of lines: they are written as they are found.
    let mut output = BufWriter::new(io::stdout().lock());
    let mut written = 0_u64;
    if !args.json {
        writeln!(output, "{:<18} {:<18} what", "offset", "length")?;
    }
    let mut open: Option<Extent> = None;
    let mut at = 0;
    loop {
        let found = view.extent_at(at).map_err(|error| about(&args.image, &error))?;
        if let (Some(run), Some(next)) = (&mut open, found)
            && run.kind == next.kind
        {
            run.length += next.length;
        } else {
            if let Some(run) = open.take() {
                write(&mut output, args.json, written, run)?;
                written += 1;
            }
            open = found;
        }
        let Some(found) = found else { break };
        at = found.offset + found.length.max(1);
    }
    if args.json {
        writeln!(output, "{}", if written == 0 { "[]" } else { "\n]" })?;
    }
    output.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn write(output: &mut impl Write, json: bool, before: u64, run: Extent) -> io::Result<()> {
    if json {
        let (data, present) = (run.kind.is_data(), run.kind != ExtentKind::Absent);
        let start = if before == 0 { "[\n" } else { ",\n" };
        let (offset, length) = (run.offset, run.length);
        write!(output, "{start}{{\"start\": {offset}, \"length\": {length}, \"data\": {data}, \"present\": {present}}}")
    } else {
        let what = match run.kind {
            ExtentKind::Data => "data",
            ExtentKind::Zero => "zero",
            ExtentKind::Absent => "absent",
        };
        writeln!(output, "{:<#18x} {:<#18x} {what}", run.offset, run.length)
    }
}
