//! Users and their login tokens.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::access::{Caller, Right, only_oneadmin};
use super::objects::{Kind, Object, Ownership, no_such, object, take, take_mut, update};
use super::quotas::{self, Quotas};
use super::{Daemon, Methods, Outcome, seconds};
use crate::form::{Form, identifiers};
use crate::template::Template;
use crate::wire::answer::{Code, Refusal, Value};
use crate::wire::arguments::Arguments;
use crate::wire::call::Parameter;

/// The table of methods.
pub const METHODS: Methods = &[
    ("one.user.allocate", allocate),
    ("one.user.info", info),
    ("one.user.passwd", change_password),
    ("one.user.login", login),
    ("one.user.enable", enable),
    ("one.user.update", update::<User>),
    ("one.user.delete", delete),
    ("one.user.addgroup", add_group),
    ("one.user.delgroup", remove_group),
    ("one.user.chgrp", change_group),
    ("one.userpool.info", pool),
];

const FORM: Form = Form::new(include_str!("../../forms/user.xml"));

/// A login token.
#[derive(Clone, Debug)]
pub struct Token {
    /// What stands in the place of the password.
    pub token: String,
    /// In seconds since 1970; -1 for never.
    pub expires: i64,
    /// The group in which its bearer works; -1 for all groups of the user.
    pub group: i32,
}

impl Token {
    /// Whether it has not expired.
    pub fn is_valid(&self, now: i64) -> bool {
        self.expires < 0 || now < self.expires
    }
}

/// A user.
#[derive(Clone, Debug)]
pub struct User {
    /// Users belong to themselves.
    pub ownership: Ownership,
    /// The name in the session.
    pub name: String,
    /// Kept as it came; the simulator is no place for secrets.
    pub password: String,
    /// `core`, or `server_cipher`, which the simulator never lets in.
    pub driver: String,
    /// Whether it may log in.
    pub enabled: bool,
    /// The primary group.
    pub gid: i32,
    /// All groups.
    pub groups: BTreeSet<i32>,
    /// Login tokens.
    pub tokens: Vec<Token>,
    /// Free attributes, for instance `SSH_PUBLIC_KEY`.
    pub template: Template,
    /// Limits.
    pub quotas: Quotas,
}

object!(User, Kind::User, users, template, UNIQUE = false);

impl User {
    /// A user of one group.
    pub fn new(id: i32, name: &str, password: &str, driver: &str, gid: i32) -> Self {
        let mut template = Template::default();
        template.set("TOKEN_PASSWORD", "0");
        Self {
            ownership: Ownership {
                uid: id,
                gid,
                permissions: [true, true, false, false, false, false, false, false, false],
                lock: None,
            },
            name: name.into(),
            password: password.into(),
            driver: driver.into(),
            enabled: true,
            gid,
            groups: BTreeSet::from([gid]),
            tokens: Vec::new(),
            template,
            quotas: Quotas::default(),
        }
    }
}

impl Daemon {
    /// The name of a user, or what the daemon writes for one that is gone.
    pub(crate) fn user_name(&self, uid: i32) -> &str {
        self.users.get(uid).map_or("", |u| u.name.as_str())
    }

    /// The name of a group.
    pub(crate) fn group_name(&self, gid: i32) -> &str {
        self.groups.get(gid).map_or("", |g| g.name.as_str())
    }
}

fn allocate(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (name, password, driver) = (arguments.text()?, arguments.text()?, arguments.text()?);
    let groups = arguments.array()?;
    super::access::may_create(daemon, caller, Kind::User)?;
    if name.is_empty() {
        return Err(Refusal::new(Code::Internal, "Invalid NAME, it cannot be empty."));
    }
    if let Some(bad) = name.chars().find(|c| ":/< \"".contains(*c)) {
        return Err(Refusal::new(Code::Internal, format!("Invalid character '{bad}' in user name")));
    }
    if let Some((id, _)) = daemon.users.iter().find(|(_, u)| u.name == name) {
        return Err(Refusal::new(Code::Internal, format!("NAME is already taken by USER {id}.")));
    }
    let groups: Vec<i32> = groups
        .into_iter()
        .filter_map(|g| match g {
            Parameter::Integer(gid) => Some(gid),
            _ => None,
        })
        .collect();
    if let Some(unknown) = groups.iter().find(|gid| daemon.groups.get(**gid).is_none()) {
        return Err(no_such(Kind::Group, *unknown));
    }
    let primary = groups.first().copied().unwrap_or(1);
    let driver = if driver.is_empty() { "core" } else { &driver };
    let mut user = User::new(daemon.users.next_id(), &name, &password, driver, primary);
    user.groups.extend(groups);
    Ok(Value::Integer(daemon.users.add(user)))
}

fn own_or(caller: &Caller, id: i32) -> i32 {
    if id == -1 { caller.uid } else { id }
}

fn write(daemon: &Daemon, id: i32, user: &User, quotas: &str, out: &mut String) {
    let mut tokens = String::new();
    for token in user.tokens.iter().rev() {
        let _ = write!(
            tokens,
            "<LOGIN_TOKEN><TOKEN>{}</TOKEN><EXPIRATION_TIME>{}</EXPIRATION_TIME><EGID>{}</EGID></LOGIN_TOKEN>",
            token.token, token.expires, token.group
        );
    }
    FORM.fill(out, |hole| match hole {
        "ID" => id.to_string().into(),
        "GID" => user.gid.to_string().into(),
        "GROUPS" => identifiers(&user.groups).into(),
        "GNAME" => daemon.group_name(user.gid).to_owned().into(),
        "NAME" => user.name.clone().into(),
        // A digest in the real daemon; never the password.
        "PASSWORD" => "****".into(),
        "AUTH_DRIVER" => user.driver.clone().into(),
        "ENABLED" => i32::from(user.enabled).to_string().into(),
        "LOGIN_TOKENS" => tokens.clone().into(),
        "TEMPLATE" => user.template.written().replace("<TOKEN_PASSWORD><![CDATA[0]]>", "<TOKEN_PASSWORD>****").into(),
        _ => quotas.to_owned().into(),
    });
}

