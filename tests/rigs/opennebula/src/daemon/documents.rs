//! What all documents of owned objects begin with.

use std::borrow::Cow;

use super::Daemon;
use super::access::{Caller, Right, may};
use super::objects::Object;
use super::paging::{Range, Whose};
use crate::wire::answer::Refusal;

/// ID, UID, GID, UNAME, GNAME, NAME and PERMISSIONS; for other holes nothing.
pub fn common<'a, T: Object>(daemon: &Daemon, id: i32, object: &T, hole: &str) -> Option<Cow<'a, str>> {
    let ownership = object.ownership();
    Some(match hole {
        "ID" => id.to_string().into(),
        "UID" => ownership.uid.to_string().into(),
        "GID" => ownership.gid.to_string().into(),
        "UNAME" => daemon.user_name(ownership.uid).to_owned().into(),
        "GNAME" => daemon.group_name(ownership.gid).to_owned().into(),
        "NAME" => object.name().to_owned().into(),
        "PERMISSIONS" => {
            let mut out = String::new();
            ownership.write_permissions(&mut out);
            out.into()
        }
        _ => return None,
    })
}

/// A pool's document with the objects that the bounds and the caller's rights leave.
///
/// # Errors
/// 4096 for a wrong filter flag.
pub fn listing<T: Object>(
    daemon: &Daemon,
    caller: &Caller,
    bounds: (i32, i32, i32),
    element: &str,
    write: impl Fn(&Daemon, i32, &T, &mut String),
) -> Result<String, Refusal> {
    let whose = Whose::parse(bounds.0)?;
    let range = Range::parse(bounds.1, bounds.2);
    let visible = T::pool(daemon).descending().filter(|(id, object)| {
        let usable = || may(daemon, caller, Right::Use, T::KIND, Some(*id), object.ownership());
        whose.covers(caller, object.ownership(), usable)
    });
    let mut out = format!("<{element}>");
    for (id, object) in range.cut(visible) {
        write(daemon, id, object, &mut out);
    }
    out.push_str(&format!("</{element}>"));
    Ok(out)
}

/// The whole pool, for those that have neither filter nor pages.
pub fn whole<T: Object>(
    daemon: &Daemon,
    caller: &Caller,
    element: &str,
    write: impl Fn(&Daemon, i32, &T, &mut String),
) -> Result<String, Refusal> {
    listing(daemon, caller, (-2, -1, -1), element, write)
}
