//! Images.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::access::{Caller, Right, may_create};
use super::datastores::Datastore;
use super::documents::{common, listing};
use super::events::Happening;
use super::jobs::{Digests, Job, Origin, name_of_file};
use super::objects::{Kind, Ownership, check_name, chmod, chown, lock, object, rename, take, take_mut, unlock, update};
use super::quotas::{self, Wanted};
use super::{Daemon, Methods, Outcome, seconds, world};
use crate::form::{Form, identifiers};
use crate::template::Template;
use crate::wire::answer::{Code, Refusal, Value};
use crate::wire::arguments::Arguments;

pub mod copies;

/// The table of methods.
pub const METHODS: Methods = &[
    ("one.image.allocate", allocate),
    ("one.image.info", info),
    ("one.image.delete", delete),
    ("one.image.clone", copies::clone),
    ("one.image.persistent", set_persistent),
    ("one.image.enable", enable),
    ("one.image.chtype", set_type),
    ("one.image.rename", rename::<Image>),
    ("one.image.update", update::<Image>),
    ("one.image.chmod", chmod::<Image>),
    ("one.image.chown", chown::<Image>),
    ("one.image.lock", lock::<Image>),
    ("one.image.unlock", unlock::<Image>),
    ("one.imagepool.info", |daemon, caller, arguments| {
        Ok(Value::Text(listing(daemon, caller, arguments.bounds()?, "IMAGE_POOL", write)?))
    }),
];

const FORM: Form = Form::new(include_str!("../../forms/image.xml"));
const TYPES: [&str; 8] = ["OS", "CDROM", "DATABLOCK", "KERNEL", "RAMDISK", "CONTEXT", "BACKUP", "FILESYSTEM"];

/// The states of images.
#[allow(missing_docs)]
pub mod state {
    pub const READY: u8 = 1;
    pub const USED: u8 = 2;
    pub const DISABLED: u8 = 3;
    pub const LOCKED: u8 = 4;
    pub const ERROR: u8 = 5;
    pub const CLONE: u8 = 6;
    pub const USED_PERSISTENT: u8 = 8;
    pub const LOCKED_USED: u8 = 9;
    pub const LOCKED_USED_PERSISTENT: u8 = 10;
}

/// An image.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its owner.
    pub ownership: Ownership,
    /// Its name.
    pub name: String,
    /// The place of its type in the list of types.
    pub kind: u8,
    /// Whether a machine's changes are kept.
    pub persistent: bool,
    /// When it was registered.
    pub registered: i64,
    /// Where its bytes are.
    pub source: String,
    /// Where they came from.
    pub path: String,
    /// For instance `qcow2`.
    pub format: String,
    /// The file system of a data block.
    pub file_system: String,
    /// Its size.
    pub megabytes: i64,
    /// Its state.
    pub state: u8,
    /// The machines that use it.
    pub machines: BTreeSet<i32>,
    /// How many images are being cloned from it.
    pub cloning: i32,
    /// Its datastore.
    pub datastore: i32,
    /// Free attributes.
    pub template: Template,
}

object!(Image, Kind::Image, images, template, TAKEN = Code::Allocate);

impl Image {
    /// Whether a machine or a clone uses it.
    pub fn is_in_use(&self) -> bool {
        !self.machines.is_empty() || self.cloning > 0
    }

    /// A machine takes the image.
    ///
    /// # Errors
    /// The text, when it cannot be taken in this state.
    pub fn acquire(&mut self, id: i32, machine: i32) -> Result<(), String> {
        use state::{LOCKED, LOCKED_USED, LOCKED_USED_PERSISTENT, READY, USED, USED_PERSISTENT};
        self.state = match (self.state, self.persistent) {
            (READY, true) => USED_PERSISTENT,
            (READY | USED, false) => USED,
            (LOCKED, true) => LOCKED_USED_PERSISTENT,
            (LOCKED | LOCKED_USED, false) => LOCKED_USED,
            (USED_PERSISTENT | LOCKED_USED_PERSISTENT, _) => {
                return Err(format!("Cannot acquire image {id}, it is persistent and already in use."));
            }
            (state::DISABLED, _) => return Err(format!("Cannot acquire image {id}, it is disabled.")),
            (state::ERROR, _) => return Err(format!("Cannot acquire image {id}, it is in an error state.")),
            _ => return Err(format!("Cannot acquire image {id}, it is locked.")),
        };
        self.machines.insert(machine);
        Ok(())
    }

