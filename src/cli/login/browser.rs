use std::process::{Command, Stdio};

use crate::config;

/// Opens the person's own browser.
const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };

/// Whether there is something that opens a browser.
pub fn is_there() -> bool {
    config::has_program(OPENER)
}

/// Opens the page, as well as that goes. The address was checked to be one of the web.
pub fn open(page: &str) -> bool {
    let quiet = Command::new(OPENER).arg(page).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    match quiet {
        Ok(mut opener) => {
            // Some openers stay as long as the browser does.
            std::thread::spawn(move || opener.wait());
            true
        }
        Err(_) => false,
    }
}
