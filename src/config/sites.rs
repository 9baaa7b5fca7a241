//! Where sites are written down: `[[site]]` in tombolo.toml, and one site per file in a directory beside it. Both may
//! be read again while the server runs.

use std::{
    collections::BTreeSet,
    io::Read,
    path::{Path, PathBuf},
};

use toml::Table;

use super::{
    Config, ConfigError,
    site::{RefusedSite, SiteDeclaration, check_name},
};

/// No file of a site is longer, in bytes.
const LONGEST: u64 = 256 << 10;
/// So many files are read.
const MOST_FILES: usize = 4096;

/// Where the sites of one configuration are written down.
#[derive(Debug, Clone)]
pub struct SiteSource {
    file: Option<PathBuf>,
    directory: Option<PathBuf>,
    /// The sites of a configuration that is no file, and those of the broker itself.
    given: Vec<SiteDeclaration>,
}

/// Sites as they are written down at one moment.
#[derive(Debug, Clone, Default)]
pub struct DeclaredSites {
    /// Those that can be read; of two with one name only the first one is among them.
    pub sites: Vec<SiteDeclaration>,
    /// Those that cannot.
    pub refused: Vec<RefusedSite>,
    /// Why the directory of sites cannot be read, if it is there and cannot. Nobody knows then what is in it.
    pub unreadable: Option<String>,
}

impl DeclaredSites {
    /// Whether nobody has written down any site.
    pub fn is_empty(&self) -> bool {
        self.sites.is_empty() && self.refused.is_empty() && self.unreadable.is_none()
    }

    /// The names of all, whether they can be read or not.
    pub fn names(&self) -> BTreeSet<&String> {
        self.sites.iter().map(|site| &site.name).chain(self.refused.iter().map(|site| &site.name)).collect()
    }

    fn add(&mut self, site: SiteDeclaration) {
        if self.sites.iter().any(|other| other.name == site.name) {
            let reason = "another site has this name already; rename one of them".to_owned();
            self.refused.push(RefusedSite { origin: site.origin().map(Path::to_owned), name: site.name, reason });
        } else {
            self.sites.push(site);
        }
    }
}

impl SiteSource {
    pub(super) fn new(file: Option<PathBuf>, directory: Option<PathBuf>, given: Vec<SiteDeclaration>) -> Self {
        Self { file, directory, given }
    }

    /// The same, with a site of the broker's own that nobody has to write down.
    #[must_use]
    pub fn with(mut self, site: SiteDeclaration) -> Self {
        self.given.push(site);
        self
    }

    /// Whether this is tombolo.toml itself.
    pub fn is_main(&self, origin: Option<&Path>) -> bool {
        origin.is_some() && self.file.as_deref() == origin
    }

    /// Reads what is written down at this moment.
    ///
    /// # Errors
    /// tombolo.toml cannot be read, or is wrong.
    pub fn read(&self) -> Result<DeclaredSites, ConfigError> {
        let mut declared = DeclaredSites::default();
        if let Some(file) = &self.file {
            for site in Config::read(file)?.site {
                check_name(&site.name).map_err(ConfigError::Unusable)?;
                declared.add(site.written_in(file));
            }
        }
        self.given.iter().cloned().for_each(|site| declared.add(site));
        if let Some(directory) = &self.directory {
            read_directory(directory, &mut declared);
        }
        Ok(declared)
    }
}

fn read_directory(directory: &Path, declared: &mut DeclaredSites) {
    let files = match files_of(directory) {
        Ok(files) => files,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
        Err(error) => {
            declared.unreadable = Some(format!("cannot read sites_dir {}: {error}", directory.display()));
            return;
        }
    };
    for file in files {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        match read_site(&file, &stem) {
            Ok(site) => declared.add(site),
            Err(reason) => declared.refused.push(RefusedSite { name: stem, origin: Some(file), reason }),
        }
    }
}