    /// A machine gives the image back.
    pub fn give_back(&mut self, machine: i32) {
        self.machines.remove(&machine);
        if self.machines.is_empty() {
            self.state = match self.state {
                state::USED | state::USED_PERSISTENT => state::READY,
                state::LOCKED_USED | state::LOCKED_USED_PERSISTENT => state::LOCKED,
                other => other,
            };
        }
    }
}

/// A locked image becomes READY, or USED if a machine waits for it.
pub fn ready(daemon: &mut Daemon, id: i32) {
    if let Some(image) = daemon.images.get_mut(id) {
        image.state = match image.state {
            state::LOCKED_USED => state::USED,
            state::LOCKED_USED_PERSISTENT => state::USED_PERSISTENT,
            state::LOCKED => state::READY,
            other => other,
        };
    }
}

impl Daemon {
    /// The directory of a datastore.
    pub(crate) fn datastore_path(&self, datastore: i32) -> PathBuf {
        self.directory.join("datastores").join(datastore.to_string())
    }

    /// A new name for bytes in a datastore.
    pub(crate) fn fresh_source(&self, datastore: i32, name: &str) -> PathBuf {
        let seed = format!("{name} {} {}", self.images.next_id(), seconds());
        self.datastore_path(datastore).join(name_of_file(&seed))
    }

    /// A job for an image's bytes has ended.
    pub(crate) fn job_done(&mut self, job: &Job, result: Result<u64, String>) {
        let Some(image) = self.images.get_mut(job.image) else { return };
        let origin = image.template.text("CLONED_FROM").and_then(|id| id.parse().ok());
        match result {
            Ok(bytes) => {
                image.source = job.target.display().to_string();
                let megabytes = i64::try_from(bytes.div_ceil(1 << 20)).unwrap_or(i64::MAX);
                if matches!(job.origin, Origin::Url(_)) {
                    image.megabytes = megabytes.max(1);
                }
                ready(self, job.image);
            }
            Err(text) => {
                image.state = state::ERROR;
                image.template.set("ERROR", format!("{} : {text}", world::calendar()));
            }
        }
        if let Some(origin) = origin.and_then(|id| self.images.get_mut(id)) {
            origin.cloning -= 1;
            if origin.cloning <= 0 && origin.state == state::CLONE {
                origin.state = state::READY;
            }
        }
    }
}

