//! The QEMU Machine Protocol, as much as we speak of it.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use thiserror::Error;
use tokio::{
    io::AsyncWriteExt,
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::codec::{FramedRead, LinesCodec};

/// Answers of the few commands that we use are far below this.
const MOST_LINE_BYTES: usize = 256 << 10;
const PATIENCE: Duration = Duration::from_secs(5);

/// A conversation that went wrong.
#[derive(Debug, Error)]
pub(crate) enum QmpError {
    #[error("the control socket closed")]
    Closed,
    #[error("no answer to {0} within {PATIENCE:?}")]
    Silent(&'static str),
    #[error("{command} was refused: {reason}")]
    Refused { command: &'static str, reason: String },
}

/// What QEMU has told unasked. Events are folded into this, so that no guest can make a queue grow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// Why QEMU ends, in its words: `guest-shutdown`, `host-qmp-quit`, …
    pub(crate) shutdown: Option<String>,
    /// Resets so far.
    pub(crate) resets: u64,
    /// The processors stand still.
    pub(crate) stopped: bool,
    /// News of jobs (copies of disks) and of the migration (the memory's way to a file) so far.
    pub(crate) progress: u64,
    /// Devices that guests have let go of, so far.
    pub(crate) removals: u64,
    /// The socket is closed.
    pub(crate) closed: bool,
}

/// A control connection, past the greeting.
pub(crate) struct Qmp {
    writer: OwnedWriteHalf,
    answers: mpsc::Receiver<Value>,
    next_id: u64,
    reader: JoinHandle<()>,
    pub(crate) told: watch::Receiver<Told>,
}

impl Drop for Qmp {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Qmp {
    /// Takes the greeting and leaves the negotiation mode.
    pub(crate) async fn greet(line: UnixStream) -> Result<Self, QmpError> {
        let (reader, writer) = line.into_split();
        let (answer, answers) = mpsc::channel(4);
        let (tell, told) = watch::channel(Told::default());
        let reader = tokio::spawn(read(reader, answer, tell));
        let mut qmp = Self { writer, answers, next_id: 0, reader, told };
        qmp.execute("qmp_capabilities", Value::Null).await?;
        Ok(qmp)
    }

    /// Runs a command and gives what it returns.
    pub(crate) async fn execute(&mut self, command: &'static str, arguments: Value) -> Result<Value, QmpError> {
        timeout(PATIENCE, self.converse(command, arguments)).await.map_err(|_| QmpError::Silent(command))?
    }

    async fn converse(&mut self, command: &'static str, arguments: Value) -> Result<Value, QmpError> {
        self.next_id += 1;
        let id = self.next_id;
        let mut request = json!({ "execute": command, "id": id });
        if !arguments.is_null() {
            request["arguments"] = arguments;
        }
        self.writer.write_all(format!("{request}\n").as_bytes()).await.map_err(|_| QmpError::Closed)?;
        loop {
            let mut answer = self.answers.recv().await.ok_or(QmpError::Closed)?;
            // The answer to a command that was given up earlier.
            if answer["id"] != id {
                continue;
            }
            if let Some(error) = answer.get("error") {
                let reason = error["desc"].as_str().unwrap_or("for no stated reason").to_owned();
                return Err(QmpError::Refused { command, reason });
            }
            return Ok(answer["return"].take());
        }
    }

    /// QEMU's word for what the processors do: `running`, `prelaunch`, `io-error`, …
    pub(crate) async fn status(&mut self) -> Result<String, QmpError> {
        let answer = self.execute("query-status", Value::Null).await?;
        Ok(answer["status"].as_str().unwrap_or("unknown").to_owned())
    }
}

async fn read(reader: OwnedReadHalf, answer: mpsc::Sender<Value>, tell: watch::Sender<Told>) {
    let mut lines = FramedRead::new(reader, LinesCodec::new_with_max_length(MOST_LINE_BYTES));
    while let Some(Ok(line)) = lines.next().await {
        let Ok(message) = serde_json::from_str::<Value>(&line) else { break };
        if let Some(event) = message["event"].as_str() {
            tell.send_if_modified(|told| told.fold(event, &message["data"]));
        } else if message.get("id").is_some() && answer.try_send(message).is_err() {
            // Nobody asked that much.
            break;
        }
    }
    tell.send_modify(|told| told.closed = true);
}

impl Told {
    fn fold(&mut self, event: &str, data: &Value) -> bool {
        let before = self.clone();
        match event {
            "SHUTDOWN" => self.shutdown = Some(data["reason"].as_str().unwrap_or("unknown").to_owned()),
            "RESET" => self.resets += 1,
            "STOP" => self.stopped = true,
            "RESUME" => self.stopped = false,
            "JOB_STATUS_CHANGE" | "MIGRATION" => self.progress += 1,
            "DEVICE_DELETED" => self.removals += 1,
            _ => {}
        }
        *self != before
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tokio::{
        io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
        net::UnixStream,
    };

    use super::{MOST_LINE_BYTES, Qmp, QmpError};

    /// Plays QEMU: answers each command with the lines given for it.
    async fn play(line: UnixStream, script: Vec<String>) {
        let (reader, mut writer) = line.into_split();
        let mut commands = BufReader::new(reader).lines();
        writer.write_all(b"{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n").await.unwrap();
        for answer in script {
            let command = commands.next_line().await.unwrap().unwrap();
            let id = serde_json::from_str::<Value>(&command).unwrap()["id"].to_string();
            writer.write_all(answer.replace("ID", &id).as_bytes()).await.unwrap();
        }
    }

    const WELCOME: &str = "{\"return\": {}, \"id\": ID}\r\n";

    #[tokio::test]
    async fn events_between_answers_are_folded() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let script = vec![
            WELCOME.to_owned(),
            format!(
                "{}\n{}\n{}\n{}\n",
                json!({"event": "RESET", "data": {"guest": true}}),
                json!({"event": "RTC_CHANGE", "data": {}}),
                json!({"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-shutdown"}}),
                "{\"return\": {\"status\": \"shutdown\"}, \"id\": ID}",
            ),
            "{\"id\": ID, \"error\": {\"class\": \"GenericError\", \"desc\": \"no such thing\"}}\n".to_owned(),
        ];
        let play = tokio::spawn(play(theirs, script));
        let mut qmp = Qmp::greet(ours).await.unwrap();
        assert_eq!(qmp.status().await.unwrap(), "shutdown");
        assert_eq!(qmp.told.borrow().resets, 1);
        assert_eq!(qmp.told.borrow().shutdown.as_deref(), Some("guest-shutdown"));
        let refused = qmp.execute("cont", Value::Null).await;
        assert!(matches!(refused, Err(QmpError::Refused { reason, .. }) if reason == "no such thing"));
        play.await.unwrap();
        qmp.told.wait_for(|told| told.closed).await.unwrap();
        assert!(matches!(qmp.status().await, Err(QmpError::Closed)));
    }

    #[tokio::test]
    async fn an_endless_line_ends_the_conversation() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let play = tokio::spawn(play(theirs, vec![WELCOME.to_owned(), "x".repeat(MOST_LINE_BYTES + 1)]));
        let mut qmp = Qmp::greet(ours).await.unwrap();
        assert!(matches!(qmp.status().await, Err(QmpError::Closed)));
        play.abort();
    }
}
