//! Datastores.

use std::collections::BTreeSet;

use super::access::{Caller, Right, may_create};
use super::documents::{common, whole};
use super::objects::{Kind, Ownership, check_name, chmod, chown, no_such, object, rename, take, take_mut, update};
use super::{Daemon, Methods, Outcome};
use crate::form::{Form, identifiers};
use crate::template::Template;
use crate::wire::answer::{Code, Refusal, Value};
use crate::wire::arguments::Arguments;

/// The table of methods.
pub const METHODS: Methods = &[
    ("one.datastore.allocate", allocate),
    ("one.datastore.info", info),
    ("one.datastore.enable", enable),
    ("one.datastore.update", update::<Datastore>),
    ("one.datastore.rename", rename::<Datastore>),
    ("one.datastore.chmod", chmod::<Datastore>),
    ("one.datastore.chown", chown::<Datastore>),
    ("one.datastore.delete", delete),
    ("one.datastorepool.info", |daemon, caller, _| Ok(Value::Text(whole(daemon, caller, "DATASTORE_POOL", write)?))),
];

const FORM: Form = Form::new(include_str!("../../forms/datastore.xml"));
const DRIVERS: [&str; 6] = ["dummy", "fs", "lvm", "ceph", "dev", "-"];

/// A datastore.
#[derive(Clone, Debug)]
pub struct Datastore {
    /// Its owner.
    pub ownership: Ownership,
    /// Its name.
    pub name: String,
    /// 0 images, 1 running machines, 2 files, 3 backups.
    pub kind: u8,
    /// The storage driver.
    pub driver: String,
    /// The transfer driver.
    pub transfer: String,
    /// Whether it is enabled.
    pub enabled: bool,
    /// Its clusters.
    pub clusters: BTreeSet<i32>,
    /// All attributes.
    pub template: Template,
}

object!(Datastore, Kind::Datastore, datastores, template);

impl Datastore {
    /// A datastore from its template, with the defaults that the daemon adds.
    pub fn new(name: String, mut template: Template, cluster: i32) -> Self {
        let kind = match template.text("TYPE") {
            Some("SYSTEM_DS") => 1,
            Some("FILE_DS") => 2,
            Some("BACKUP_DS") => 3,
            _ => 0,
        };
        template.set_default("TYPE", "IMAGE_DS");
        let transfer = template.text("TM_MAD").unwrap_or("-").to_owned();
        let driver = template.text("DS_MAD").unwrap_or("-").to_owned();
        let local = transfer == "local";
        let mut defaults = vec![
            ("ALLOW_ORPHANS", if local { "FORMAT" } else { "NO" }),
            ("PERSISTENT_SNAPSHOTS", "YES"),
            ("RESTRICTED_DIRS", "/"),
            ("SAFE_DIRS", "/var/tmp"),
        ];
        if kind == 1 {
            defaults.extend([("DISK_TYPE", "FILE"), ("DS_LIVE_MIGRATE", "YES"), ("DS_MIGRATE", "YES")]);
            defaults.extend([("DS_MIGRATE_SNAP", "YES"), ("SHARED", if local { "NO" } else { "YES" })]);
        } else {
            defaults.extend([("CLONE_TARGET", "SYSTEM"), ("LN_TARGET", if local { "SYSTEM" } else { "NONE" })]);
        }
        if kind == 0 {
            defaults.push(("DISK_TYPE", "FILE"));
        }
        for (name, value) in defaults {
            template.set_default(name, value);
        }
        Self {
            ownership: Ownership::of_oneadmin("110100000"),
            name,
            kind,
            driver,
            transfer,
            enabled: true,
            clusters: BTreeSet::from([cluster]),
            template,
        }
    }
}

impl Daemon {
    fn used_megabytes(&self, datastore: i32) -> i64 {
        self.images.iter().filter(|(_, i)| i.datastore == datastore).map(|(_, i)| i.megabytes).sum()
    }

    /// What is left in a datastore.
    pub(crate) fn free_megabytes(&self, datastore: i32) -> i64 {
        self.settings.datastore_megabytes - self.used_megabytes(datastore)
    }
}

fn allocate(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (text, cluster) = (arguments.text()?, arguments.integer_or(0)?);
    may_create(daemon, caller, Kind::Datastore)?;
    let mut template = Template::parse(&text).map_err(|e| Refusal::new(Code::Internal, e))?;
    let name = template.take_text("NAME").unwrap_or_default();
    check_name::<Datastore>(daemon, &name, caller.uid).map_err(|(code, text)| Refusal::new(code, text))?;
    let driver = template.text("DS_MAD").unwrap_or("-");
    if !DRIVERS.contains(&driver) {
        let text = format!("DS_MAD named \"{driver}\" is not defined in oned.conf");
        return Err(Refusal::new(Code::Internal, text));
    }
    let cluster = if cluster < 0 { 0 } else { cluster };
    daemon.clusters.get(cluster).ok_or_else(|| no_such(Kind::Cluster, cluster))?;
    Ok(Value::Integer(daemon.datastores.add(Datastore::new(name, template, cluster))))
}

fn write(daemon: &Daemon, id: i32, datastore: &Datastore, out: &mut String) {
    let images: Vec<i32> = daemon.images.iter().filter(|(_, i)| i.datastore == id).map(|(id, _)| id).collect();
    FORM.fill(out, |hole| match hole {
        "DS_MAD" => datastore.driver.clone().into(),
        "TM_MAD" => datastore.transfer.clone().into(),
        "BASE_PATH" => daemon.datastore_path(id).display().to_string().into(),
        "TYPE" => datastore.kind.to_string().into(),
        "DISK_TYPE" => "0".into(),
        "STATE" => i32::from(!datastore.enabled).to_string().into(),
        "CLUSTERS" => identifiers(&datastore.clusters).into(),
        "TOTAL_MB" => daemon.settings.datastore_megabytes.to_string().into(),
        "FREE_MB" => daemon.free_megabytes(id).to_string().into(),
        "USED_MB" => daemon.used_megabytes(id).to_string().into(),
        "IMAGES" => identifiers(&images).into(),
        "TEMPLATE" => datastore.template.written().into(),
        hole => common(daemon, id, datastore, hole).unwrap_or_default(),
    });
}

fn info(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let id = arguments.integer()?;
    let datastore = take::<Datastore>(daemon, caller, id, Right::Use)?;
    let mut out = String::new();
    write(daemon, id, datastore, &mut out);
    Ok(Value::Text(out))
}

fn enable(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, enabled) = (arguments.integer()?, arguments.boolean()?);
    take_mut::<Datastore>(daemon, caller, id, Right::Manage)?.enabled = enabled;
    Ok(Value::Integer(id))
}

fn delete(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let id = arguments.integer()?;
    take_mut::<Datastore>(daemon, caller, id, Right::Admin)?;
    if daemon.images.iter().any(|(_, i)| i.datastore == id) {
        let text = format!("Cannot delete datastore. Datastore {id} is not empty.");
        return Err(Refusal::new(Code::Action, text));
    }
    daemon.datastores.remove(id);
    Ok(Value::Integer(id))
}