fn info(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let id = own_or(caller, arguments.integer()?);
    let user = take::<User>(daemon, caller, id, Right::Use)?;
    let mut quotas = String::new();
    user.quotas.write(&quotas::Used::by_user(daemon, id), &mut quotas);
    quotas::write_defaults("USER", &mut quotas);
    let mut out = String::new();
    write(daemon, id, user, &quotas, &mut out);
    Ok(Value::Text(out))
}

fn pool(daemon: &mut Daemon, caller: &Caller, _: &mut Arguments) -> Outcome {
    let mut out = String::from("<USER_POOL>");
    for (id, user) in daemon.users.descending() {
        if super::access::may(daemon, caller, Right::Use, Kind::User, Some(id), user.ownership()) {
            write(daemon, id, user, "", &mut out);
            let _ = write!(out, "<QUOTAS><ID>{id}</ID>");
            user.quotas.write(&quotas::Used::by_user(daemon, id), &mut out);
            out.push_str("</QUOTAS>");
        }
    }
    quotas::write_defaults("USER", &mut out);
    out.push_str("</USER_POOL>");
    Ok(Value::Text(out))
}

fn change_password(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, password) = (arguments.integer()?, arguments.text()?);
    if password.is_empty() || password.len() > 256 || password.contains(char::is_whitespace) {
        return Err(Refusal::new(
            Code::Internal,
            "Invalid password, it must be a 1-256 character string without blanks",
        ));
    }
    let user = take_mut::<User>(daemon, caller, own_or(caller, id), Right::Manage)?;
    user.password = password;
    user.tokens.clear();
    Ok(Value::Integer(id))
}

fn login(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (name, token, period) = (arguments.text()?, arguments.text()?, arguments.integer()?);
    let group = arguments.integer_or(-1)?;
    let Some(id) = daemon.users.iter().find(|(_, u)| u.name == name).map(|(id, _)| id) else {
        return Err(Refusal::new(Code::NoExists, format!("Error getting user [{name}].")));
    };
    take::<User>(daemon, caller, id, Right::Manage)?;
    let fresh = random_token();
    let user = take_mut::<User>(daemon, caller, id, Right::Manage)?;
    if period == 0 {
        if token.is_empty() {
            user.tokens.clear();
            return Ok(Value::Text(token));
        }
        let before = user.tokens.len();
        user.tokens.retain(|t| t.token != token);
        return if user.tokens.len() < before {
            Ok(Value::Text(token))
        } else {
            Err(Refusal::new(Code::Internal, "Could not find token to reset."))
        };
    }
    if group >= 0 && !user.groups.contains(&group) {
        return Err(Refusal::new(Code::Internal, "EGID is not in user group list."));
    }
    let token = if token.is_empty() { fresh } else { token };
    let expires = if period < 0 { -1 } else { seconds() + i64::from(period) };
    user.tokens.push(Token { token: token.clone(), expires, group });
    Ok(Value::Text(token))
}

fn random_token() -> String {
    let mut bytes = [0; 32];
    // Without randomness the token is still a token; nobody is kept out by a simulator.
    let _ = getrandom::fill(&mut bytes);
    super::jobs::hexadecimal(&bytes)
}

fn enable(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, enabled) = (arguments.integer()?, arguments.boolean()?);
    let user = take_mut::<User>(daemon, caller, id, Right::Admin)?;
    user.enabled = enabled;
    user.tokens.clear();
    Ok(Value::Integer(id))
}

fn delete(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let id = arguments.integer()?;
    take_mut::<User>(daemon, caller, id, Right::Admin)?;
    if id == 0 {
        return Err(Refusal::new(Code::Action, "Cannot delete user. oneadmin cannot be deleted."));
    }
    // What the user owned stays as it is.
    daemon.users.remove(id);
    Ok(Value::Integer(id))
}

fn membership(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Result<(i32, i32), Refusal> {
    let (id, gid) = (arguments.integer()?, arguments.integer()?);
    only_oneadmin(caller, Right::Manage, &format!("USER [{id}]"))?;
    if daemon.groups.get(gid).is_none() {
        return Err(no_such(Kind::Group, gid));
    }
    take::<User>(daemon, caller, id, Right::Manage)?;
    Ok((id, gid))
}

fn add_group(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, gid) = membership(daemon, caller, arguments)?;
    let fresh = take_mut::<User>(daemon, caller, id, Right::Manage)?.groups.insert(gid);
    if fresh { Ok(Value::Integer(id)) } else { Err(Refusal::new(Code::Internal, "User is already in this group")) }
}

fn remove_group(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, gid) = membership(daemon, caller, arguments)?;
    let user = take_mut::<User>(daemon, caller, id, Right::Manage)?;
    if user.gid == gid {
        return Err(Refusal::new(Code::Internal, "Cannot remove user from the primary group."));
    }
    let found = user.groups.remove(&gid);
    if found { Ok(Value::Integer(id)) } else { Err(Refusal::new(Code::Internal, "User is not part of this group")) }
}

fn change_group(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, gid) = membership(daemon, caller, arguments)?;
    let user = take_mut::<User>(daemon, caller, id, Right::Manage)?;
    user.groups.remove(&user.gid);
    user.gid = gid;
    user.ownership.gid = gid;
    user.groups.insert(gid);
    Ok(Value::Integer(id))
}
