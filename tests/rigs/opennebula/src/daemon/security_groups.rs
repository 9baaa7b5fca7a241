//! Security groups.

use super::access::{Caller, Right, may_create};
use super::documents::{common, listing};
use super::objects::{Kind, Ownership, check_name, chmod, chown, object, rename, take, take_mut};
use super::{Daemon, Methods, Outcome};
use crate::form::{Form, identifiers};
use crate::template::Template;
use crate::wire::answer::{Code, Refusal, Value};
use crate::wire::arguments::Arguments;

/// The table of methods.
pub const METHODS: Methods = &[
    ("one.secgroup.allocate", allocate),
    ("one.secgroup.info", info),
    ("one.secgroup.update", update),
    ("one.secgroup.clone", clone),
    ("one.secgroup.commit", commit),
    ("one.secgroup.delete", delete),
    ("one.secgroup.rename", rename::<SecurityGroup>),
    ("one.secgroup.chmod", chmod::<SecurityGroup>),
    ("one.secgroup.chown", chown::<SecurityGroup>),
    ("one.secgrouppool.info", |daemon, caller, arguments| {
        Ok(Value::Text(listing(daemon, caller, arguments.bounds()?, "SECURITY_GROUP_POOL", write)?))
    }),
];

const FORM: Form = Form::new(include_str!("../../forms/security-group.xml"));
const PROTOCOLS: [&str; 6] = ["TCP", "UDP", "ICMP", "ICMPV6", "IPSEC", "ALL"];

/// A security group.
#[derive(Clone, Debug)]
pub struct SecurityGroup {
    /// Its owner.
    pub ownership: Ownership,
    /// Its name.
    pub name: String,
    /// Its rules, and free attributes.
    pub template: Template,
}

object!(SecurityGroup, Kind::SecurityGroup, security_groups, template);

fn checked(text: &str) -> Result<Template, Refusal> {
    let template = Template::parse(text).map_err(|e| Refusal::new(Code::Internal, e))?;
    for rule in template.vectors("RULE") {
        let is = |name: &str, valid: &[&str]| {
            rule.get(name).is_some_and(|value| valid.iter().any(|v| v.eq_ignore_ascii_case(value)))
        };
        if !is("PROTOCOL", &PROTOCOLS) {
            let text = format!("Wrong PROTOCOL in rule. Valid options: {}.", PROTOCOLS.join(", "));
            return Err(Refusal::new(Code::Internal, text));
        }
        if !is("RULE_TYPE", &["INBOUND", "OUTBOUND"]) {
            let text = "Wrong RULE_TYPE in rule. Valid options: INBOUND, OUTBOUND.";
            return Err(Refusal::new(Code::Internal, text));
        }
        if rule.get("RANGE").is_some_and(|r| !r.chars().all(|c| c.is_ascii_digit() || ",: ".contains(c))) {
            return Err(Refusal::new(Code::Internal, "RANGE in rule is not valid."));
        }
    }
    Ok(template)
}

fn allocate(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let text = arguments.text()?;
    may_create(daemon, caller, Kind::SecurityGroup)?;
    let mut template = checked(&text)?;
    let name = template.take_text("NAME").unwrap_or_default();
    check_name::<SecurityGroup>(daemon, &name, caller.uid).map_err(|(code, text)| Refusal::new(code, text))?;
    Ok(Value::Integer(daemon.security_groups.add(SecurityGroup { ownership: Ownership::of(caller), name, template })))
}

fn write(daemon: &Daemon, id: i32, group: &SecurityGroup, out: &mut String) {
    FORM.fill(out, |hole| match hole {
        "UPDATED_VMS" => {
            let users: Vec<i32> = daemon
                .machines
                .iter()
                .filter(|(_, m)| !m.is_done())
                .filter(|(_, m)| {
                    let groups = m.template.vectors("NIC").filter_map(|n| n.get("SECURITY_GROUPS"));
                    groups.flat_map(|g| g.split(',')).any(|g| g.parse() == Ok(id))
                })
                .map(|(id, _)| id)
                .collect();
            identifiers(&users).into()
        }
        "OUTDATED_VMS" => "".into(),
        "TEMPLATE" => group.template.written().into(),
        hole => common(daemon, id, group, hole).unwrap_or_default(),
    });
}

fn info(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let id = arguments.integer()?;
    let group = take::<SecurityGroup>(daemon, caller, id, Right::Use)?;
    let mut out = String::new();
    write(daemon, id, group, &mut out);
    Ok(Value::Text(out))
}

fn update(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, text, merge) = (arguments.integer()?, arguments.text()?, arguments.integer_or(0)?);
    let group = take_mut::<SecurityGroup>(daemon, caller, id, Right::Manage)?;
    let template = checked(&text)?;
    if merge == 1 {
        group.template.merge(template);
    } else {
        group.template = template;
    }
    Ok(Value::Integer(id))
}

fn clone(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, name) = (arguments.integer()?, arguments.text()?);
    may_create(daemon, caller, Kind::SecurityGroup)?;
    let copy = take::<SecurityGroup>(daemon, caller, id, Right::Use)?.clone();
    check_name::<SecurityGroup>(daemon, &name, caller.uid).map_err(|(code, text)| Refusal::new(code, text))?;
    Ok(Value::Integer(daemon.security_groups.add(SecurityGroup { ownership: Ownership::of(caller), name, ..copy })))
}

/// The machines get the changed rules: here they have them with their next attachment.
fn commit(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let id = arguments.integer()?;
    arguments.boolean_or(false)?;
    take_mut::<SecurityGroup>(daemon, caller, id, Right::Manage)?;
    Ok(Value::Integer(id))
}

fn delete(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let id = arguments.integer()?;
    take_mut::<SecurityGroup>(daemon, caller, id, Right::Manage)?;
    let used = daemon.machines.iter().filter(|(_, m)| !m.is_done()).any(|(_, m)| {
        let mut groups = m.template.vectors("NIC").filter_map(|n| n.get("SECURITY_GROUPS"));
        groups.any(|g| g.split(',').any(|g| g.parse() == Ok(id)))
    });
    if used || id == 0 {
        let text = if used {
            "Can not remove a security group with VMs"
        } else {
            "The default security group (ID 0) cannot be deleted."
        };
        return Err(Refusal::new(Code::Action, format!("Cannot delete security group. {text}")));
    }
    daemon.security_groups.remove(id);
    Ok(Value::Integer(id))
}
