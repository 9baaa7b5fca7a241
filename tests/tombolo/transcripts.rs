//! The transcripts of `docs/occi.md`, run again: what the document shows is what the server answers.
//!
//! With `TOMBOLO_TEST_REWRITE=1` in the environment the document gets the real answers instead, so that nobody types
//! them.

use std::{collections::HashMap, fmt::Write, path::Path, process::Stdio, time::Duration};

use tokio::process::Command;

use crate::server::Home;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/occi.md");
const BEGIN: &str = "```console";
const END: &str = "```";
/// Set when the document is to be written anew.
const REWRITE: &str = "TOMBOLO_TEST_REWRITE";
/// The address that the document speaks of: that of a server without configuration.
const SHOWN_ADDRESS: &str = "127.0.0.1:8787";
/// Parts what the commands print; no answer has this character.
const MARK: char = '\u{1e}';
/// A wait in the transcript that is never over ends here.
const LONGEST: Duration = Duration::from_secs(240);

/// A command and what it prints.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    /// Without the prompts.
    command: String,
    output: String,
}

/// The document in order.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Prose(String),
    Step(Step),
}

fn read(document: &str) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut is_inside = false;
    for line in document.lines() {
        if !is_inside || line == END {
            is_inside = line == BEGIN;
            pieces.push(Piece::Prose(line.to_owned()));
        } else if let Some(command) = line.strip_prefix("$ ") {
            pieces.push(Piece::Step(Step { command: command.to_owned(), output: String::new() }));
        } else {
            let Some(Piece::Step(step)) = pieces.last_mut() else { panic!("an answer without a command: {line}") };
            match line.strip_prefix('>') {
                Some(more) if step.output.is_empty() => {
                    step.command += "\n";
                    step.command += more.strip_prefix(' ').unwrap_or(more);
                }
                _ => step.output += &format!("{line}\n"),
            }
        }
    }
    assert!(!is_inside, "the last transcript has no end");
    for piece in &mut pieces {
        if let Piece::Step(step) = piece {
            step.output.truncate(step.output.trim_end().len());
        }
    }
    pieces
}

fn write(pieces: &[Piece]) -> String {
    let mut document = String::new();
    for piece in pieces {
        match piece {
            Piece::Prose(line) => document += &format!("{line}\n"),
            Piece::Step(step) => {
                for (number, line) in step.command.lines().enumerate() {
                    let prompt = if number == 0 { '$' } else { '>' };
                    document += format!("{prompt} {line}").trim_end();
                    document.push('\n');
                }
                if !step.output.is_empty() {
                    document += &format!("{}\n", step.output);
                }
            }
        }
    }
    document
}

/// One shell for all commands, since they build on each other. After each stand its mark and its status.
fn script(steps: &[&Step]) -> String {
    steps.iter().fold(String::new(), |mut script, step| {
        writeln!(script, "{}\nprintf '\\036%s\\036' $?", step.command).unwrap();
        script
    })
}

