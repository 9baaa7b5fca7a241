use std::{
    sync::{
        Arc,
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread,
};

use super::{
    Compression,
    contained::Contained,
    decoder::{Decoder, cause, decoder},
    refused,
    spool::{Allowance, Spool},
};
use crate::{Fact, ImageError, ImageReader, neighbours::Alone, opening::Opening, source::ImageFile};

/// Bytes that are unpacked before they are handed on.
const PORTION: usize = 1 << 20;
/// Portions that may wait for being written.
const WAITING: usize = 2;

/// Unpacks a compressed image and opens what was in it.
///
/// All of it is unpacked first, since images are read at any place. Memory stays below 110 MiB, which only xz
/// with its largest presets comes near to.
pub(crate) fn open_compressed(
    source: &ImageFile,
    compression: Compression,
    opening: &Opening<'_>,
) -> Result<Box<dyn ImageReader>, ImageError> {
    let packed = opening.packed.unwrap_or(u64::MAX).min(source.length());
    let within = Opening { packed: Some(packed), ..opening.within(Arc::new(Alone))? };
    let allowance = Allowance::new(packed, opening.most_unpacked, opening.packed.is_some());
    let spool = Spool::new(&opening.spool, format!("{compression} file"), allowance)?;
    let (unpacked, ignored) = unpack(source, compression, spool, opening)?;

    let inner = within.read(unpacked)?;
    let facts = vec![Fact::new("compressed-with", compression.to_string())];
    let mut warnings = Vec::new();
    if ignored > 0 {
        warnings.push(format!("{ignored} bytes behind the end of the {compression} data were ignored"));
    }
    Ok(Box::new(Contained { inner, facts, warnings, check: None }))
}

/// Unpacks in this thread while another one writes. Answers how many bytes behind the data were ignored, too.
fn unpack(
    source: &ImageFile,
    compression: Compression,
    mut spool: Spool,
    opening: &Opening<'_>,
) -> Result<(ImageFile, u64), ImageError> {
    let damaged = |error, at: u64| match cause(error) {
        Ok(error) => error,
        Err(words) => refused(
            format!("{compression} file"),
            format!("is damaged, cut off, or needs too much memory, after {at} of {} bytes: {words}", source.length()),
        ),
    };
    let mut decoder = decoder(source, compression).map_err(|error| damaged(error, 0))?;
    let spool = thread::scope(|scope| {
        let (full, to_write) = sync_channel(WAITING);
        let (written, empty) = channel();
        let writer = scope.spawn(move || {
            write(&mut spool, &to_write, &written)?;
            Ok::<Spool, ImageError>(spool)
        });
        let watch = |position| opening.watch.is_none_or(|watch| watch(position, source.length()));
        let decoded = decode(&mut *decoder, &full, &empty, watch, damaged);
        drop(full);
        let spool = match writer.join() {
            // When writing has failed, that is why decoding ended.
            Ok(written) => written?,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        decoded.map(|()| spool)
    })?;
    Ok((spool.finish()?, decoder.ignored()))
}

fn write(spool: &mut Spool, full: &Receiver<Vec<u8>>, written: &Sender<Vec<u8>>) -> Result<(), ImageError> {
    for portion in full {
        spool.take(&portion)?;
        // Nobody wants it any more when all has been decoded.
        let _ = written.send(portion);
    }
    Ok(())
}

fn decode(
    decoder: &mut dyn Decoder,
    full: &SyncSender<Vec<u8>>,
    empty: &Receiver<Vec<u8>>,
    watch: impl Fn(u64) -> bool,
    damaged: impl Fn(std::io::Error, u64) -> ImageError,
) -> Result<(), ImageError> {
    loop {
        let mut portion = empty.try_recv().unwrap_or_default();
        portion.resize(PORTION, 0);
        let length = fill(decoder, &mut portion).map_err(|error| damaged(error, decoder.position()))?;
        portion.truncate(length);
        if !watch(decoder.position()) {
            return Err(ImageError::Cancelled);
        }
        if length == 0 || full.send(portion).is_err() {
            return Ok(());
        }
    }
}

/// Reads until the buffer is full, or nothing is left.
fn fill(decoder: &mut dyn Decoder, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match decoder.read(&mut buffer[length..])? {
            0 => break,
            got => length += got,
        }
    }
    Ok(length)
}
