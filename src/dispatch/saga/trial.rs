//! Trials: what tests of the engine may do to it.

use std::sync::Arc;

/// A moment in the life of a saga at which its process may die.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// Which saga.
    pub saga: String,
    /// Which step of it.
    pub step: &'static str,
    /// Whether the step is being undone.
    pub undoing: bool,
    /// When in the step.
    pub when: When,
}

/// When in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// That it begins is written; nothing has happened outside.
    BeforeEffect,
    /// It has happened outside; that is not written yet.
    BeforeLog,
    /// That it has happened is written.
    AfterLog,
}

impl When {
    /// All of them.
    #[cfg(test)]
    pub const ALL: [Self; 3] = [Self::BeforeEffect, Self::BeforeLog, Self::AfterLog];

    fn as_str(self) -> &'static str {
        match self {
            Self::BeforeEffect => "before effect",
            Self::BeforeLog => "before log",
            Self::AfterLog => "after log",
        }
    }
}

impl Moment {
    /// As in `provision/create machine/act/before effect`.
    pub fn name(&self) -> String {
        let way = if self.undoing { "undo" } else { "act" };
        format!("{}/{}/{way}/{}", self.saga, self.step, self.when.as_str())
    }
}

/// Says whether the process dies at this moment.
type Fate = dyn Fn(&Moment) -> bool + Send + Sync;

/// What a test does to the engine; nothing by default.
#[derive(Clone, Default)]
pub struct Trial {
    /// Whether the process dies. Whoever says so ends it, or stops polling it.
    pub dies: Option<Arc<Fate>>,
    /// Everything that is done or undone is done or undone twice.
    pub twice: bool,
}

impl Trial {
    /// A process that kills itself (`kill -9`) when it first comes to the moment of this name. In builds for tests
    /// only.
    #[cfg(debug_assertions)]
    pub fn dying_at(name: String) -> Self {
        let dies = move |moment: &Moment| {
            if moment.name() != name {
                return false;
            }
            let killed = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            killed.is_ok()
        };
        Self { dies: Some(Arc::new(dies)), twice: false }
    }

    pub(super) async fn pass(&self, moment: impl FnOnce() -> Moment) {
        if let Some(dies) = &self.dies
            && dies(&moment())
        {
            // The dead do nothing more.
            std::future::pending::<()>().await;
        }
    }
}
