//! Work outside of the daemon: downloads and copies of images' bytes.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use tokio::fs;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

/// Bytes for an image.
#[derive(Clone, Debug)]
pub struct Job {
    /// The image that waits for it.
    pub image: i32,
    /// Where the bytes come from.
    pub origin: Origin,
    /// Where they go to.
    pub target: PathBuf,
    /// What they must be.
    pub digests: Digests,
}

/// Where bytes come from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// Fetched.
    Url(String),
    /// Copied; if there is no such file, an empty one is made.
    File(PathBuf),
    /// So many zeros.
    Zeros(u64),
}

/// The digests that an image's template demands, in hexadecimal.
#[derive(Clone, Debug, Default)]
pub struct Digests {
    /// MD5
    pub md5: Option<String>,
    /// SHA1
    pub sha1: Option<String>,
    /// SHA256
    pub sha256: Option<String>,
}

impl Job {
    /// Does it, and gives the size in bytes.
    ///
    /// # Errors
    /// What went wrong, in the words that stand in the image's ERROR.
    pub async fn run(&self) -> Result<u64, String> {
        if let Some(parent) = self.target.parent() {
            fs::create_dir_all(parent).await.map_err(|e| format!("Error creating {}: {e}", parent.display()))?;
        }
        match &self.origin {
            Origin::Url(url) => fetch(url, &self.target).await?,
            Origin::File(path) => copy(path, &self.target).await?,
            Origin::Zeros(bytes) => {
                let file = fs::File::create(&self.target).await.map_err(|e| self.failed(&e))?;
                file.set_len(*bytes).await.map_err(|e| self.failed(&e))?;
            }
        }
        self.digests.check(&self.target).await?;
        fs::metadata(&self.target).await.map(|m| m.len()).map_err(|e| self.failed(&e))
    }

    fn failed(&self, error: &std::io::Error) -> String {
        format!("Error writing {}: {error}", self.target.display())
    }
}

/// As the daemon's downloader does it: certificates are not verified, redirects are followed.
async fn fetch(url: &str, target: &Path) -> Result<(), String> {
    let output = Command::new("curl")
        .args(["-fsS", "-k", "-L", "--proto", "=http,https", "--max-time", "300", "-o"])
        .arg(target)
        .args(["--url", url])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|e| format!("Error copying image in the datastore: curl could not be started: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("Error copying image in the datastore: Error copying {url}: {}", said.trim()))
}

async fn copy(path: &Path, target: &Path) -> Result<(), String> {
    let done = match fs::copy(path, target).await {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => fs::write(target, b"").await,
        other => other.map(|_| ()),
    };
    done.map_err(|e| format!("Error copying image in the datastore: Error copying {}: {e}", path.display()))
}

impl Digests {
    async fn check(&self, path: &Path) -> Result<(), String> {
        if self.md5.is_none() && self.sha1.is_none() && self.sha256.is_none() {
            return Ok(());
        }
        let failed = |e: std::io::Error| format!("Error reading {}: {e}", path.display());
        let mut file = fs::File::open(path).await.map_err(failed)?;
        let (mut md5, mut sha1, mut sha256) = (Md5::new(), Sha1::new(), Sha256::new());
        let mut part = vec![0; 64 << 10];
        loop {
            let count = file.read(&mut part).await.map_err(failed)?;
            if count == 0 {
                break;
            }
            let bytes = part.get(..count).unwrap_or_default();
            md5.update(bytes);
            sha1.update(bytes);
            sha256.update(bytes);
        }
        for (wanted, name, found) in [
            (&self.md5, "MD5", hexadecimal(&md5.finalize())),
            (&self.sha1, "SHA1", hexadecimal(&sha1.finalize())),
            (&self.sha256, "SHA256", hexadecimal(&sha256.finalize())),
        ] {
            if let Some(wanted) = wanted.as_ref().filter(|wanted| !wanted.eq_ignore_ascii_case(&found)) {
                return Err(format!(
                    "Error copying image in the datastore: Hash check failed: {name} is {found}, not {wanted}"
                ));
            }
        }
        Ok(())
    }
}

/// Bytes as hexadecimal digits.
pub fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The MD5 of a text, from which names of files in datastores are made.
pub fn name_of_file(seed: &str) -> String {
    hexadecimal(&Md5::digest(seed.as_bytes()))
}
