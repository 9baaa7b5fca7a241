use indicatif::{ProgressBar, ProgressStyle};

/// A bar on the terminal, with rate and time left; nothing where standard error is none.
pub fn bar(what: &'static str, bytes: u64) -> anyhow::Result<ProgressBar> {
    let template = "{msg} {bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta} left";
    Ok(ProgressBar::new(bytes).with_style(ProgressStyle::with_template(template)?).with_message(what))
}

/// Several threads tell how far they are: the bar never goes back.
pub fn advance(bar: &ProgressBar, done: u64) {
    if done > bar.position() {
        bar.set_position(done);
    }
}
