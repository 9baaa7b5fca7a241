//! Access rules.

use super::access::{Caller, Right, only_oneadmin};
use super::objects::{Kind, Ownership};
use super::{Daemon, Methods, Outcome};
use crate::wire::answer::{Code, Refusal, Value};
use crate::wire::arguments::Arguments;

/// The table of methods.
pub const METHODS: Methods = &[("one.acl.addrule", add_rule), ("one.acl.delrule", delete_rule), ("one.acl.info", info)];

const INDIVIDUAL: u64 = 0x1_0000_0000;
const GROUP: u64 = 0x2_0000_0000;
const ALL: u64 = 0x4_0000_0000;
const CLUSTER: u64 = 0x8_0000_0000;
const IDENTIFIER: u64 = 0xFFFF_FFFF;

/// One rule, in the numbers of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Who.
    pub user: u64,
    /// What.
    pub resource: u64,
    /// 1 use, 2 manage, 4 admin, 8 create.
    pub rights: u64,
    /// In which zone.
    pub zone: u64,
}

impl Rule {
    /// What a group may do with all objects of some kinds.
    pub fn for_group(gid: i32, kinds: u64, rights: u64) -> Self {
        Self { user: GROUP | u64::from(gid.unsigned_abs()), resource: kinds | ALL, rights, zone: ALL }
    }

    /// What everybody may do with all objects of some kinds.
    pub fn for_all(kinds: u64, rights: u64) -> Self {
        Self { user: ALL, resource: kinds | ALL, rights, zone: ALL }
    }

    /// Whether it is about the caller.
    pub fn concerns(&self, caller: &Caller) -> bool {
        let id = self.user & IDENTIFIER;
        let is = |number: &i32| u64::from(number.unsigned_abs()) == id;
        self.user & ALL != 0
            || (self.user & INDIVIDUAL != 0 && is(&caller.uid))
            || (self.user & GROUP != 0 && caller.groups.iter().any(is))
    }

    /// Whether it is about the object.
    pub fn covers(&self, kind: Kind, object: Option<i32>, ownership: &Ownership) -> bool {
        let id = self.resource & IDENTIFIER;
        let is = |number: i32| u64::from(number.unsigned_abs()) == id;
        self.resource & kind.bit() != 0
            && (self.resource & ALL != 0
                || (self.resource & INDIVIDUAL != 0 && object.is_some_and(is))
                || (self.resource & GROUP != 0 && is(ownership.gid)))
    }

    fn string(&self) -> String {
        format!("{} {} {} {}", who(self.user), resource(self.resource), rights(self.rights), who(self.zone))
    }
}

fn who(bits: u64) -> String {
    let id = bits & IDENTIFIER;
    match bits & !IDENTIFIER {
        ALL => "*".into(),
        GROUP => format!("@{id}"),
        INDIVIDUAL => format!("#{id}"),
        CLUSTER => format!("%{id}"),
        _ => "??".into(),
    }
}

fn resource(bits: u64) -> String {
    const NAMES: [(u64, &str); 21] = [
        (0, "VM"),
        (1, "HOST"),
        (2, "NET"),
        (3, "IMAGE"),
        (4, "USER"),
        (5, "TEMPLATE"),
        (6, "GROUP"),
        (8, "DATASTORE"),
        (9, "CLUSTER"),
        (10, "DOCUMENT"),
        (11, "ZONE"),
        (12, "SECGROUP"),
        (13, "VDC"),
        (14, "VROUTER"),
        (15, "MARKETPLACE"),
        (16, "MARKETPLACEAPP"),
        (17, "VMGROUP"),
        (18, "VNTEMPLATE"),
        (20, "BACKUPJOB"),
        (7, "-"),
        (19, "-"),
    ];
    let kinds: Vec<_> =
        NAMES.iter().filter(|(shift, _)| bits & (0x10_0000_0000 << shift) != 0).map(|(_, name)| *name).collect();
    format!("{}/{}", kinds.join("+"), who(bits & 0xF_FFFF_FFFF))
}

fn rights(bits: u64) -> String {
    let names: Vec<_> = [(1, "USE"), (2, "MANAGE"), (4, "ADMIN"), (8, "CREATE")]
        .iter()
        .filter(|(bit, _)| bits & bit != 0)
        .map(|(_, name)| *name)
        .collect();
    names.join("+")
}

fn add_rule(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let texts = [arguments.text()?, arguments.text()?, arguments.text()?, arguments.text_or("400000000")?];
    only_oneadmin(caller, Right::Manage, "ACL")?;
    let [user, resource, rights, zone] = texts.map(|t| u64::from_str_radix(&t, 16).unwrap_or(0));
    let rule = Rule { user, resource, rights, zone };
    let mut missing = Vec::new();
    if user & (INDIVIDUAL | GROUP | ALL) == 0 {
        missing.push("[user] is missing one of the INDIVIDUAL, GROUP or ALL bits");
    }
    if resource & (INDIVIDUAL | GROUP | ALL | CLUSTER) == 0 {
        missing.push("[resource] is missing one of the INDIVIDUAL, GROUP, CLUSTER or ALL bits");
    }
    if resource >> 36 == 0 {
        missing.push("[resource] type is missing");
    }
    if rights == 0 || rights > 0xF {
        missing.push("wrong [rights], it cannot be 0");
    }
    if zone & (INDIVIDUAL | ALL) == 0 {
        missing.push("[zone] is missing one of the INDIVIDUAL or ALL bits");
    }
    if !missing.is_empty() {
        let text = format!("Rule {} is malformed: {}", rule.string(), missing.join("; "));
        return Err(Refusal::new(Code::Internal, text));
    }
    if daemon.rules.iter().any(|(_, known)| *known == rule) {
        return Err(Refusal::new(Code::Internal, format!("Rule {} already exists", rule.string())));
    }
    Ok(Value::Integer(daemon.rules.add(rule)))
}

fn delete_rule(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let id = arguments.integer()?;
    only_oneadmin(caller, Right::Manage, "ACL")?;
    match daemon.rules.remove(id) {
        Some(_) => Ok(Value::Integer(id)),
        None => Err(Refusal::new(Code::Internal, format!("Rule {id} does not exist"))),
    }
}

fn info(daemon: &mut Daemon, caller: &Caller, _: &mut Arguments) -> Outcome {
    only_oneadmin(caller, Right::Manage, "ACL")?;
    let mut rules: Vec<_> = daemon.rules.iter().collect();
    rules.sort_by_key(|(id, rule)| (rule.user, *id));
    let mut out = String::from("<ACL_POOL>");
    for (id, rule) in rules {
        out.push_str(&format!(
            "<ACL><ID>{id}</ID><USER>{:x}</USER><RESOURCE>{:x}</RESOURCE><RIGHTS>{:x}</RIGHTS><ZONE>{:x}</ZONE>\
             <STRING>{}</STRING></ACL>",
            rule.user,
            rule.resource,
            rule.rights,
            rule.zone,
            rule.string()
        ));
    }
    out.push_str("</ACL_POOL>");
    Ok(Value::Text(out))
}
