//! Groups.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::access::{Caller, Right, may, may_create};
use super::acl::Rule;
use super::objects::{Kind, Object, Ownership, object, take, take_mut, update};
use super::quotas::{self, Quotas};
use super::{Daemon, Methods, Outcome};
use crate::form::{Form, identifiers};
use crate::template::Template;
use crate::wire::answer::{Code, Refusal, Value};
use crate::wire::arguments::Arguments;

/// The table of methods.
pub const METHODS: Methods = &[
    ("one.group.allocate", allocate),
    ("one.group.info", info),
    ("one.group.update", update::<Group>),
    ("one.group.addadmin", add_administrator),
    ("one.group.deladmin", remove_administrator),
    ("one.group.delete", delete),
    ("one.grouppool.info", pool),
];

const FORM: Form = Form::new(include_str!("../../forms/group.xml"));

/// A group.
#[derive(Clone, Debug)]
pub struct Group {
    /// Groups belong to themselves.
    pub ownership: Ownership,
    /// Its name.
    pub name: String,
    /// Free attributes.
    pub template: Template,
    /// Its administrators.
    pub administrators: BTreeSet<i32>,
    /// Limits.
    pub quotas: Quotas,
}

object!(Group, Kind::Group, groups, template);

impl Group {
    /// A group with this identifier.
    pub fn new(id: i32, name: &str) -> Self {
        Self {
            ownership: Ownership {
                uid: 0,
                gid: id,
                permissions: [true, true, false, true, false, false, false, false, false],
                lock: None,
            },
            name: name.into(),
            template: Template::default(),
            administrators: BTreeSet::new(),
            quotas: Quotas::default(),
        }
    }
}

fn allocate(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let name = arguments.text()?;
    may_create(daemon, caller, Kind::Group)?;
    super::objects::check_name::<Group>(daemon, &name, 0).map_err(|(code, text)| Refusal::new(code, text))?;
    let id = daemon.groups.add(Group::new(daemon.groups.next_id(), &name));
    // The default data centre covers all: its members may use the infrastructure, but create nothing.
    for (kind, rights) in [(Kind::Host, 2), (Kind::Network, 1), (Kind::Datastore, 1)] {
        daemon.rules.add(Rule { zone: 0x1_0000_0000, ..Rule::for_group(id, kind.bit(), rights) });
    }
    Ok(Value::Integer(id))
}

fn write(daemon: &Daemon, id: i32, group: &Group, quotas: &str, out: &mut String) {
    let members: Vec<i32> = daemon.users.iter().filter(|(_, u)| u.groups.contains(&id)).map(|(id, _)| id).collect();
    FORM.fill(out, |hole| match hole {
        "ID" => id.to_string().into(),
        "NAME" => group.name.clone().into(),
        "TEMPLATE" => group.template.written().into(),
        "USERS" => identifiers(&members).into(),
        "ADMINS" => identifiers(&group.administrators).into(),
        _ => quotas.to_owned().into(),
    });
}

fn info(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let id = match arguments.integer()? {
        -1 => caller.gid,
        id => id,
    };
    let group = take::<Group>(daemon, caller, id, Right::Use)?;
    let mut quotas = String::new();
    group.quotas.write(&quotas::Used::by_group(daemon, id), &mut quotas);
    let _ = write!(quotas, "<VLAN_RULES><ID><![CDATA[{id}]]></ID></VLAN_RULES>");
    quotas::write_defaults("GROUP", &mut quotas);
    let mut out = String::new();
    write(daemon, id, group, &quotas, &mut out);
    Ok(Value::Text(out))
}

fn pool(daemon: &mut Daemon, caller: &Caller, _: &mut Arguments) -> Outcome {
    let mut out = String::from("<GROUP_POOL>");
    for (id, group) in daemon.groups.descending() {
        if may(daemon, caller, Right::Use, Kind::Group, Some(id), group.ownership()) {
            write(daemon, id, group, "", &mut out);
            let _ = write!(out, "<QUOTAS><ID>{id}</ID>");
            group.quotas.write(&quotas::Used::by_group(daemon, id), &mut out);
            let _ = write!(out, "</QUOTAS><VLAN_RULES><ID><![CDATA[{id}]]></ID></VLAN_RULES>");
        }
    }
    quotas::write_defaults("GROUP", &mut out);
    out.push_str("</GROUP_POOL>");
    Ok(Value::Text(out))
}

fn add_administrator(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (gid, uid) = (arguments.integer()?, arguments.integer()?);
    let fresh = take_mut::<Group>(daemon, caller, gid, Right::Admin)?.administrators.insert(uid);
    if fresh { Ok(Value::Integer(gid)) } else { Err(Refusal::new(Code::Internal, "User is already an administrator")) }
}

fn remove_administrator(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (gid, uid) = (arguments.integer()?, arguments.integer()?);
    let found = take_mut::<Group>(daemon, caller, gid, Right::Admin)?.administrators.remove(&uid);
    if found { Ok(Value::Integer(gid)) } else { Err(Refusal::new(Code::Internal, "User is not an administrator")) }
}

fn delete(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let id = arguments.integer()?;
    take_mut::<Group>(daemon, caller, id, Right::Admin)?;
    if id < 100 {
        let text = "Cannot delete group. System Groups (ID < 100) cannot be deleted.";
        return Err(Refusal::new(Code::Action, text));
    }
    if daemon.users.iter().any(|(_, u)| u.groups.contains(&id)) {
        return Err(Refusal::new(Code::Action, format!("Cannot delete group. Group {id} is not empty.")));
    }
    daemon.groups.remove(id);
    Ok(Value::Integer(id))
}