/// The text with what is new at every run replaced: ids by the order in which they appear, and dates.
fn normal(text: &str, ids: &mut HashMap<String, usize>) -> String {
    const DATE: &str = "Sun, 22 Nov 2026 17:54:14 GMT";
    let mut normal = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if let Some(id) = rest.get(..36).filter(|id| has_form(id, "0191e7a2-0000-7000-8000-000000000000")) {
            let count = ids.len();
            let number = *ids.entry(id.to_owned()).or_insert(count);
            write!(normal, "(id {number})").unwrap();
            rest = &rest[36..];
        } else if rest.get(..DATE.len()).is_some_and(|date| has_form(date, DATE)) {
            normal += "(date)";
            rest = &rest[DATE.len()..];
        } else {
            normal.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    normal
}

/// Whether the text has hexadecimal digits where the example has some, letters where it has others, and else the same.
fn has_form(text: &str, example: &str) -> bool {
    text.len() == example.len()
        && text.bytes().zip(example.bytes()).all(|(byte, like)| match like {
            b'0'..=b'9' | b'a'..=b'f' => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            b'A'..=b'Z' | b'g'..=b'z' => byte.is_ascii_alphabetic(),
            _ => byte == like,
        })
}

/// The lines of both, those that differ marked.
fn difference(shown: &str, real: &str) -> String {
    let (shown, real): (Vec<_>, Vec<_>) = (shown.lines().collect(), real.lines().collect());
    let mut words = String::new();
    for number in 0..shown.len().max(real.len()) {
        let (shown, real) = (shown.get(number), real.get(number));
        if shown == real {
            writeln!(words, "    {}", shown.unwrap()).unwrap();
        } else {
            shown.inspect(|line| writeln!(words, "  - {line}").unwrap());
            real.inspect(|line| writeln!(words, "  + {line}").unwrap());
        }
    }
    words
}

/// Runs the commands against the server at the address; each with what it printed.
async fn run(steps: &[&Step], home: &Path, address: &str, token: &str) -> Vec<Step> {
    // curl goes where the server listens, and says the name that the document says.
    std::fs::write(home.join(".curlrc"), format!("connect-to = \"{SHOWN_ADDRESS}:{address}\"\n")).unwrap();
    let directory = home.join("session");
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(home.join("session.sh"), script(steps)).unwrap();
    let bash = Command::new("bash")
        .args(["-c", "exec bash ../session.sh 2>&1"])
        .current_dir(directory)
        .env("CURL_HOME", home)
        .env("SERVER", format!("http://{SHOWN_ADDRESS}"))
        .env("TOKEN", token)
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut printed = bash.stdout.unwrap();
    let mut bytes = Vec::new();
    let is_over = tokio::time::timeout(LONGEST, tokio::io::copy(&mut printed, &mut bytes)).await.is_ok();
    let text = String::from_utf8(bytes).unwrap().replace('\r', "");
    let mut parts = text.split(MARK);
    let mut real = Vec::new();
    for step in steps {
        let output = parts.next().unwrap_or_default();
        let Some(status) = parts.next() else {
            let how = if is_over { "ended" } else { "was not over in time" };
            panic!("this {how}: {}\n{output}", step.command);
        };
        assert_eq!(status, "0", "status of: {}\n{output}", step.command);
        real.push(Step { command: step.command.clone(), output: output.trim_end().to_owned() });
    }
    real
}

#[tokio::test(flavor = "multi_thread")]
async fn the_transcripts_of_the_document_are_true() {
    let home = Home::simulated();
    let image = home.path("debian.raw");
    std::fs::write(&image, vec![0_u8; 1 << 20]).unwrap();
    home.must(&["catalog", "publish", image.to_str().unwrap(), "--name", "debian", "--title", "Debian 12"]);
    let token = home.token("ann", "class-3b");
    let server = home.serve();

    let mut pieces = read(&std::fs::read_to_string(DOCUMENT).unwrap());
    let steps: Vec<&Step> =
        pieces.iter().filter_map(|piece| if let Piece::Step(step) = piece { Some(step) } else { None }).collect();
    assert!(steps.len() > 150, "only {} commands were found in {DOCUMENT}", steps.len());
    let address = server.base.trim_start_matches("http://");
    let real = run(&steps, &home.path(""), address, &token).await;

    let (mut ids_shown, mut ids) = (HashMap::new(), HashMap::new());
    let mut words = String::new();
    for (step, real) in steps.iter().zip(&real) {
        let (shown, real) = (normal(&step.output, &mut ids_shown), normal(&real.output, &mut ids));
        if shown != real {
            writeln!(words, "$ {}\n{}", step.command, difference(&shown, &real)).unwrap();
        }
    }
    if words.is_empty() {
        return;
    }
    let is_rewriting = std::env::var_os(REWRITE).is_some();
    assert!(is_rewriting, "{DOCUMENT} says (-) and the server answers (+); {REWRITE}=1 writes it anew:\n{words}");
    let mut real = real.into_iter();
    for piece in &mut pieces {
        if let Piece::Step(step) = piece {
            *step = real.next().unwrap();
        }
    }
    std::fs::write(DOCUMENT, write(&pieces)).unwrap();
}

#[test]
fn a_document_is_read_as_it_is_written() {
    let document = "Prose\n```console\n$ cat <<END\n> a\n>\n> END\na\n\n> b\n$ true\n```\n> quoted\n";
    let pieces = read(document);
    assert_eq!(write(&pieces), document);
    let step = Step { command: "cat <<END\na\n\nEND".to_owned(), output: "a\n\n> b".to_owned() };
    assert_eq!(pieces[2], Piece::Step(step));
}

#[test]
fn ids_are_the_same_only_where_they_were() {
    let (first, second) = ("01a1ff3e-98d3-72cd-baff-bbae8d0b4b31", "01a1ff3e-9cd3-74a5-90b3-0b0d4962f291");
    let normal = |text: String| normal(&text, &mut HashMap::new());
    assert_eq!(normal(format!("{first} {second} é")), normal(format!("{second} {first} é")));
    assert_ne!(normal(format!("{first} {second}")), normal(format!("{first} {first}")));
    assert_eq!(normal("Mon, 01 Jan 2029 00:00:00 GMT!".to_owned()), "(date)!");
    assert_ne!(normal("occi.compute.cores=1".to_owned()), normal("occi.compute.cores=2".to_owned()));
}
