//! The report as one page for a browser: nothing is loaded from elsewhere, and nothing that a server said is markup.

use std::fmt::Write;

use super::{CheckResult, Report, Verdict};
use crate::{
    checks::sections,
    exchange::{Exchange, Purpose},
};

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884;--good:#1a7f37;--bad:#c62828;--idle:#777}\
body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}\
h2{margin-top:2.5rem;border-bottom:1px solid var(--line)}\
table{border-collapse:collapse}td,th{padding:.25rem .75rem;border:1px solid var(--line);text-align:right}\
th:first-child,td:first-child{text-align:left}\
details{border-bottom:1px solid var(--line);padding:.4rem 0}summary{cursor:pointer}\
details details{border:0;margin-left:1rem}\
.v{display:inline-block;min-width:4.5rem;font-weight:600}\
.passed{color:var(--good)}.failed{color:var(--bad)}.skipped{color:var(--idle)}\
.source,.level{color:var(--idle);font-size:.85em}\
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#8881;padding:.5rem;\
margin:.4rem 0 .4rem 1rem;font-size:.8em}\
";

impl Report {
    /// One self-contained page.
    #[must_use]
    pub fn html(&self) -> String {
        let mut page = String::new();
        // Writing to a string does not fail.
        let _ = self.write_page(&mut page);
        page
    }

    fn write_page(&self, page: &mut String) -> std::fmt::Result {
        let url = escaped(&self.url);
        writeln!(
            page,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<title>OCCI check of {url}</title>\n\
             <style>{STYLE}</style>\n</head>\n<body>\n<h1>OCCI check of {url}</h1>"
        )?;
        let (software, began) = (escaped(&self.software), escaped(&self.began));
        writeln!(page, "<p>{software}<br>{} mode, {began} to {}</p>", self.mode, escaped(&self.ended))?;
        self.write_counts(page)?;
        if !self.left_behind.is_empty() {
            writeln!(page, "<h2>Made and not removed</h2>\n<ul>")?;
            for line in &self.left_behind {
                writeln!(page, "<li>{}</li>", escaped(line))?;
            }
            writeln!(page, "</ul>")?;
        }
        for section in sections() {
            let results: Vec<_> = self.results.iter().filter(|result| result.section == section.letter).collect();
            if results.is_empty() {
                continue;
            }
            writeln!(page, "<h2>{}. {}</h2>", section.letter, escaped(section.title))?;
            for result in results {
                write_result(page, result)?;
            }
        }
        writeln!(page, "</body>\n</html>")
    }

    fn write_counts(&self, page: &mut String) -> std::fmt::Result {
        writeln!(page, "<table>\n<tr><th>Level</th><th>passed</th><th>failed</th><th>skipped</th></tr>")?;
        for (level, count) in self.counts() {
            let (passed, failed, skipped) = (count.passed, count.failed, count.skipped);
            writeln!(page, "<tr><td>{level}</td><td>{passed}</td><td>{failed}</td><td>{skipped}</td></tr>")?;
        }
        let failed = self.results.iter().filter(|result| matches!(result.verdict, Verdict::Failed { .. }));
        let links: Vec<_> = failed.map(|result| format!("<a href=\"#{0}\">{0}</a>", result.name())).collect();
        writeln!(page, "</table>\n<p><strong>{}</strong></p>", self.summary())?;
        if links.is_empty() { Ok(()) } else { writeln!(page, "<p>Failed: {}</p>", links.join(", ")) }
    }
}

fn write_result(page: &mut String, result: &CheckResult) -> std::fmt::Result {
    let (class, reason) = match &result.verdict {
        Verdict::Passed => ("passed", ""),
        Verdict::Failed { reason } => ("failed", reason.as_str()),
        Verdict::Skipped { reason } => ("skipped", reason.as_str()),
    };
    let name = result.name();
    let open = if class == "failed" { " open" } else { "" };
    writeln!(
        page,
        "<details id=\"{name}\"{open}>\n<summary><span class=\"v {class}\">{class}</span> <strong>{name}</strong> \
         <span class=\"level\">{}</span> {} <span class=\"source\">{}</span></summary>",
        result.level,
        escaped(result.rule),
        escaped(result.source)
    )?;
    if !reason.is_empty() {
        writeln!(page, "<p class=\"{class}\">{}</p>", escaped(reason))?;
    }
    let (prepared, checked): (Vec<_>, Vec<_>) =
        result.exchanges.iter().partition(|exchange| exchange.purpose == Purpose::Preparation);
    if !prepared.is_empty() {
        writeln!(page, "<details><summary>{} requests of preparation</summary>", prepared.len())?;
        for exchange in prepared {
            write_exchange(page, exchange)?;
        }
        writeln!(page, "</details>")?;
    }
    for exchange in checked {
        write_exchange(page, exchange)?;
    }
    writeln!(page, "</details>")
}

fn write_exchange(page: &mut String, exchange: &Exchange) -> std::fmt::Result {
    let mut sent = format!("{} {}\n", exchange.method, exchange.target);
    write_message(&mut sent, &exchange.request_headers, &exchange.request_body)?;
    let mut came = match (exchange.status, &exchange.problem) {
        (Some(status), _) => format!("{status} ({} ms)\n", exchange.milliseconds),
        (None, problem) => format!("{}\n", problem.as_deref().unwrap_or("no answer")),
    };
    write_message(&mut came, &exchange.answer_headers, &exchange.answer_body)?;
    writeln!(page, "<pre>{}</pre>\n<pre>{}</pre>", escaped(sent.trim_end()), escaped(came.trim_end()))
}

fn write_message(text: &mut String, headers: &[(String, String)], body: &str) -> std::fmt::Result {
    for (name, value) in headers {
        writeln!(text, "{name}: {value}")?;
    }
    if body.is_empty() { Ok(()) } else { writeln!(text, "\n{body}") }
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' | '\t' => safe.push(character),
            control if control.is_control() => safe.push('\u{fffd}'),
            other => safe.push(other),
        }
    }
    safe
}
