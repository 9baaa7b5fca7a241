use flate2::{Decompress, FlushDecompress, Status};
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
    /// The fewest bytes that a cluster can be packed into.
    pub(super) fn least_packed(self, cluster: u64) -> u64 {
        match self {
            Self::Deflate => (cluster / DEFLATE_AT_BEST).max(5),
            Self::Zstd => SMALLEST_ZSTD_FRAME + (cluster.div_ceil(ZSTD_BLOCK) - 1) * 4,
        }
    }

    /// Unpacks exactly one cluster. What stands in `packed` behind the cluster's end is somebody else's.
    pub(super) fn unpack(self, packed: &[u8], cluster: usize) -> Result<Vec<u8>, String> {
        let mut bytes = vec![0; cluster];
        let got = match self {
            Self::Deflate => inflate(packed, &mut bytes)?,
            Self::Zstd => unpack_frame(packed, &mut bytes)?,
        };
        if got == cluster { Ok(bytes) } else { Err(format!("unpacks to {got} bytes instead of {cluster}")) }
    }
}

/// Stops when `bytes` is full, however much more there would be.
fn inflate(packed: &[u8], bytes: &mut [u8]) -> Result<usize, String> {
    let mut decoder = Decompress::new(false);
    let status = decoder.decompress(packed, bytes, FlushDecompress::Finish);
    match status {
        Ok(Status::Ok | Status::BufError | Status::StreamEnd) => {
            Ok(usize::try_from(decoder.total_out()).unwrap_or(usize::MAX))
        }
        Err(error) => Err(format!("is no deflate stream ({error})")),
    }
}

fn unpack_frame(packed: &[u8], bytes: &mut [u8]) -> Result<usize, String> {
    let broken = |error| format!("is no zstd frame ({error})");
    let mut decoder = Decoder::new().map_err(broken)?;
    decoder.set_parameter(DParameter::WindowLogMax(LARGEST_WINDOW_LOG)).map_err(broken)?;
    let mut input = InBuffer::around(packed);
    let mut output = OutBuffer::around(bytes);
    while output.pos() < output.capacity() && input.pos() < packed.len() {
        let before = (input.pos(), output.pos());
        let more = decoder.run(&mut input, &mut output).map_err(broken)?;
        if more == 0 || before == (input.pos(), output.pos()) {
            break;
        }
    }
    Ok(output.pos())
}
