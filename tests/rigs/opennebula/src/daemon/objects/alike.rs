//! The methods that treat all objects alike.

use super::{Kind, Lock, Object, check_name, no_such, take, take_mut};
use crate::daemon::access::{Caller, Right};
use crate::daemon::{Daemon, Outcome, seconds};
use crate::template::Template;
use crate::wire::answer::{Code, Refusal, Value};
use crate::wire::arguments::Arguments;

/// `one.*.rename(id, name)`
pub fn rename<T: Object>(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, name) = (arguments.integer()?, arguments.text()?);
    let uid = take::<T>(daemon, caller, id, Right::Manage)?.ownership().uid;
    check_name::<T>(daemon, &name, uid).map_err(|(_, text)| Refusal::new(Code::Action, text))?;
    take_mut::<T>(daemon, caller, id, Right::Manage)?.set_name(name);
    Ok(Value::Integer(id))
}

/// `one.*.update(id, template, [0 replace | 1 merge])`
pub fn update<T: Object>(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, text, merge) = (arguments.integer()?, arguments.text()?, arguments.integer_or(0)?);
    let object = take_mut::<T>(daemon, caller, id, Right::Manage)?;
    let template =
        Template::parse(&text).map_err(|e| Refusal::new(Code::Internal, format!("Cannot update template. {e}")))?;
    if caller.gid != 0
        && let Some(name) = ["SOURCE", "PATH", "ERROR"].iter().find(|n| T::KIND == Kind::Image && template.has(n))
    {
        return Err(Refusal::new(
            Code::Internal,
            format!("Cannot update template. User Template includes a restricted attribute {name}"),
        ));
    }
    if merge == 1 {
        object.attributes_mut().merge(template);
    } else {
        *object.attributes_mut() = template;
    }
    Ok(Value::Integer(id))
}

/// `one.*.chmod(id, nine numbers: 1, 0, or -1 for as it is)`
pub fn chmod<T: Object>(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let id = arguments.integer()?;
    let mut wanted = [0; 9];
    for number in &mut wanted {
        *number = arguments.integer()?;
    }
    let object = take_mut::<T>(daemon, caller, id, Right::Manage)?;
    for (bit, number) in object.ownership_mut().permissions.iter_mut().zip(wanted) {
        if number >= 0 {
            *bit = number == 1;
        }
    }
    Ok(Value::Integer(id))
}

/// `one.*.chown(id, uid, gid)`, -1 for as it is
pub fn chown<T: Object>(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, uid, gid) = (arguments.integer()?, arguments.integer()?, arguments.integer()?);
    if uid >= 0 && daemon.users.get(uid).is_none() {
        return Err(no_such(Kind::User, uid));
    }
    if gid >= 0 && daemon.groups.get(gid).is_none() {
        return Err(no_such(Kind::Group, gid));
    }
    let right = if uid >= 0 { Right::Admin } else { Right::Manage };
    let ownership = take_mut::<T>(daemon, caller, id, right)?.ownership_mut();
    if uid >= 0 {
        ownership.uid = uid;
    }
    if gid >= 0 {
        ownership.gid = gid;
    }
    Ok(Value::Integer(id))
}

/// `one.*.lock(id, level, [test])`
pub fn lock<T: Object>(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, level, test) = (arguments.integer()?, arguments.integer()?, arguments.boolean_or(false)?);
    if !(1..=4).contains(&level) {
        return Err(Refusal::new(Code::Internal, "Wrong lock level specified."));
    }
    let held = take::<T>(daemon, caller, id, Right::Manage)?.ownership().lock;
    if test && held.is_some() {
        return Err(Refusal::new(Code::Internal, format!("{} is already locked.", T::KIND.word())));
    }
    if let Some(object) = T::pool_mut(daemon).get_mut(id) {
        // Level 4 means all; there is nothing above 1.
        let level = if level == 4 { 1 } else { level };
        object.ownership_mut().lock = Some(Lock { level, owner: caller.uid, time: seconds() });
    }
    Ok(Value::Integer(id))
}

/// `one.*.unlock(id)`
pub fn unlock<T: Object>(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let id = arguments.integer()?;
    take::<T>(daemon, caller, id, Right::Manage)?;
    if let Some(object) = T::pool_mut(daemon).get_mut(id) {
        object.ownership_mut().lock = None;
    }
    Ok(Value::Integer(id))
}
