use std::fmt;

use actix_web::http::StatusCode;
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    http::login::{Session, Trouble},
    login::{Right, Rights, account::MOST_DAYS},
    store::{
        Db,
        live_member::{self, LiveMember},
        member::{self, ProjectId},
    },
};

/// So many projects are offered to somebody who may act in all.
const MOST_OFFERED: usize = 200;
/// For how many days a token is good unless the person says otherwise.
const USUAL_DAYS: u32 = 30;

/// What a person chooses from when they let a program in: project, rights, days.
pub struct Choice {
    /// Id, name, and whether it is the one that they act in.
    pub projects: Vec<(Uuid, String, bool)>,
    /// What can be ticked: field, words, and whether it is ticked.
    pub rights: Vec<Tick>,
    pub days: u32,
    pub most_days: u32,
}

/// A right that can be given.
pub struct Tick {
    pub field: &'static str,
    pub words: &'static str,
}

const TICKS: [(Right, Tick); 3] = [
    (Right::Read, Tick { field: "read", words: "see what the project has (read)" }),
    (Right::Operate, Tick { field: "operate", words: "make, change and delete machines (operate)" }),
    (Right::Manage, Tick { field: "manage", words: "decide who is in the project (manage)" }),
];

/// What the form sends.
#[derive(Deserialize)]
pub struct Chosen {
    pub form_token: String,
    pub decision: String,
    project: Option<Uuid>,
    read: Option<String>,
    operate: Option<String>,
    manage: Option<String>,
    /// A text, since a flattened form has nothing else.
    days: Option<String>,
}

impl Choice {
    /// What this person can choose from, of what was asked for. `None` if they have nothing to give.
    pub async fn of(db: &Db, session: &Session, asked: Rights) -> Result<Option<Self>, Trouble> {
        let (user, acts_in) = (session.live.user, session.live.acts_in());
        let Some(live) = db.read_brief(move |connection| live_member::find(connection, user)).await? else {
            return Ok(None);
        };
        let mut projects: Vec<_> = live.projects.iter().map(|own| (own.id, own.name.clone())).collect();
        if live.is_everywhere() {
            let all = db.read(member::project_names).await?;
            let others = all.into_iter().filter(|(id, _)| !live.projects.iter().any(|own| own.id == *id));
            projects.extend(others.take(MOST_OFFERED));
        }
        let offered = projects.into_iter().map(|(id, name)| (id.0, name, Some(id) == acts_in)).collect::<Vec<_>>();
        let rights = TICKS.into_iter().filter(|(right, _)| asked.has(*right)).map(|(_, tick)| tick).collect();
        let choice = Self { projects: offered, rights, days: USUAL_DAYS, most_days: MOST_DAYS };
        Ok((!choice.projects.is_empty()).then_some(choice))
    }
}

impl Chosen {
    /// Whether they agree.
    pub fn agrees(&self) -> bool {
        self.decision == "approve"
    }

    /// What they agree to: no more than was asked for, and no more than they may do themselves.
    pub fn agreed(&self, asked: Rights, live: &LiveMember) -> Result<(ProjectId, Rights, i32), Trouble> {
        let wrong = |what: String| Trouble::new(StatusCode::BAD_REQUEST, what, "Go back and choose again.");
        let project = ProjectId(self.project.ok_or_else(|| wrong("No project was chosen.".into()))?);
        let ticked = [(&self.read, Right::Read), (&self.operate, Right::Operate), (&self.manage, Right::Manage)];
        let ticked: Rights = ticked.into_iter().filter(|(tick, _)| tick.is_some()).map(|(_, right)| right).collect();
        let rights = ticked.and(asked).and(live.rights_in(project));
        if rights.is_empty() {
            return Err(wrong("Nothing would be allowed: tick something that you may do in this project.".into()));
        }
        let days = self.days.as_deref().and_then(|days| days.trim().parse::<u32>().ok());
        let days = days.filter(|days| (1..=MOST_DAYS).contains(days));
        let days = days.and_then(|days| i32::try_from(days).ok());
        Ok((project, rights, days.ok_or_else(|| wrong(format!("A token holds for 1 to {MOST_DAYS} days.")))?))
    }
}

/// A time that has passed, for people.
pub struct Ago(pub f64);

impl fmt::Display for Ago {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.max(0.0) as u64 {
            seconds @ 0..=1 => write!(f, "{} second ago", seconds.max(1)),
            seconds @ 2..=119 => write!(f, "{seconds} seconds ago"),
            seconds => write!(f, "{} minutes ago", seconds / 60),
        }
    }
}
