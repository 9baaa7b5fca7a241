use std::{
    io,
    path::Path,
    process::{Output, Stdio},
};

use anyhow::{Context, bail, ensure};
use tokio::{process::Command, task::spawn_blocking};

use super::{super::data_dir, unfinished::Unfinished};
use crate::{
    config::Config,
    store::{backup, event, event::Verification},
};

pub async fn backup(config: &Config, address: &str, file: &Path) -> anyhow::Result<Verification> {
    let address = Url::of(address);
    let copy = Unfinished::make(file)?;
    let mut dump = address.program("pg_dump");
    dump.args(["--no-password", "--format=custom", "--no-owner", "--no-privileges", "--dbname"])
        .arg(&address.without_password)
        .arg("--file")
        .arg(copy.path());
    let dumped = dump.output().await;
    if dumped.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        bail!(
            "pg_dump is not on the PATH; install Debian's postgresql-client, or run elsewhere: pg_dump \
             --format=custom --no-owner --no-privileges --file={} --dbname='{}' (the password in PGPASSWORD)",
            file.display(),
            address.without_password
        );
    }
    check("pg_dump", dumped)?;
    list(copy.path()).await?;
    // The copy cannot be looked into; its source can, and is what was copied.
    let db = data_dir::open_store(config).await?;
    let verification = db.read(event::verify).await?;
    copy.finish()?;
    Ok(verification)
}

pub async fn restore(address: &str, file: &Path) -> anyhow::Result<()> {
    list(file).await.with_context(|| format!("{} cannot be restored; nothing was changed", file.display()))?;
    let asked = address.to_owned();
    let others = spawn_blocking(move || backup::other_sessions(&asked)).await??;
    ensure!(others == 0, "{others} others are connected to the database; stop every server of it, and restore again");
    let address = Url::of(address);
    let mut restore = address.program("pg_restore");
    restore
        .args(["--no-password", "--clean", "--if-exists", "--single-transaction"])
        .args(["--no-owner", "--no-privileges", "--dbname"])
        .arg(&address.without_password)
        .arg(file);
    check("pg_restore", restore.output().await).context("nothing was changed")
}

/// Whether the file is what `pg_dump` writes, and whole as far as its table of contents goes.
async fn list(file: &Path) -> anyhow::Result<()> {
    let mut list = Command::new("pg_restore");
    list.arg("--list").arg(file).stdin(Stdio::null());
    check("pg_restore", list.output().await)
}

fn check(program: &str, output: io::Result<Output>) -> anyhow::Result<()> {
    let output = output.with_context(|| format!("cannot run {program}; it comes with Debian's postgresql-client"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} failed: {}", errors.lines().next().unwrap_or("without a word").trim());
    Ok(())
}

/// An address whose password is kept off command lines, which every user of the host can read.
struct Url {
    without_password: String,
    password: Option<String>,
}

impl Url {
    fn of(address: &str) -> Self {
        let Some((scheme, rest)) = address.split_once("://") else {
            return Self { without_password: address.to_owned(), password: None };
        };
        let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
        let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
        let (user, mut password) = match user.and_then(|user| user.split_once(':')) {
            Some((user, password)) => (Some(user), Some(percent_decoded(password))),
            None => (user, None),
        };
        let mut parameters = Vec::new();
        for parameter in query.into_iter().flat_map(|query| query.split('&')) {
            match parameter.split_once('=') {
                Some(("password", value)) => password = Some(percent_decoded(value)),
                _ => parameters.push(parameter),
            }
        }
        let user = user.map(|user| format!("{user}@")).unwrap_or_default();
        let query = if parameters.is_empty() { String::new() } else { format!("?{}", parameters.join("&")) };
        Self { without_password: format!("{scheme}://{user}{host}{path}{query}"), password }
    }

    fn program(&self, name: &str) -> Command {
        let mut program = Command::new(name);
        program.stdin(Stdio::null()).kill_on_drop(true);
        if let Some(password) = &self.password {
            program.env("PGPASSWORD", password);
        }
        program
    }
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        let digits = more.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        match digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
        {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &more[2..];
            }
            _ => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_leave_the_address() {
        let split = |address: &str| {
            let url = Url::of(address);
            (url.without_password, url.password)
        };
        let plain = "postgres://ann@host:5432/db?sslmode=require";
        assert_eq!(split(plain), (plain.to_owned(), None));
        let secret = Some("p@ss:w/rd%".to_owned());
        assert_eq!(
            split("postgres://ann:p%40ss%3Aw%2Frd%25@host:5432/db?sslmode=require"),
            (plain.to_owned(), secret.clone())
        );
        assert_eq!(
            split("postgresql://%2Fvar%2Frun/db?password=p%40ss:w/rd%25&user=ann"),
            ("postgresql://%2Fvar%2Frun/db?user=ann".to_owned(), secret)
        );
        assert_eq!(split("postgres:///db"), ("postgres:///db".to_owned(), None));
    }

    #[test]
    fn what_is_not_encoded_stays() {
        for (text, decoded) in
            [("a%", "a%"), ("%4", "%4"), ("%zz", "%zz"), ("%+4", "%+4"), ("%41%", "A%"), ("é%C3%A9", "éé")]
        {
            assert_eq!(percent_decoded(text), decoded);
        }
    }
}
