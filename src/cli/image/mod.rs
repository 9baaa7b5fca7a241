//! `tombolo image`: disk images of any format, looked at and converted.

mod check;
mod compare;
mod convert;
mod info;
mod map;
pub(super) mod progress;
pub(super) mod source;
mod target;

use std::process::ExitCode;

use clap::Subcommand;

/// What `tombolo image` can do.
#[derive(Subcommand)]
pub enum ImageCommand {
    /// Say what an image is
    Info(info::InfoArgs),
    /// Look for damage: tables, counts, compressed data, every byte
    #[command(after_help = "Exit status: 0 when nothing was found, 1 when the image cannot be used, 3 when its \
        guest's bytes are whole but something else is wrong, such as leaked clusters.")]
    Check(check::CheckArgs),
    /// Write an image in another format
    #[command(after_help = "\
The target appears under its name when it is complete, and not before; an interrupted conversion leaves nothing. The \
format is taken from the end of the target's name when -O does not say it. The same disk and options always give the \
same bytes.

  tombolo image convert debian.qcow2 debian.vhdx
  tombolo image convert --compress=zstd debian.raw debian.qcow2
  tombolo image convert -O vmdk --compress debian.qcow2 for-esxi.vmdk
  tombolo image convert --disk disk-2.vmdk machine.ova second.raw
  tombolo image convert --force debian.vmdk /dev/vg0/debian")]
    Convert(Box<convert::ConvertArgs>),
    /// List which parts of the disk hold data, zeros or nothing
    Map(map::MapArgs),
    /// Say whether two images show a guest the same disk, and where they differ first
    #[command(after_help = "Exit status: 0 when they show the same, 1 when not, 2 when one cannot be read.")]
    Compare(compare::CompareArgs),
}

/// Does what was asked, and answers the status to end with.
pub async fn run(command: ImageCommand) -> anyhow::Result<ExitCode> {
    let cancelled = super::interrupt::flag()?;
    // Reading and writing take long and block.
    tokio::task::spawn_blocking(move || match command {
        ImageCommand::Info(args) => info::run(&args),
        ImageCommand::Check(args) => check::run(&args, &cancelled),
        ImageCommand::Convert(args) => convert::run(&args, &cancelled),
        ImageCommand::Map(args) => map::run(&args, &cancelled),
        ImageCommand::Compare(args) => compare::run(&args, &cancelled),
    })
    .await?
}
