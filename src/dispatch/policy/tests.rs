use std::time::Duration;

use proptest::{collection, option, prelude::*, sample};

use super::{
    DEFAULT, Load, Operation, Period, Policy, Priority,
    rule::{Bound, Constraint, Reserve, Rule, Subject},
};

const SITES: [&str; 3] = ["lab", "school-2", "0"];

fn policy(text: &str) -> Policy {
    Policy::parse(text).unwrap()
}

fn room(policy: &Policy, operation: Operation, load: &Load) -> (u32, u32) {
    let of = |priority| policy.room("lab", operation, priority, load);
    (of(Priority::User), of(Priority::Internal))
}

fn busy(operation: Operation, active: u64, waiting: u64) -> Load {
    let mut load = Load::default();
    load.of_mut(operation).active = active;
    load.of_mut(operation).waiting = waiting;
    load
}

#[test]
fn a_tenth_of_the_checkouts_stays_in_reserve() {
    let policy = policy("create: active < 256 - 10 %   # as RC2 had it\n");
    assert_eq!(room(&policy, Operation::Create, &Load::default()), (230, 256));
    assert_eq!(room(&policy, Operation::Create, &busy(Operation::Create, 229, 0)), (1, 27));
    assert_eq!(room(&policy, Operation::Create, &busy(Operation::Create, 230, 0)), (0, 26));
    assert_eq!(room(&policy, Operation::Create, &busy(Operation::Create, 300, 0)), (0, 0));
    assert_eq!(room(&policy, Operation::Remove, &busy(Operation::Create, 300, 0)), (u32::MAX, u32::MAX));
}

#[test]
fn a_reserve_is_rounded_up_and_leaves_users_one() {
    for (text, user, internal) in [
        ("any: active < 4 - 10 %", 3, 4),
        ("any: active < 1 - 10 %", 1, 1),
        ("any: active < 2 - 99 %", 1, 2),
        ("any: active < 0 - 50 %", 0, 0),
        ("any: active < 10 - 9", 1, 10),
        ("any: active < 1000000000 - 50 %", 500_000_000, 1_000_000_000),
    ] {
        assert_eq!(room(&policy(text), Operation::Link, &Load::default()), (user, internal), "{text}");
    }
}

#[test]
fn all_lines_hold_at_once_and_any_counts_all_together() {
    let policy = policy("create: active < 5\nremove: active < 5\nany: active < 7\n");
    let mut load = Load::default();
    for claimed in 0..5 {
        assert_eq!(room(&policy, Operation::Create, &load).0, 5 - claimed);
        load.claim(Operation::Create);
    }
    assert_eq!(room(&policy, Operation::Create, &load).0, 0);
    assert_eq!(room(&policy, Operation::Remove, &load).0, 2);
    load.claim(Operation::Remove);
    load.claim(Operation::Power);
    assert_eq!(room(&policy, Operation::Remove, &load).0, 0);
}

#[test]
fn a_line_for_a_site_replaces_the_general_one_and_no_other() {
    let policy = policy(
        "create: active < 4\nany: active < 6\ncreate @ lab: active < 100\ncreate: waited < 1 h\n\
         create @ 0: started < 1 per s\ncreate: started < 2 per min\ncreate @ lab: waited < 2 h",
    );
    let at = |site| policy.room(site, Operation::Create, Priority::User, &Load::default());
    assert_eq!((at("lab"), at("school-2"), at("0")), (2, 2, 1));
    let live = |site| policy.time_to_live(site, Operation::Create).map(|time| time.as_secs());
    assert_eq!((live("lab"), live("0")), (Some(7200), Some(3600)));
    assert_eq!(policy.time_to_live("lab", Operation::Remove), None);
    assert_eq!(policy.periods("0").into_iter().collect::<Vec<_>>(), [Period::Second]);
    assert_eq!(policy.periods("lab").into_iter().collect::<Vec<_>>(), [Period::Minute]);
    assert_eq!(policy.sites().into_iter().collect::<Vec<_>>(), ["0", "lab"]);
}