fn allocate(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (text, datastore_id) = (arguments.text()?, arguments.integer()?);
    let unchecked = arguments.boolean_or(false)?;
    let mut template = Template::parse(&text).map_err(|e| Refusal::new(Code::Internal, e))?;
    let datastore = take::<Datastore>(daemon, caller, datastore_id, Right::Use)?;
    if datastore.kind == 1 {
        return Err(Refusal::new(Code::Allocate, "New images cannot be allocated in a system datastore."));
    }
    may_create(daemon, caller, Kind::Image)?;
    let named = |code: Code, text: String| Refusal::new(code, format!("Error allocating a new image. {text}"));
    let name = template.take_text("NAME").unwrap_or_default();
    let kind = template.take_text("TYPE").unwrap_or_else(|| "OS".into());
    let kind = TYPES.iter().position(|t| t.eq_ignore_ascii_case(&kind));
    let kind = kind
        .and_then(|k| u8::try_from(k).ok())
        .ok_or_else(|| named(Code::Allocate, format!("Unknown type. Valid types are: {}.", TYPES.join(", "))))?;
    let path = from_app(daemon, caller, &mut template)?.or_else(|| template.take_text("PATH")).unwrap_or_default();
    let size = template.take_text("SIZE").and_then(|s| s.trim().parse::<i64>().ok()).filter(|s| *s > 0);
    if path.is_empty() && size.is_none() {
        let text = "Cannot parse image SIZE: Wrong number or missing SIZE attribute.";
        return Err(Refusal::new(Code::Internal, text));
    }
    check_name::<Image>(daemon, &name, caller.uid).map_err(|(code, text)| named(code, text))?;
    // The real daemon asks the driver for the size of what it will download; here it is known when it is there.
    let megabytes = size.unwrap_or(1);
    if !unchecked && megabytes > daemon.free_megabytes(datastore_id) {
        return Err(Refusal::new(Code::Action, "Not enough space in datastore"));
    }
    let ownership = Ownership::of(caller);
    let images = vec![((datastore_id, "IMAGES"), 1.0), ((datastore_id, "SIZE"), megabytes as f64)];
    quotas::check(daemon, caller, &ownership, &Wanted { images, ..Wanted::default() })?;
    let driver = template.take_text("DRIVER");
    let format = template.take_text("FORMAT").or(driver).unwrap_or_else(|| "raw".into());
    let digests = Digests {
        md5: template.text("MD5").map(str::to_owned),
        sha1: template.text("SHA1").map(str::to_owned),
        sha256: template.text("SHA256").map(str::to_owned),
    };
    let persistent = template.says_yes("PERSISTENT");
    template.take("PERSISTENT");
    template.set_default("DEV_PREFIX", "sd");
    let file_system = template.take_text("FS").unwrap_or_default();
    let target = daemon.fresh_source(datastore_id, &name);
    let now = seconds();
    let id = daemon.images.add(Image {
        ownership,
        name,
        kind,
        persistent,
        registered: now,
        source: String::new(),
        path: path.clone(),
        format,
        file_system,
        megabytes,
        state: state::LOCKED,
        machines: BTreeSet::new(),
        cloning: 0,
        datastore: datastore_id,
        template,
    });
    supply(daemon, id, &path, target, digests, datastore_id);
    Ok(Value::Integer(id))
}

/// What happens with an image that was allocated: a job for its bytes, or an error.
fn supply(daemon: &mut Daemon, id: i32, path: &str, target: PathBuf, digests: Digests, datastore: i32) {
    let dummy = daemon.datastores.get(datastore).is_some_and(|d| d.driver == "dummy");
    if path.starts_with("http://") || path.starts_with("https://") {
        daemon.jobs.push(Job { image: id, origin: Origin::Url(path.to_owned()), target, digests });
        return;
    }
    let Some(image) = daemon.images.get_mut(id) else { return };
    if path.is_empty() && !dummy {
        let bytes = u64::try_from(image.megabytes).unwrap_or(0) << 20;
        daemon.jobs.push(Job { image: id, origin: Origin::Zeros(bytes), target, digests });
    } else if dummy || path.starts_with("/srv/one/images/") {
        // Neither the dummy driver nor the recorded safe directory has bytes.
        image.source = if dummy { "dummy_path".into() } else { target.display().to_string() };
        if dummy && !path.is_empty() {
            image.megabytes = 1024;
            image.format = "dummy_format".into();
        }
        daemon.plan(daemon.settings.delays.image, Happening::ImageReady(id));
    } else {
        let text = format!("Not allowed to copy image from {path}, check RESTRICTED_DIRS in your datastore");
        image.state = state::ERROR;
        image.template.set("ERROR", format!("{} : Error copying image in the datastore: {text}", world::calendar()));
    }
}

/// The download address of a marketplace's appliance, when the image is made from one.
fn from_app(daemon: &Daemon, caller: &Caller, template: &mut Template) -> Result<Option<String>, Refusal> {
    let Some(id) = template.number("FROM_APP") else { return Ok(None) };
    let id = i32::try_from(id).unwrap_or(-1);
    let app = take::<super::markets::App>(daemon, caller, id, Right::Use)?;
    template.set("FROM_APP_MD5", app.md5.clone());
    template.set("FROM_APP_NAME", app.name.clone());
    template.set_default("FORMAT", &app.format);
    Ok(Some(app.source.clone()))
}

