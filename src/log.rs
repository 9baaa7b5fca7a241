//! The log, on standard error: `TOMBOLO_LOG` says of what, the configuration in which form.
//!
//! Header fields and bodies are never logged, so no token and no user data gets there.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{LogConfig, LogFormat};

/// Starts logging; to be called once, before anything is worth a line.
pub fn start(config: &LogConfig) {
    let filter = EnvFilter::try_from_env("TOMBOLO_LOG").unwrap_or_else(|_| EnvFilter::new("info,actix_server=warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match config.format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).init(),
        // One object per line: what is said at the top, and the spans around it, outermost first, in `spans`.
        LogFormat::Json => log.json().flatten_event(true).with_current_span(false).with_span_list(true).init(),
    }
}
