//! Where the person's tokens are kept: one file that nobody else can read.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::config;

/// The file is not longer, in bytes.
const LONGEST: u64 = 1 << 20;
/// Nor are there more tokens in it.
const MOST: usize = 200;

/// A token for a server.
#[derive(Clone, Serialize, Deserialize)]
pub struct Login {
    /// The server.
    pub url: String,
    /// The token.
    pub token: String,
    /// Whose it is.
    pub user: String,
    /// The project that it acts in.
    pub project: String,
    /// What it is for.
    pub rights: String,
    /// From when on it is void, in seconds since 1970.
    pub expires_at: Option<i64>,
}

#[derive(Default, Serialize, Deserialize)]
struct Logins {
    logins: Vec<Login>,
}

/// The file with the tokens.
pub struct Wallet {
    directory: PathBuf,
}

impl Wallet {
    /// Of the person who runs this program.
    pub fn of_user() -> anyhow::Result<Self> {
        let directory = config::user_config_dir();
        let directory = directory.context("there is no place for tokens; set HOME or XDG_CONFIG_HOME")?;
        Ok(Self { directory: directory.join("tombolo") })
    }

    fn file(&self) -> PathBuf {
        self.directory.join("logins.json")
    }

    /// All of them.
    pub fn all(&self) -> anyhow::Result<Vec<Login>> {
        let path = self.file();
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(|| format!("cannot open {}", path.display())),
        };
        // Of the file that was opened, not of the path: it cannot be exchanged in between.
        let metadata = file.metadata()?;
        ensure!(
            metadata.mode() & 0o077 == 0,
            "{} can be read by others (mode {:03o}): run `chmod 600` on it, and sign out and in again if somebody may \
             have read it",
            path.display(),
            metadata.mode() & 0o777
        );
        let own = rustix::process::geteuid().as_raw();
        ensure!(metadata.uid() == own, "{} belongs to somebody else; remove it", path.display());
        ensure!(metadata.len() <= LONGEST, "{} is longer than {LONGEST} bytes; remove it", path.display());
        let mut text = String::new();
        file.take(LONGEST).read_to_string(&mut text).with_context(|| format!("cannot read {}", path.display()))?;
        // What is wrong in it is not repeated: it would be a part of a token.
        let Ok(Logins { logins }) = serde_json::from_str(&text) else {
            bail!("{} is damaged; remove it, and sign in again", path.display());
        };
        Ok(logins)
    }

    /// The one for the server, or the only one there is.
    pub fn the_one(&self, url: Option<&str>) -> anyhow::Result<Login> {
        let mut all = self.all()?;
        if let Some(url) = url {
            let url = url.trim_end_matches('/');
            let found = all.into_iter().find(|login| login.url == url);
            return found.with_context(|| format!("there is no token for {url}; run `tombolo login {url}`"));
        }
        match all.len() {
            0 => bail!("there is no token; run `tombolo login URL`"),
            1 => Ok(all.remove(0)),
            _ => {
                let urls: Vec<_> = all.iter().map(|login| login.url.as_str()).collect();
                bail!("there are tokens for several servers; name one of {}", urls.join(", "))
            }
        }
    }

    /// Keeps it, in place of the former one for the same server, which is answered.
    pub fn keep(&self, login: Login) -> anyhow::Result<Option<Login>> {
        self.change(|logins| {
            let former = logins.iter().position(|known| known.url == login.url).map(|at| logins.remove(at));
            ensure!(logins.len() < MOST, "there are {MOST} tokens already; `tombolo logout URL` removes one");
            logins.push(login);
            Ok(former)
        })
    }

    /// Forgets the one for the server.
    pub fn forget(&self, url: &str) -> anyhow::Result<()> {
        self.change(|logins| {
            logins.retain(|login| login.url != url);
            Ok(())
        })
    }

    /// Changes the file as a whole or not at all; of two programs at once, one waits.
    fn change<T>(&self, change: impl FnOnce(&mut Vec<Login>) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let shown = self.directory.display();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)
            .with_context(|| format!("cannot make the directory {shown}"))?;
        let private = |path: &Path| OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
        let lock = private(&self.directory.join("logins.lock")).with_context(|| format!("cannot write in {shown}"))?;
        lock.lock()?;
        let mut logins = self.all()?;
        let changed = change(&mut logins)?;
        let whole = self.directory.join(format!("logins.{}", uuid::Uuid::now_v7().simple()));
        let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&whole).and_then(|mut file| {
            file.write_all(&serde_json::to_vec_pretty(&Logins { logins })?)?;
            file.sync_all()?;
            fs::rename(&whole, self.file())
        });
        if written.is_err() {
            let _ = fs::remove_file(&whole);
        }
        written.with_context(|| format!("cannot write {}", self.file().display()))?;
        Ok(changed)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn login(url: &str, token: &str) -> Login {
        let (url, token) = (url.to_owned(), token.to_owned());
        Login { url, token, user: "ann".into(), project: "p".into(), rights: "read".into(), expires_at: None }
    }

    fn wallet() -> (tempfile::TempDir, Wallet) {
        let directory = tempfile::tempdir().unwrap();
        let wallet = Wallet { directory: directory.path().join("deep/tombolo") };
        (directory, wallet)
    }

    #[test]
    fn one_token_for_each_server_and_nobody_else_reads_them() {
        let (_directory, wallet) = wallet();
        assert!(wallet.all().unwrap().is_empty());
        assert!(wallet.the_one(None).is_err());
        assert!(wallet.keep(login("https://a", "1")).unwrap().is_none());
        assert_eq!(wallet.the_one(None).unwrap().token, "1");
        assert_eq!(wallet.keep(login("https://a", "2")).unwrap().unwrap().token, "1");
        wallet.keep(login("https://b", "3")).unwrap();
        assert_eq!(wallet.the_one(Some("https://a/")).unwrap().token, "2");
        assert!(wallet.the_one(None).unwrap_err_text().contains("https://b"));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&wallet.file()), mode(&wallet.directory)), (0o600, 0o700));
        wallet.forget("https://a").unwrap();
        assert_eq!(wallet.all().unwrap().len(), 1);
        assert_eq!(fs::read_dir(&wallet.directory).unwrap().count(), 2, "the file and its lock");
    }

    #[test]
    fn a_file_that_others_can_read_is_not_read() {
        let (_directory, wallet) = wallet();
        wallet.keep(login("https://a", "geheim")).unwrap();
        for mode in [0o640, 0o604, 0o666] {
            fs::set_permissions(wallet.file(), fs::Permissions::from_mode(mode)).unwrap();
            assert!(wallet.all().unwrap_err_text().contains("chmod 600"));
            assert!(wallet.keep(login("https://a", "2")).is_err());
        }
        fs::set_permissions(wallet.file(), fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(wallet.file(), "{\"logins\": [{\"token\": \"geheim\"}]}").unwrap();
        let told = wallet.all().unwrap_err_text();
        assert!(told.contains("damaged") && !told.contains("geheim"), "{told}");
    }

    trait ErrText {
        fn unwrap_err_text(self) -> String;
    }

    impl<T> ErrText for anyhow::Result<T> {
        fn unwrap_err_text(self) -> String {
            match self {
                Ok(_) => panic!("it was taken"),
                Err(error) => format!("{error:#}"),
            }
        }
    }
}
