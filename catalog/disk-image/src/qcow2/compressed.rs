use std::{cell::RefCell, io};

use flate2::{Decompress, FlushDecompress, Status};
use libdeflater::Decompressor;
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

/// How an image's compressed clusters are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    /// Deflate without a zlib header.
    Deflate,
    /// Zstandard, one frame per cluster.
    Zstd,
}

/// The largest window that a frame may ask for: four of the largest clusters.
const LARGEST_WINDOW_LOG: u32 = 23;

/// Deflate's best ratio, reached by one long repetition.
const DEFLATE_AT_BEST: u64 = 1032;
/// A Zstandard frame with one block that repeats one byte: magic, descriptor and window or size, block head, byte.
const SMALLEST_ZSTD_FRAME: u64 = 10;
/// The most that one Zstandard block unpacks to.
const ZSTD_BLOCK: u64 = 128 << 10;

impl Compression {
    /// As the header says it and `qemu-img info` prints it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Deflate => "zlib",
            Self::Zstd => "zstd",
        }
    }

    /// The fewest bytes that a cluster can be packed into.
    pub(super) fn least_packed(self, cluster: u64) -> u64 {
        match self {
            Self::Deflate => (cluster / DEFLATE_AT_BEST).max(5),
            Self::Zstd => SMALLEST_ZSTD_FRAME + (cluster.div_ceil(ZSTD_BLOCK) - 1) * 4,
        }
    }
}

/// What unpacking needs besides bytes, kept from one cluster to the next.
#[derive(Default)]
pub(super) struct Unpacker {
    inflater: Option<Decompressor>,
    decoder: Option<Decoder<'static>>,
    /// Room for packed bytes.
    pub(super) packed: Vec<u8>,
}

thread_local! {
    static UNPACKER: RefCell<Unpacker> = RefCell::default();
}

impl Unpacker {
    /// Lends this thread's own, so that no thread waits for another.
    pub(super) fn with<T>(work: impl FnOnce(&mut Self) -> T) -> T {
        UNPACKER.with(|own| match own.try_borrow_mut() {
            Ok(mut unpacker) => work(&mut unpacker),
            Err(_) => work(&mut Self::default()),
        })
    }

    /// Unpacks exactly one cluster, which is as long as `cluster`. What stands in `packed` behind the cluster's end is
    /// somebody else's.
    pub(super) fn unpack(&mut self, compression: Compression, packed: &[u8], cluster: &mut [u8]) -> Result<(), String> {
        let got = match compression {
            Compression::Deflate => self.inflate(packed, cluster)?,
            Compression::Zstd => self.unpack_frame(packed, cluster)?,
        };
        if got == cluster.len() {
            return Ok(());
        }
        Err(format!("unpacks to {got} bytes instead of {}", cluster.len()))
    }

    fn inflate(&mut self, packed: &[u8], cluster: &mut [u8]) -> Result<usize, String> {
        let inflater = self.inflater.get_or_insert_with(Decompressor::new);
        match inflater.deflate_decompress(packed, cluster) {
            Ok(got) => Ok(got),
            // A stream that goes on behind the cluster's end is one of these errors, and QEMU reads it.
            Err(_) => inflate_until_full(packed, cluster),
        }
    }

    fn unpack_frame(&mut self, packed: &[u8], cluster: &mut [u8]) -> Result<usize, String> {
        let broken = |error: io::Error| format!("is no zstd frame ({error})");
        let mut decoder = match self.decoder.take() {
            Some(mut used) => {
                used.reinit().map_err(broken)?;
                used
            }
            None => {
                let mut new = Decoder::new().map_err(broken)?;
                new.set_parameter(DParameter::WindowLogMax(LARGEST_WINDOW_LOG)).map_err(broken)?;
                new
            }
        };
        let mut input = InBuffer::around(packed);
        let mut output = OutBuffer::around(cluster);
        while output.pos() < output.capacity() && input.pos() < packed.len() {
            let before = (input.pos(), output.pos());
            let more = decoder.run(&mut input, &mut output).map_err(broken)?;
            if more == 0 || before == (input.pos(), output.pos()) {
                break;
            }
        }
        self.decoder = Some(decoder);
        Ok(output.pos())
    }
}

/// Stops when `cluster` is full, however much more there would be.
fn inflate_until_full(packed: &[u8], cluster: &mut [u8]) -> Result<usize, String> {
    let mut decoder = Decompress::new(false);
    match decoder.decompress(packed, cluster, FlushDecompress::Finish) {
        Ok(Status::Ok | Status::BufError | Status::StreamEnd) => {
            Ok(usize::try_from(decoder.total_out()).unwrap_or(usize::MAX))
        }
        Err(error) => Err(format!("is no deflate stream ({error})")),
    }
}
