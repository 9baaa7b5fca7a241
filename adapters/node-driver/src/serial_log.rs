//! The guest's serial line, kept in a bounded log.
//!
//! QEMU's own log file grows as long as the guest writes, a limit on file sizes would hit the disk image as well,
//! and a ring inside QEMU loses the end, the part that matters, when QEMU ends. So the line is a socket which the
//! driver reads: the log is bounded at all times, complete to the last byte while a driver runs, and what the
//! guest says while none runs is dropped by QEMU instead of filling the disk.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    fs::{File, OpenOptions},
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::{Instant, sleep_until},
};

/// The newest output is in `serial.log`, at most this much; as much again of the older in `serial.log.1`.
const MOST_BYTES: u64 = 1 << 20;
/// Sustained rate, in bytes per second, beyond which the guest has to wait.
const RATE: u64 = 512 << 10;

/// Copies until QEMU closes the line.
pub(crate) async fn keep(mut line: UnixStream, path: PathBuf) {
    if let Err(error) = copy(&mut line, &path).await {
        tracing::warn!(log = %path.display(), %error, "the serial log ends here");
    }
}

async fn copy(line: &mut UnixStream, path: &Path) -> io::Result<()> {
    let mut log = open(path).await?;
    let mut length = log.metadata().await?.len();
    let mut buffer = vec![0; 16 << 10];
    loop {
        let begun = Instant::now();
        let read = line.read(&mut buffer).await?;
        if read == 0 {
            return log.flush().await;
        }
        if length + read as u64 > MOST_BYTES {
            log.flush().await?;
            tokio::fs::rename(path, older(path)).await?;
            log = open(path).await?;
            length = 0;
        }
        log.write_all(&buffer[..read]).await?;
        log.flush().await?;
        length += read as u64;
        sleep_until(begun + Duration::from_micros(read as u64 * 1_000_000 / RATE)).await;
    }
}

async fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path).await
}

fn older(path: &Path) -> PathBuf {
    path.with_added_extension("1")
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncWriteExt, net::UnixStream};

    use super::{MOST_BYTES, keep, older};

    #[tokio::test(start_paused = true)]
    async fn the_log_is_bounded_and_keeps_the_newest() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("serial.log");
        let (mut guest, line) = UnixStream::pair().unwrap();
        let keeper = tokio::spawn(keep(line, path.clone()));
        let block = [b'x'; 64 << 10];
        for _ in 0..(3 * MOST_BYTES / block.len() as u64) {
            guest.write_all(&block).await.unwrap();
        }
        guest.write_all(b"the end").await.unwrap();
        drop(guest);
        keeper.await.unwrap();
        let newest = std::fs::read(&path).unwrap();
        assert!(newest.ends_with(b"the end"));
        assert!(newest.len() as u64 <= MOST_BYTES);
        assert!(std::fs::metadata(older(&path)).unwrap().len() <= MOST_BYTES);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
    }
}