#[test]
fn a_queue_full_for_clients_lets_internal_requests_pass() {
    let policy = policy("any: waiting < 100 - 5 %\nsave: waiting < 2\n");
    let admit = |operation, priority, load: &Load| policy.admit("lab", operation, priority, load);
    let load = busy(Operation::Create, 0, 95);
    let full = admit(Operation::Remove, Priority::User, &load).unwrap_err();
    assert_eq!((full.line.as_str(), full.waiting), ("any: waiting < 100 - 5 %", 95));
    assert_eq!(admit(Operation::Remove, Priority::Internal, &load), Ok(()));
    assert!(admit(Operation::Remove, Priority::Internal, &busy(Operation::Create, 0, 100)).is_err());
    assert_eq!(admit(Operation::Remove, Priority::User, &busy(Operation::Create, 0, 94)), Ok(()));
    let full = admit(Operation::Save, Priority::User, &busy(Operation::Save, 0, 2)).unwrap_err();
    assert_eq!((full.line.as_str(), full.waiting), ("save: waiting < 2", 2));
}

#[test]
fn starts_are_paced_over_every_period_that_is_named() {
    let policy = policy("create: started < 10 per s - 20 %\ncreate: started < 15 per min\n");
    let mut load = Load::default();
    for _ in 0..8 {
        load.claim(Operation::Create);
    }
    assert_eq!(room(&policy, Operation::Create, &load), (0, 2));
    load.of_mut(Operation::Create).started_in_second = 0;
    assert_eq!(room(&policy, Operation::Create, &load), (7, 7));
    assert_eq!(load.of(Operation::Create).started_in_hour, 8);
}

#[test]
fn the_default_is_understood_and_removals_never_expire() {
    let default = policy(DEFAULT);
    assert_eq!(default, Policy::default());
    assert_eq!(default.text(), DEFAULT);
    assert!(include_str!("../../../docs/operating.md").contains(&format!("policy = \"\"\"\n{DEFAULT}\"\"\"")));
    assert_eq!(default.time_to_live("lab", Operation::Create), Some(Duration::from_secs(3600)));
    assert_eq!(default.time_to_live("lab", Operation::Remove), None);
    let (user, internal) = room(&default, Operation::Remove, &busy(Operation::Create, 64, 0));
    assert!(user > 0 && internal > user);
}