/// The document of one image.
pub fn write(daemon: &Daemon, id: i32, image: &Image, out: &mut String) {
    FORM.fill(out, |hole| match hole {
        "TYPE" => image.kind.to_string().into(),
        "DISK_TYPE" => "0".into(),
        "PERSISTENT" => i32::from(image.persistent).to_string().into(),
        "REGTIME" | "MODTIME" => image.registered.to_string().into(),
        "SOURCE" => image.source.clone().into(),
        "PATH" => image.path.clone().into(),
        "FORMAT" => image.format.clone().into(),
        "FS" => image.file_system.clone().into(),
        "SIZE" => image.megabytes.to_string().into(),
        "STATE" | "PREV_STATE" => image.state.to_string().into(),
        "RUNNING_VMS" => image.machines.len().to_string().into(),
        "CLONING_OPS" => image.cloning.to_string().into(),
        "CLONING_ID" => "-1".into(),
        "DATASTORE_ID" => image.datastore.to_string().into(),
        "DATASTORE" => daemon.datastores.get(image.datastore).map_or(String::new(), |d| d.name.clone()).into(),
        "VMS" => identifiers(&image.machines).into(),
        "CLONES" => "".into(),
        "TEMPLATE" => {
            let mut inner = String::new();
            image.template.write_where(&mut inner, |name| name != "CLONED_FROM");
            inner.into()
        }
        hole => common(daemon, id, image, hole).unwrap_or_default(),
    });
}

fn info(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let id = arguments.integer()?;
    let image = take::<Image>(daemon, caller, id, Right::Use)?;
    let mut out = String::new();
    write(daemon, id, image, &mut out);
    Ok(Value::Text(out))
}

fn delete(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, force) = (arguments.integer()?, arguments.boolean_or(false)?);
    let image = take_mut::<Image>(daemon, caller, id, Right::Manage)?;
    if !image.machines.is_empty() {
        let text = format!("Cannot delete image. There are {} VMs using it.", image.machines.len());
        return Err(Refusal::new(Code::Action, text));
    }
    if image.is_in_use() && !force {
        return Err(Refusal::new(Code::Action, "Cannot delete image. There are active clone operations."));
    }
    let source = PathBuf::from(&image.source);
    daemon.images.remove(id);
    if source.starts_with(&daemon.directory) {
        // Gone already is as good.
        let _ = std::fs::remove_file(source);
    }
    Ok(Value::Integer(id))
}

fn set_persistent(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, persistent) = (arguments.integer()?, arguments.boolean()?);
    let image = take_mut::<Image>(daemon, caller, id, Right::Manage)?;
    if image.is_in_use() {
        return Err(Refusal::new(Code::Internal, "Image cannot be in use to change the persistent attribute."));
    }
    image.persistent = persistent;
    Ok(Value::Integer(id))
}

fn enable(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, enabled) = (arguments.integer()?, arguments.boolean()?);
    let image = take_mut::<Image>(daemon, caller, id, Right::Manage)?;
    if image.is_in_use() {
        return Err(Refusal::new(Code::Internal, "Image cannot be in use to be enabled or disabled."));
    }
    image.state = if enabled { state::READY } else { state::DISABLED };
    Ok(Value::Integer(id))
}

fn set_type(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, name) = (arguments.integer()?, arguments.text()?);
    let kind = TYPES.iter().position(|t| *t == name).and_then(|k| u8::try_from(k).ok());
    let image = take_mut::<Image>(daemon, caller, id, Right::Manage)?;
    image.kind = kind.ok_or_else(|| Refusal::new(Code::Internal, format!("Unknown type \"{name}\"")))?;
    Ok(Value::Integer(id))
}
