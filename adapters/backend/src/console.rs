use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// What somebody wants to see of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsoleKind {
    /// The screen, by RFB.
    Vnc,
    /// The screen, by SPICE.
    Spice,
    /// The serial line.
    Serial,
}

impl fmt::Display for ConsoleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vnc => "vnc",
            Self::Spice => "spice",
            Self::Serial => "serial",
        })
    }
}

/// The right to see a machine's console for a short while.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsoleTicket {
    /// What is shown.
    pub kind: ConsoleKind,
    /// Where; whoever has it gets in.
    pub url: String,
    /// For how long the ticket holds, if the backend tells.
    pub holds_for: Option<Duration>,
}

// The URL lets in whoever reads it.
impl fmt::Debug for ConsoleTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, holds_for, .. } = self;
        f.debug_struct("ConsoleTicket").field("kind", kind).field("holds_for", holds_for).finish_non_exhaustive()
    }
}
