//! Which objects a pool's listing holds: the filter flag and the range.

use super::access::Caller;
use super::objects::Ownership;
use crate::wire::answer::{Code, Refusal};

/// Whose objects are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// -4: of the primary group.
    PrimaryGroup,
    /// -3: the caller's.
    Mine,
    /// -2: all that the caller may use.
    All,
    /// -1: the caller's and those of its groups.
    MineAndGroups,
    /// 0 and more: of this user.
    User(i32),
}

impl Whose {
    /// Reads the filter flag.
    ///
    /// # Errors
    /// 4096 when it is below -4.
    pub fn parse(flag: i32) -> Result<Self, Refusal> {
        match flag {
            -4 => Ok(Self::PrimaryGroup),
            -3 => Ok(Self::Mine),
            -2 => Ok(Self::All),
            -1 => Ok(Self::MineAndGroups),
            uid if uid >= 0 => Ok(Self::User(uid)),
            _ => Err(Refusal::new(Code::Interface, "Incorrect filter_flag")),
        }
    }

    /// Whether an object is listed, given whether the caller may use it.
    pub fn covers(self, caller: &Caller, ownership: &Ownership, usable: impl FnOnce() -> bool) -> bool {
        let own = ownership.uid == caller.uid;
        match self {
            Self::PrimaryGroup => ownership.gid == caller.gid && usable(),
            Self::Mine => own,
            Self::All => usable(),
            Self::MineAndGroups => own || (caller.groups.contains(&ownership.gid) && usable()),
            Self::User(uid) => ownership.uid == uid && usable(),
        }
    }
}

/// Which part of the list is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// All of it.
    All,
    /// Identifiers from the first to the second, both included; without second to the end.
    Identifiers(i32, Option<i32>),
    /// Some of the list: how many are left out, and how many follow.
    Page(usize, usize),
}

impl Range {
    /// Reads start and end. A start of -1 with a positive end is no bound.
    pub fn parse(start: i32, end: i32) -> Self {
        if end < -1 {
            let size = usize::try_from(-i64::from(end)).unwrap_or(usize::MAX);
            Self::Page(usize::try_from(start).unwrap_or(0), size)
        } else if start < 0 {
            Self::All
        } else {
            Self::Identifiers(start, (end >= 0).then_some(end))
        }
    }

    /// The wanted part of a list that is sorted by descending identifier.
    pub fn cut<'a, T>(self, list: impl Iterator<Item = (i32, &'a T)>) -> Vec<(i32, &'a T)> {
        match self {
            Self::All => list.collect(),
            Self::Identifiers(first, last) => {
                list.filter(|(id, _)| *id >= first && last.is_none_or(|last| *id <= last)).collect()
            }
            Self::Page(left_out, size) => list.skip(left_out).take(size).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(start: i32, end: i32) -> Vec<i32> {
        let list = [9, 7, 5, 3, 1];
        Range::parse(start, end).cut(list.iter().map(|id| (*id, &()))).into_iter().map(|(id, ())| id).collect()
    }

    #[test]
    fn ranges_and_pages() {
        assert_eq!(ids(-1, -1), [9, 7, 5, 3, 1]);
        assert_eq!(ids(3, 7), [7, 5, 3]);
        assert_eq!(ids(5, -1), [9, 7, 5]);
        assert_eq!(ids(-1, 3), [9, 7, 5, 3, 1]);
        assert_eq!(ids(0, -2), [9, 7]);
        assert_eq!(ids(2, -2), [5, 3]);
        assert_eq!(ids(4, -2), [1]);
    }
}
