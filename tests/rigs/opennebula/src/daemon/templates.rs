//! Machine templates.

use super::access::{Caller, Right, may_create};
use super::creation::{self, Request};
use super::documents::{common, listing};
use super::objects::{Kind, Ownership, check_name, chmod, chown, lock, object, rename, take, take_mut, unlock, update};
use super::{Daemon, Methods, Outcome, seconds};
use crate::form::Form;
use crate::template::Template;
use crate::wire::answer::{Code, Refusal, Value};
use crate::wire::arguments::Arguments;

/// The table of methods.
pub const METHODS: Methods = &[
    ("one.template.allocate", allocate),
    ("one.template.info", info),
    ("one.template.instantiate", instantiate),
    ("one.template.clone", clone),
    ("one.template.delete", delete),
    ("one.template.update", update::<MachineTemplate>),
    ("one.template.rename", rename::<MachineTemplate>),
    ("one.template.chmod", chmod::<MachineTemplate>),
    ("one.template.chown", chown::<MachineTemplate>),
    ("one.template.lock", lock::<MachineTemplate>),
    ("one.template.unlock", unlock::<MachineTemplate>),
    ("one.templatepool.info", |daemon, caller, arguments| {
        Ok(Value::Text(listing(daemon, caller, arguments.bounds()?, "VMTEMPLATE_POOL", write)?))
    }),
];

const FORM: Form = Form::new(include_str!("../../forms/template.xml"));

/// A machine template.
#[derive(Clone, Debug)]
pub struct MachineTemplate {
    /// Its owner.
    pub ownership: Ownership,
    /// Its name.
    pub name: String,
    /// When it was registered.
    pub registered: i64,
    /// What machines get from it.
    pub template: Template,
}

object!(MachineTemplate, Kind::Template, templates, template);

fn allocate(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let text = arguments.text()?;
    may_create(daemon, caller, Kind::Template)?;
    let mut template = Template::parse(&text).map_err(|e| Refusal::new(Code::Internal, e))?;
    let name = template.take_text("NAME").unwrap_or_default();
    check_name::<MachineTemplate>(daemon, &name, caller.uid).map_err(|(code, text)| Refusal::new(code, text))?;
    let ownership = Ownership::of(caller);
    Ok(Value::Integer(daemon.templates.add(MachineTemplate { ownership, name, registered: seconds(), template })))
}

fn write(daemon: &Daemon, id: i32, template: &MachineTemplate, out: &mut String) {
    FORM.fill(out, |hole| match hole {
        "REGTIME" => template.registered.to_string().into(),
        "TEMPLATE" => template.template.written().into(),
        hole => common(daemon, id, template, hole).unwrap_or_default(),
    });
}

fn info(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, extended) = (arguments.integer()?, arguments.boolean_or(false)?);
    let template = take::<MachineTemplate>(daemon, caller, id, Right::Use)?;
    let mut shown = template.clone();
    if extended {
        creation::describe_disks(daemon, caller, &mut shown.template)?;
    }
    let mut out = String::new();
    write(daemon, id, &shown, &mut out);
    Ok(Value::Text(out))
}

fn instantiate(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, name) = (arguments.integer()?, arguments.text()?);
    let (hold, extra) = (arguments.boolean_or(false)?, arguments.text_or("")?);
    arguments.boolean_or(false)?;
    let from = take::<MachineTemplate>(daemon, caller, id, Right::Use)?;
    let mut template = from.template.clone();
    if !extra.trim().is_empty() {
        template.merge(Template::parse(&extra).map_err(|e| Refusal::new(Code::Internal, e))?);
    }
    template.set("TEMPLATE_ID", id.to_string());
    template.take("NAME");
    let name = if name.is_empty() { format!("{}-%i", from.name) } else { name };
    creation::create(daemon, caller, Request { name, template, hold })
}

fn clone(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, name) = (arguments.integer()?, arguments.text()?);
    may_create(daemon, caller, Kind::Template)?;
    let copy = take::<MachineTemplate>(daemon, caller, id, Right::Use)?.clone();
    check_name::<MachineTemplate>(daemon, &name, caller.uid).map_err(|(code, text)| Refusal::new(code, text))?;
    let copy = MachineTemplate { ownership: Ownership::of(caller), name, registered: seconds(), ..copy };
    Ok(Value::Integer(daemon.templates.add(copy)))
}

fn delete(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let id = arguments.integer()?;
    take_mut::<MachineTemplate>(daemon, caller, id, Right::Manage)?;
    daemon.templates.remove(id);
    Ok(Value::Integer(id))
}
