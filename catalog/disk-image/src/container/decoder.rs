use std::io::{self, BufRead, Read};

use bzip2::bufread::BzDecoder;
use flate2::bufread::GzDecoder;
use liblzma::{
    bufread::XzDecoder,
    stream::{CONCATENATED, Stream},
};

use super::Compression;
use crate::{ImageError, source::ImageFile};

/// The most memory for decoding xz, in bytes: `xz -9` needs 65 MiB.
const XZ_MEMORY: u64 = 100 << 20;
/// The largest window of zstd, as a power of two: 64 MiB, which all levels but `--ultra -22` stay within.
const ZSTD_WINDOW: u32 = 26;
const BUFFER: usize = 256 << 10;

/// A compressed file as what it unpacks to.
pub(super) trait Decoder: Read {
    /// Bytes of the compressed file that have been used.
    fn position(&self) -> u64;

    /// Bytes behind the end of the compressed data that are something else, and not only zeros.
    fn ignored(&self) -> u64 {
        0
    }
}

/// Begins to decode. Frames, members or streams that follow each other are one.
pub(super) fn decoder(source: &ImageFile, compression: Compression) -> io::Result<Box<dyn Decoder>> {
    let feed = Feed::new(source);
    Ok(match compression {
        Compression::Gzip => Box::new(Streams::<GzDecoder<Feed>>::new(feed)),
        Compression::Bzip2 => Box::new(Streams::<BzDecoder<Feed>>::new(feed)),
        Compression::Xz => {
            let stream = Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED)?;
            Box::new(XzDecoder::new_stream(feed, stream))
        }
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(feed)?;
            decoder.window_log_max(ZSTD_WINDOW)?;
            Box::new(decoder)
        }
    })
}

impl Decoder for XzDecoder<Feed> {
    fn position(&self) -> u64 {
        self.get_ref().position
    }
}

impl Decoder for zstd::stream::read::Decoder<'_, Feed> {
    fn position(&self) -> u64 {
        self.get_ref().position
    }
}

/// An image's file, from its beginning to its end.
pub(super) struct Feed {
    source: ImageFile,
    /// Of the next byte that nobody has used.
    position: u64,
    buffer: Vec<u8>,
    used: usize,
}

impl Feed {
    fn new(source: &ImageFile) -> Self {
        Self { source: source.clone(), position: 0, buffer: Vec::new(), used: 0 }
    }

    fn left(&self) -> u64 {
        self.source.length().saturating_sub(self.position)
    }

    fn continues_with(&self, mark: &[u8]) -> io::Result<bool> {
        let next: [u8; 4] = self.source.read_array(self.position).map_err(io::Error::other)?;
        Ok(self.left() >= mark.len() as u64 && next.starts_with(mark))
    }

    fn only_zeros_are_left(&mut self) -> io::Result<bool> {
        loop {
            let bytes = self.fill_buf()?;
            if bytes.is_empty() {
                return Ok(true);
            }
            if bytes.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            let length = bytes.len();
            self.consume(length);
        }
    }
}

impl Read for Feed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let length = bytes.len().min(into.len());
        into[..length].copy_from_slice(&bytes[..length]);
        self.consume(length);
        Ok(length)
    }
}

impl BufRead for Feed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used >= self.buffer.len() {
            let length = usize::try_from(self.left()).unwrap_or(usize::MAX).min(BUFFER);
            self.buffer.resize(length, 0);
            self.used = 0;
            self.source.read_padded(self.position, &mut self.buffer).map_err(io::Error::other)?;
        }
        Ok(&self.buffer[self.used..])
    }

    fn consume(&mut self, length: usize) {
        self.used += length;
        self.position += length as u64;
    }
}

/// The error of the file itself that decoding met, or the decoder's own in words.
pub(super) fn cause(error: io::Error) -> Result<ImageError, String> {
    match error.downcast::<ImageError>() {
        Ok(error) => Ok(error),
        Err(error) => Err(error.to_string()),
    }
}

/// Decodes one of several streams that stand behind each other, and stops at its end.
trait Member: Read {
    /// What each begins with.
    const MARK: &'static [u8];
    fn over(feed: Feed) -> Self;
    fn feed(&self) -> &Feed;
    fn release(self) -> Feed;
}

impl Member for GzDecoder<Feed> {
    const MARK: &'static [u8] = b"\x1f\x8b";

    fn over(feed: Feed) -> Self {
        Self::new(feed)
    }

    fn feed(&self) -> &Feed {
        self.get_ref()
    }

    fn release(self) -> Feed {
        self.into_inner()
    }
}

impl Member for BzDecoder<Feed> {
    const MARK: &'static [u8] = b"BZh";

    fn over(feed: Feed) -> Self {
        Self::new(feed)
    }

    fn feed(&self) -> &Feed {
        self.get_ref()
    }

    fn release(self) -> Feed {
        self.into_inner()
    }
}

/// Streams behind each other, and then perhaps something else, which the tools of these formats ignore too.
struct Streams<M> {
    member: Option<M>,
    end: u64,
    ignored: u64,
}

impl<M: Member> Streams<M> {
    fn new(feed: Feed) -> Self {
        Self { member: Some(M::over(feed)), end: 0, ignored: 0 }
    }
}

impl<M: Member> Read for Streams<M> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(member) = &mut self.member else { return Ok(0) };
            let got = member.read(into)?;
            if got > 0 || into.is_empty() {
                return Ok(got);
            }
            let Some(mut feed) = self.member.take().map(M::release) else { return Ok(0) };
            if feed.continues_with(M::MARK)? {
                self.member = Some(M::over(feed));
            } else {
                self.end = feed.position;
                let left = feed.left();
                self.ignored = if feed.only_zeros_are_left()? { 0 } else { left };
            }
        }
    }
}

impl<M: Member> Decoder for Streams<M> {
    fn position(&self) -> u64 {
        self.member.as_ref().map_or(self.end, |member| member.feed().position)
    }

    fn ignored(&self) -> u64 {
        self.ignored
    }
}