/// The files of sites, in the order of their names. Hidden ones are editors' own.
fn files_of(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)?.take(MOST_FILES) {
        let path = entry?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.extension().is_some_and(|extension| extension == "toml") && !is_hidden {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read_site(path: &Path, stem: &str) -> Result<SiteDeclaration, String> {
    let words = |error: std::io::Error| error.to_string();
    // Looked at before it is opened: the opening of a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(words)?.is_file() {
        return Err("it is no regular file".into());
    }
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(words)?;
    file.take(LONGEST + 1).read_to_string(&mut text).map_err(words)?;
    if text.len() as u64 > LONGEST {
        return Err(format!("it is longer than {} KiB", LONGEST >> 10));
    }
    let mut table: Table = toml::from_str(&text).map_err(|error| mistake(&text, &error))?;
    table.entry("name").or_insert_with(|| stem.into());
    let site: SiteDeclaration = table.try_into().map_err(|error: toml::de::Error| error.message().to_owned())?;
    check_name(&site.name)?;
    Ok(site.written_in(path))
}

/// What is wrong with the text, and where; without the line itself, on which a secret may stand.
pub(super) fn mistake(text: &str, error: &toml::de::Error) -> String {
    let Some(before) = error.span().and_then(|span| text.get(..span.start)) else { return error.message().to_owned() };
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {line}, column {column}: {}", error.message())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIMULATOR: &str = "adapter = { kind = 'simulator' }\n";

    struct Written(tempfile::TempDir);

    impl Written {
        fn new(main: &str) -> Self {
            let written = Self(tempfile::tempdir().unwrap());
            std::fs::create_dir(written.0.path().join("sites.d")).unwrap();
            std::fs::write(written.main(), main).unwrap();
            written
        }

        fn main(&self) -> PathBuf {
            self.0.path().join("tombolo.toml")
        }

        fn site(&self, file: &str, text: &str) -> &Self {
            std::fs::write(self.0.path().join("sites.d").join(file), text).unwrap();
            self
        }

        fn read(&self) -> DeclaredSites {
            SiteSource::new(Some(self.main()), Some(self.0.path().join("sites.d")), Vec::new()).read().unwrap()
        }
    }

    #[test]
    fn a_file_is_a_site_and_its_stem_the_name() {
        let written = Written::new("[[site]]\nname = 'main'\nadapter = { kind = 'simulator' }\n");
        written.site("b.toml", SIMULATOR).site("a.toml", &format!("name = 'lab'\n{SIMULATOR}"));
        written.site(".hidden.toml", "?").site("a.toml~", "?").site("README", "?");
        let declared = written.read();
        let names: Vec<_> = declared.sites.iter().map(|site| site.name.as_str()).collect();
        assert_eq!((names, declared.refused), (vec!["main", "lab", "b"], Vec::new()));
        assert_eq!(declared.sites[0].origin(), Some(written.main().as_path()));
        assert!(declared.sites[1].origin().unwrap().ends_with("sites.d/a.toml"));
    }

    #[test]
    fn a_wrong_file_is_refused_and_the_others_live() {
        let written = Written::new("[[site]]\nname = 'main'\nadapter = { kind = 'simulator' }\n");
        written.site("good.toml", SIMULATOR).site("main.toml", SIMULATOR);
        written.site("torn.toml", "adapter = {\n  token = \"canary").site("odd.toml", "adaptor = 5\nx = 'canary'\n");
        written.site("Upper.toml", SIMULATOR);
        std::fs::create_dir(written.0.path().join("sites.d/folder.toml")).unwrap();
        let declared = written.read();
        assert_eq!(declared.names().len(), 6);
        assert_eq!(declared.sites.len(), 2);
        for (name, words) in [
            ("torn", "line 2, column "),
            ("odd", "unknown field `adaptor`"),
            ("Upper", "a-z 0-9 -"),
            ("folder", "no regular file"),
            ("main", "another site has this name"),
        ] {
            let refused = declared.refused.iter().find(|refused| refused.name == name).unwrap();
            assert!(refused.reason.contains(words), "{refused}");
            assert!(!refused.to_string().contains("canary"), "{refused}");
        }
    }

    #[test]
    fn no_directory_is_no_site_and_an_unreadable_one_is_told() {
        let written = Written::new("");
        assert!(written.read().is_empty());
        std::fs::remove_dir(written.0.path().join("sites.d")).unwrap();
        assert!(written.read().is_empty());
        std::fs::write(written.0.path().join("sites.d"), "").unwrap();
        assert!(written.read().unreadable.unwrap().contains("sites.d"));
    }
}