#[test]
fn mistakes_are_named_with_line_and_column() {
    let long_name = format!("create @ {}: active < 1", "a".repeat(64));
    for (text, line, column, said) in [
        ("\n  creat: active < 3", 2, 3, "expected an operation"),
        ("create active < 3", 1, 8, "expected `:`, or `@`"),
        ("create @ : active < 3", 1, 10, "expected the name of a site"),
        (long_name.as_str(), 1, 10, "name of a site"),
        ("create: activ < 3", 1, 9, "expected a measure"),
        ("create: active <= 3", 1, 17, "expected a number, found \"=\""),
        ("create: active", 1, 15, "expected `<`, found the end of the line"),
        ("any: active < 1000000001", 1, 15, "at most 1000000000"),
        ("any: active < 99999999999999999999999", 1, 15, "at most 1000000000"),
        ("any: active < 3 - 3", 1, 19, "less than the 3"),
        ("any: active < 3 - 100 %", 1, 19, "1 to 99 %"),
        ("any: waited < 3", 1, 16, "expected a unit"),
        ("any: waited < 0 s", 1, 15, "the least"),
        ("any: waited < 3 s - 1", 1, 19, "nothing more"),
        ("any: started < 3 s", 1, 18, "expected `per`"),
        ("any: started < 3 per day", 1, 22, "expected a unit"),
        ("any: active < 3 €uro", 1, 17, "found \"€uro\""),
        ("any: active < 3\n# the same\nany : active<4", 3, 1, "line 1 bounds the same"),
    ] {
        let error = Policy::parse(text).unwrap_err();
        assert_eq!((error.line, error.column), (line, column), "{error}");
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn the_text_is_bounded() {
    assert!(Policy::parse(&"\n".repeat(1001)).unwrap_err().to_string().contains("1000 lines"));
    assert!(Policy::parse(&"\n".repeat(1000)).is_ok());
    assert!(Policy::parse(&" ".repeat((64 << 10) + 1)).unwrap_err().to_string().contains("bytes"));
    let error = Policy::parse(&"x".repeat(60_000)).unwrap_err();
    assert!(error.to_string().len() < 300);
}

fn operations() -> impl Strategy<Value = Operation> {
    sample::select(Operation::ALL.as_slice())
}

fn constraints() -> impl Strategy<Value = Constraint> {
    let most = prop_oneof![0..40_u64, 0..=1_000_000_000_u64];
    let reserve = prop_oneof![
        Just(Reserve::None),
        (1..100_u64).prop_map(Reserve::Percent),
        (1..1_000_000_000_u64).prop_map(Reserve::Count),
    ];
    (most, reserve).prop_map(|(most, reserve)| {
        let reserve = match reserve {
            Reserve::Count(count) if most < 2 => Reserve::Percent(count % 99 + 1),
            Reserve::Count(count) => Reserve::Count(count % (most - 1) + 1),
            other => other,
        };
        Constraint { most, reserve }
    })
}

fn rules() -> impl Strategy<Value = Rule> {
    let periods = || sample::select(&[Period::Second, Period::Minute, Period::Hour][..]);
    let bound = prop_oneof![
        constraints().prop_map(Bound::Active),
        constraints().prop_map(Bound::Waiting),
        (constraints(), periods()).prop_map(|(constraint, period)| Bound::Started(constraint, period)),
        (1..=1_000_000_000_u64, periods()).prop_map(|(count, unit)| Bound::Waited { count, unit }),
    ];
    let subject = option::of(operations()).prop_map(|one| one.map_or(Subject::Any, Subject::One));
    let site = option::of(sample::select(&SITES[..]).prop_map(str::to_owned));
    (subject, site, bound).prop_map(|(subject, site, bound)| Rule { subject, site, bound })
}

fn policies() -> impl Strategy<Value = Policy> {
    collection::vec(rules(), 0..20).prop_map(|all| {
        let mut rules: Vec<Rule> = Vec::new();
        for rule in all {
            if !rules.iter().any(|other| rule.repeats(other)) {
                rules.push(rule);
            }
        }
        Policy { rules }
    })
}

/// How far users may go, worked out the other way round: by what is left instead of by what is taken.
fn for_users(constraint: Constraint) -> u64 {
    let left = match constraint.reserve {
        Reserve::None => constraint.most,
        Reserve::Count(count) => constraint.most - count,
        Reserve::Percent(percent) => constraint.most * (100 - percent) / 100,
    };
    left.max(1).min(constraint.most)
}

proptest! {
    #[test]
    fn what_is_printed_is_read_again(policy in policies()) {
        prop_assert_eq!(Policy::parse(&policy.text()).unwrap(), policy);
    }

    #[test]
    fn constraints_hold_and_users_leave_the_reserve_alone(
        policy in policies(),
        site in sample::select(&SITES[..]),
        wishes in collection::vec((operations(), any::<bool>()), 0..200),
    ) {
        let mut load = Load::default();
        for (operation, internal) in wishes {
            let priority = if internal { Priority::Internal } else { Priority::User };
            if policy.room(site, operation, priority, &load) == 0 {
                continue;
            }
            load.claim(operation);
            for rule in policy.matching(site, operation) {
                let counted = Operation::ALL.into_iter().filter(|operation| rule.subject.includes(*operation));
                let active = counted.map(|operation| load.of(operation).active).sum::<u64>();
                if let Bound::Active(constraint) | Bound::Started(constraint, _) = rule.bound {
                    let most = if internal { constraint.most } else { for_users(constraint) };
                    prop_assert!(active <= most, "{} are active by {:?} in spite of {}", active, priority, rule);
                }
            }
        }
    }

    #[test]
    fn room_is_what_can_be_claimed_and_no_more(
        policy in policies(), operation in operations(), internal in any::<bool>(), active in 0..60_u64,
    ) {
        let priority = if internal { Priority::Internal } else { Priority::User };
        let mut load = busy(operation, active, 0);
        let room = policy.room("lab", operation, priority, &load);
        for _ in 0..room.min(100) {
            prop_assert!(policy.room("lab", operation, priority, &load) > 0);
            load.claim(operation);
        }
        prop_assert!(room > 100 || policy.room("lab", operation, priority, &load) == 0);
    }

    #[test]
    fn hostile_texts_are_refused_or_understood(text in any::<String>()) {
        let _ = Policy::parse(&text);
    }

    #[test]
    fn nearly_right_texts_are_refused_or_understood_alike(
        text in "((create|any|power|x)?( ?@ ?[a-z0-9-]{0,3})? ?: ?(active|waited|started|waiting)? ?<? ?[0-9]{0,11} ?\
                 (s|min|per h|- ?[0-9]{1,3} ?%?)?[\n#é\u{0}]?){0,6}"
    ) {
        if let Ok(policy) = Policy::parse(&text) {
            prop_assert_eq!(Policy::parse(&policy.text()).unwrap(), policy);
        }
    }
}
