use std::path::Path;

use anyhow::{Context, bail};
use clap::ValueEnum;
use disk_image::convert::{Packing, Target};

/// What is written, and with which options of the format.
#[derive(clap::Args)]
pub struct TargetArgs {
    /// The target's format; taken from its name when not given
    #[arg(short = 'O', long, value_enum, value_name = "FORMAT")]
    output_format: Option<TargetFormat>,
    /// Compress: qcow2 with deflate (or zstd), vmdk as streamOptimized
    #[arg(short = 'c', long, value_enum, value_name = "METHOD", num_args = 0..=1, require_equals = true,
        default_missing_value = "deflate")]
    compress: Option<Method>,
    /// qcow2: bytes of a cluster, such as 65536
    #[arg(long, value_name = "BYTES")]
    cluster_size: Option<u32>,
    /// qcow2: version 2 is read by programs older than 2013
    #[arg(long, value_name = "VERSION", value_parser = clap::value_parser!(u32).range(2..=3))]
    qcow2_version: Option<u32>,
    /// vhd: all bytes in their places, instead of a file that grows
    #[arg(long)]
    fixed: bool,
    /// vhd: fixed, and rounded up to whole mebibytes, as Azure demands
    #[arg(long)]
    azure: bool,
    /// vhdx: bytes of a block, such as 2097152
    #[arg(long, value_name = "BYTES")]
    block_size: Option<u32>,
    /// vhdx: bytes of a logical sector, 512 or 4096; that of the source when not given
    #[arg(long, value_name = "BYTES")]
    sector_size: Option<u32>,
    /// ova: the machine's name; the target's name when not given
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

/// Formats, by the names that people know them by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TargetFormat {
    #[value(alias = "img")]
    Raw,
    Qcow2,
    Vmdk,
    #[value(alias = "vpc")]
    Vhd,
    Vhdx,
    Vdi,
    Ova,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Method {
    #[value(alias = "zlib")]
    Deflate,
    Zstd,
}

impl TargetArgs {
    /// What to write to this path.
    pub fn target(&self, path: &Path) -> anyhow::Result<Target> {
        let format = self.output_format.map_or_else(|| by_name(path), Ok)?;
        self.refuse_options_of_others(format)?;
        Ok(match (format, self.compress) {
            (TargetFormat::Raw, _) => Target::Raw,
            (TargetFormat::Qcow2, packing) => self.qcow2(packing)?,
            (TargetFormat::Vmdk, None) => Target::Vmdk,
            (TargetFormat::Vmdk, Some(Method::Deflate)) => Target::StreamVmdk,
            (TargetFormat::Vmdk, Some(Method::Zstd)) => bail!("a VMDK is compressed with deflate and nothing else"),
            (TargetFormat::Vhd, _) if self.fixed || self.azure => Target::FixedVhd { whole_mebibytes: self.azure },
            (TargetFormat::Vhd, _) => Target::Vhd,
            (TargetFormat::Vhdx, _) => {
                Target::Vhdx { block_size: self.block_size, logical_sector_size: self.sector_size }
            }
            (TargetFormat::Vdi, _) => Target::Vdi,
            (TargetFormat::Ova, _) => {
                let of_file = || path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
                Target::Ova { name: self.name.clone().or_else(of_file).unwrap_or_default() }
            }
        })
    }

    fn qcow2(&self, method: Option<Method>) -> anyhow::Result<Target> {
        let cluster_size = self.cluster_size.unwrap_or(64 << 10);
        let allowed = cluster_size.is_power_of_two() && (512..=2 << 20).contains(&cluster_size);
        anyhow::ensure!(allowed, "--cluster-size must be a power of two from 512 to 2097152, not {cluster_size}");
        let packing = method.map(|method| match method {
            Method::Deflate => Packing::Deflate,
            Method::Zstd => Packing::Zstd,
        });
        let version = self.qcow2_version.unwrap_or(3);
        anyhow::ensure!(version == 3 || packing != Some(Packing::Zstd), "only version 3 of qcow2 has zstd");
        Ok(Target::Qcow2 { version, cluster_bits: cluster_size.trailing_zeros(), packing })
    }

    /// An option that would be ignored is a mistake of whoever gave it.
    fn refuse_options_of_others(&self, format: TargetFormat) -> anyhow::Result<()> {
        let given = [
            (self.compress.is_some(), "--compress", vec![TargetFormat::Qcow2, TargetFormat::Vmdk, TargetFormat::Ova]),
            (self.cluster_size.is_some(), "--cluster-size", vec![TargetFormat::Qcow2]),
            (self.qcow2_version.is_some(), "--qcow2-version", vec![TargetFormat::Qcow2]),
            (self.fixed, "--fixed", vec![TargetFormat::Vhd]),
            (self.azure, "--azure", vec![TargetFormat::Vhd]),
            (self.block_size.is_some(), "--block-size", vec![TargetFormat::Vhdx]),
            (self.sector_size.is_some(), "--sector-size", vec![TargetFormat::Vhdx]),
            (self.name.is_some(), "--name", vec![TargetFormat::Ova]),
        ];
        for (is_given, option, formats) in given {
            anyhow::ensure!(!is_given || formats.contains(&format), "{option} is of no use for {}", name(format));
        }
        Ok(())
    }
}

fn name(format: TargetFormat) -> String {
    format.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn by_name(path: &Path) -> anyhow::Result<TargetFormat> {
    let end = path.extension().map(|end| end.to_string_lossy().to_lowercase());
    end.and_then(|end| TargetFormat::from_str(&end, true).ok())
        .with_context(|| format!("{} does not tell its format: say it with -O", path.display()))
}
