use std::{path::PathBuf, process::ExitCode, sync::atomic::AtomicBool};

use disk_image::{Cancellable, Difference, ImageFormat, first_difference};

use super::{progress, source::SourceArgs};
use crate::cli::print_json;

/// What `tombolo image compare` takes.
#[derive(clap::Args)]
pub struct CompareArgs {
    /// One image
    left: PathBuf,
    /// Another
    right: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
    /// The other image's format, when it is not to be found out
    #[arg(short = 'F', long = "other-format", value_name = "FORMAT")]
    other_format: Option<ImageFormat>,
    /// Take a longer disk for the same when it goes on with nothing but zeros
    #[arg(long)]
    allow_padding: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &CompareArgs, cancelled: &AtomicBool) -> anyhow::Result<ExitCode> {
    match compare(args, cancelled) {
        Ok(found) => report(args, found),
        Err(error) => {
            eprintln!("tombolo: {error:#}");
            Ok(ExitCode::from(2))
        }
    }
}

fn compare(args: &CompareArgs, cancelled: &AtomicBool) -> anyhow::Result<Option<Difference>> {
    let left = args.source.open(&args.left)?;
    let right = args.source.open_other(&args.right, args.other_format)?;
    let bar = progress::bar("comparing", left.size().max(right.size()))?;
    let views = (Cancellable::new(left.as_ref(), cancelled), Cancellable::new(right.as_ref(), cancelled));
    let found = first_difference(&views.0, &views.1, &|done| progress::advance(&bar, done))
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    bar.finish_and_clear();
    Ok(found)
}

fn report(args: &CompareArgs, found: Option<Difference>) -> anyhow::Result<ExitCode> {
    let is_same = match found {
        None => true,
        Some(Difference::Length { first_data: None, .. }) => args.allow_padding,
        Some(_) => false,
    };
    if args.json {
        let difference = found.map(|found| match found {
            Difference::Byte { offset, left, right } => {
                serde_json::json!({"offset": offset, "left": left, "right": right})
            }
            Difference::Length { left, right, first_data } => serde_json::json!({
                "left-size": left, "right-size": right, "offset": first_data.unwrap_or(left.min(right)),
                "only-padding": first_data.is_none(),
            }),
        });
        print_json(&serde_json::json!({"same": is_same, "difference": difference}))?;
    } else {
        println!("{}", sentence(args, found));
    }
    Ok(if is_same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn sentence(args: &CompareArgs, found: Option<Difference>) -> String {
    let (left, right) = (args.left.display(), args.right.display());
    match found {
        None => "the same disk".to_owned(),
        Some(Difference::Byte { offset, left: here, right: there }) => {
            format!("they differ at byte {offset} ({offset:#x}): {left} has {here:#04x}, {right} has {there:#04x}")
        }
        Some(Difference::Length { left: here, right: there, first_data }) => {
            let rest = match first_data {
                None => "with nothing but zeros".to_owned(),
                Some(offset) => format!("with data at byte {offset} ({offset:#x})"),
            };
            let goes_on = if here > there { left } else { right };
            format!(
                "they differ in size, {here} and {there} bytes: up to the end of the shorter one they are the same, \
                 and {goes_on} goes on {rest}"
            )
        }
    }
}
