//! Secrets in the configuration of sites: written down, or kept in a file or in the environment.

use std::{
    fmt,
    fs::File,
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use toml::{Table, Value};

/// No secret is longer, in bytes.
const LONGEST: u64 = 64 << 10;

/// What stands where a secret is not shown.
const HIDDEN: &str = "…";

/// The last words of keys whose values are secrets: `password`, `client_secret`, `access_token`.
const SECRET_WORDS: [&str; 4] = ["password", "passphrase", "secret", "token"];

fn is_secret(key: &str) -> bool {
    let word = key.rsplit(['_', '-']).next().unwrap_or(key);
    SECRET_WORDS.iter().any(|secret| word.eq_ignore_ascii_case(secret))
}

/// All secrets of one site, to be kept out of what is printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// The text with every secret in it hidden.
    pub fn hide(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| {
            // Messages of parsers quote what they have read, with escapes.
            let quoted = format!("{secret:?}");
            text.replace(quoted.trim_matches('"'), HIDDEN).replace(secret.as_str(), HIDDEN)
        })
    }

    fn remember(&mut self, secret: &str) {
        if !secret.is_empty() && !self.0.iter().any(|known| known == secret) {
            self.0.push(secret.to_owned());
            // A secret that holds another one goes first.
            self.0.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        }
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

/// The table with every `{ file = "…" }` and `{ env = "…" }` under the key of a secret replaced by what is there, and
/// all its secrets. Files are named from `beside`.
///
/// # Errors
/// A secret that cannot be had, in words that name its key and place.
pub fn resolve(table: &Table, beside: Option<&Path>) -> Result<(Table, Secrets), String> {
    let mut secrets = Secrets::default();
    let resolved = resolve_table(table, beside, &mut secrets)?;
    Ok((resolved, secrets))
}

fn resolve_table(table: &Table, beside: Option<&Path>, secrets: &mut Secrets) -> Result<Table, String> {
    let mut resolved = Table::new();
    for (key, value) in table {
        let value = match (is_secret(key), value) {
            (true, Value::String(secret)) => {
                secrets.remember(secret);
                value.clone()
            }
            (true, Value::Table(place)) if Place::of(place).is_some() => {
                let secret = Place::of(place).map(|place| place.read(beside)).transpose();
                let secret = secret.map_err(|reason| format!("{key}: {reason}"))?.unwrap_or_default();
                secrets.remember(&secret);
                Value::String(secret)
            }
            (_, value) => resolve_value(value, beside, secrets)?,
        };
        resolved.insert(key.clone(), value);
    }
    Ok(resolved)
}

fn resolve_value(value: &Value, beside: Option<&Path>, secrets: &mut Secrets) -> Result<Value, String> {
    Ok(match value {
        Value::Table(table) => Value::Table(resolve_table(table, beside, secrets)?),
        Value::Array(values) => {
            Value::Array(values.iter().map(|one| resolve_value(one, beside, secrets)).collect::<Result<_, _>>()?)
        }
        other => other.clone(),
    })
}

/// The table as it may be shown: secrets hidden, but not where they are kept; nor who signs in by a URL.
pub fn hidden(table: &Table) -> Table {
    let show = |(key, value): (&String, &Value)| {
        let value = match value {
            Value::String(_) if is_secret(key) => Value::String(HIDDEN.into()),
            value => hidden_value(value),
        };
        (key.clone(), value)
    };
    table.iter().map(show).collect()
}

fn hidden_value(value: &Value) -> Value {
    match value {
        Value::Table(table) => Value::Table(hidden(table)),
        Value::Array(values) => Value::Array(values.iter().map(hidden_value).collect()),
        Value::String(text) => Value::String(without_user(text)),
        other => other.clone(),
    }
}

/// The URL without the name and password in it.
fn without_user(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    match authority.rfind('@') {
        Some(at) => format!("{scheme}://{HIDDEN}{}", rest.get(at..).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Where a secret is kept.
enum Place<'a> {
    File(&'a str),
    Environment(&'a str),
}

impl<'a> Place<'a> {
    fn of(table: &'a Table) -> Option<Self> {
        let mut entries = table.iter();
        match (entries.next(), entries.next()) {
            (Some((key, Value::String(file))), None) if key == "file" => Some(Self::File(file)),
            (Some((key, Value::String(name))), None) if key == "env" => Some(Self::Environment(name)),
            _ => None,
        }
    }

    fn read(&self, beside: Option<&Path>) -> Result<String, String> {
        let (secret, place) = match self {
            Self::File(file) => {
                let path = beside.map_or_else(|| PathBuf::from(file), |beside| beside.join(file));
                let secret = read_file(&path).map_err(|reason| format!("the file {}: {reason}", path.display()))?;
                (secret, format!("the file {}", path.display()))
            }
            Self::Environment(name) => (read_environment(name)?, format!("the environment variable {name}")),
        };
        if secret.is_empty() {
            return Err(format!("{place} is empty; put the secret there"));
        }
        Ok(secret)
    }
}

fn read_file(path: &Path) -> Result<String, String> {
    let words = |error: std::io::Error| error.to_string();
    // Looked at before it is opened: the opening of a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(words)?.is_file() {
        return Err("it is no regular file".into());
    }
    let file = File::open(path).map_err(words)?;
    let metadata = file.metadata().map_err(words)?;
    if metadata.mode() & 0o007 != 0 {
        return Err("everybody may read it or write to it; run `chmod o-rwx` on it".into());
    }
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(words)?;
    if bytes.len() as u64 > LONGEST {
        return Err(format!("it is longer than {} KiB", LONGEST >> 10));
    }
    let text = String::from_utf8(bytes).map_err(|_| "it is not text in UTF-8".to_owned())?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

#[expect(clippy::disallowed_methods, reason = "configuration names the variable")]
fn read_environment(name: &str) -> Result<String, String> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(format!("{name:?} cannot be the name of an environment variable"));
    }
    std::env::var(name).map_err(|error| match error {
        std::env::VarError::NotPresent => format!("there is no environment variable {name}; set it for this process"),
        std::env::VarError::NotUnicode(_) => format!("the environment variable {name} is not text in UTF-8"),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn table(text: &str) -> Table {
        toml::from_str(text).unwrap()
    }

    fn file(directory: &Path, name: &str, content: &[u8], mode: u32) {
        let path = directory.join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn secrets_come_from_text_files_and_the_environment() {
        let directory = tempfile::tempdir().unwrap();
        file(directory.path(), "unix", b"one\n", 0o640);
        file(directory.path(), "dos", b"two \r\n", 0o600);
        let text = "password = { file = 'unix' }\nclient_secret = { file = 'dos' }\ntoken = 'three'\n\
                    [auth.password]\nuser = 'ann'\npassword = { file = 'unix' }\n\
                    [[more]]\nproxy_password = { env = 'PATH' }\n";
        let (resolved, secrets) = resolve(&table(text), Some(directory.path())).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        assert_eq!(text(&resolved["password"]), "one");
        assert_eq!(text(&resolved["client_secret"]), "two ", "one line's end is cut, and nothing else");
        assert_eq!(text(&resolved["token"]), "three");
        assert_eq!(text(&resolved["auth"]["password"]["password"]), "one");
        assert!(text(&resolved["more"][0]["proxy_password"]).contains('/'));
        assert_eq!(secrets.0.len(), 4);
        assert_eq!(format!("{secrets:?}"), "4 secrets");
    }

    #[test]
    fn only_secrets_are_looked_for_elsewhere() {
        let written = table("keyfile = { file = 'x' }\nurl = { env = 'PATH' }\ntoken_url = { env = 'PATH' }\n");
        assert_eq!(resolve(&written, None).unwrap().0, written);
    }

    #[test]
    fn a_secret_that_cannot_be_had_is_refused_in_words() {
        let directory = tempfile::tempdir().unwrap();
        file(directory.path(), "open", b"canary", 0o644);
        file(directory.path(), "empty", b"\n", 0o600);
        file(directory.path(), "long", &[b'x'; (64 << 10) + 1], 0o600);
        file(directory.path(), "binary", &[0xff, 0xfe], 0o600);
        rustix::fs::mknodat(
            rustix::fs::CWD,
            directory.path().join("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        for (name, words) in [
            ("open", "chmod o-rwx"),
            ("empty", "is empty"),
            ("long", "64 KiB"),
            ("binary", "UTF-8"),
            ("pipe", "no regular file"),
            ("absent", "No such file"),
        ] {
            let written = table(&format!("password = {{ file = '{name}' }}"));
            let refused = resolve(&written, Some(directory.path())).unwrap_err();
            assert!(refused.contains(words) && refused.contains(name) && refused.contains("password"), "{refused}");
            assert!(!refused.contains("canary"));
        }
        let refused = resolve(&table("token = { env = 'TOMBOLO_NOBODY_HAS_SET_THIS' }"), None).unwrap_err();
        assert!(refused.contains("no environment variable TOMBOLO_NOBODY_HAS_SET_THIS"), "{refused}");
    }

    #[test]
    fn what_is_shown_holds_no_secret() {
        let text = "password = 'canary'\nsecret = { file = '/etc/key' }\n\
                    proxy = 'http://me:canary@proxy.example:3128/x'\nurl = 'https://cloud.example/a@b'\n\
                    [[more]]\naccess_token = 'canary'\n";
        let shown = hidden(&table(text)).to_string();
        assert!(!shown.contains("canary"), "{shown}");
        assert!(shown.contains("/etc/key") && shown.contains("@proxy.example:3128/x"), "{shown}");
        assert!(shown.contains("https://cloud.example/a@b"), "{shown}");
    }

    #[test]
    fn messages_lose_their_secrets() {
        let (_, secrets) = resolve(&table("password = 'ab'\ntoken = \"x\\\"ab\\ny\""), None).unwrap();
        let hidden = secrets.hide("string \"x\\\"ab\\ny\", then ab");
        assert_eq!(hidden, "string \"…\", then …");
    }
}
