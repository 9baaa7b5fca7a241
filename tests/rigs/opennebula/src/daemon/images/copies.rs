//! Images made from others.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::{Image, state};
use crate::daemon::access::{Caller, Right, may_create};
use crate::daemon::datastores::Datastore;
use crate::daemon::jobs::{Digests, Job, Origin};
use crate::daemon::objects::{Kind, Ownership, check_name, take};
use crate::daemon::{Daemon, Outcome, seconds};
use crate::wire::answer::{Code, Refusal, Value};
use crate::wire::arguments::Arguments;

/// `one.image.clone(id, name, [datastore])`
pub fn clone(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, name, datastore) = (arguments.integer()?, arguments.text()?, arguments.integer_or(-1)?);
    may_create(daemon, caller, Kind::Image)?;
    let original = take::<Image>(daemon, caller, id, Right::Use)?.clone();
    let datastore = if datastore < 0 { original.datastore } else { datastore };
    take::<Datastore>(daemon, caller, datastore, Right::Use)?;
    if !matches!(original.state, state::READY | state::USED | state::CLONE) {
        return Err(Refusal::new(Code::Action, "Cannot clone image. It is not ready."));
    }
    let made = copy_of(daemon, caller, &original, &name, datastore)?;
    if let Some(image) = daemon.images.get_mut(made) {
        image.template.set("CLONED_FROM", id.to_string());
    }
    if let Some(original) = daemon.images.get_mut(id) {
        original.cloning += 1;
        if original.state == state::READY {
            original.state = state::CLONE;
        }
    }
    let source = PathBuf::from(original.source);
    let target = daemon.fresh_source(datastore, &name);
    daemon.jobs.push(Job { image: made, origin: Origin::File(source), target, digests: Digests::default() });
    Ok(Value::Integer(made))
}

/// A locked image like another one, still without bytes.
///
/// # Errors
/// 16384 when the name is taken.
pub fn copy_of(
    daemon: &mut Daemon,
    caller: &Caller,
    original: &Image,
    name: &str,
    datastore: i32,
) -> Result<i32, Refusal> {
    check_name::<Image>(daemon, name, caller.uid)
        .map_err(|(code, text)| Refusal::new(code, format!("Error allocating a new image. {text}")))?;
    let copy = Image {
        ownership: Ownership::of(caller),
        name: name.into(),
        persistent: false,
        registered: seconds(),
        source: String::new(),
        path: original.source.clone(),
        state: state::LOCKED,
        machines: BTreeSet::new(),
        cloning: 0,
        datastore,
        ..original.clone()
    };
    Ok(daemon.images.add(copy))
}
