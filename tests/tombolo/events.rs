//! What happens in a project, followed as it happens.

use std::process::Command;

use reqwest::{Response, StatusCode};

use crate::server::{Answer, Home, Server};

/// Runs a statement in the database of the running server, and answers what it says.
fn sql(home: &Home, statement: &str) -> String {
    let database = home.data_dir().join("tombolo.sqlite");
    let output =
        Command::new("sqlite3").arg("-cmd").arg(".timeout 10000").arg(database).arg(statement).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Writes an event into its place as another process would, and answers that place.
fn happen(home: &Home, project: &str, message: &str) -> i64 {
    let statement = format!(
        "INSERT INTO events (id, at, kind, project_id, request_id, body, position, seal) \
         VALUES ('{}', 0, 'test.happened', (SELECT id FROM projects WHERE name = '{project}'), 'r-1', \
         '{{\"message\":\"{message}\",\"_ours\":1,\"usage\":{{\"cores\":2}}}}', \
         (SELECT coalesce(max(position), 0) + 1 FROM events), 'x') RETURNING position",
        uuid::Uuid::now_v7()
    );
    sql(home, &statement).parse().unwrap()
}

/// Waits until all that has happened so far has its place, and answers the last one.
async fn settled(home: &Home) -> i64 {
    for _ in 0..200 {
        if sql(home, "SELECT count(*) FROM events WHERE position IS NULL") == "0" {
            return sql(home, "SELECT coalesce(max(position), 0) FROM events").parse().unwrap();
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("events get no places");
}

/// A stream that is being read.
struct Reader {
    response: Response,
    text: String,
}

/// A message of a stream, by the names of its fields.
#[derive(Debug, PartialEq)]
struct Message {
    id: i64,
    event: String,
    data: serde_json::Value,
}

impl Reader {
    async fn open(server: &Server, path: &str, last_event_id: Option<i64>) -> Self {
        let mut request = server.request("GET", path).header("Accept", "text/event-stream");
        if let Some(id) = last_event_id {
            request = request.header("Last-Event-ID", id);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut reader = Self { response, text: String::new() };
        // It is open once its first block is there.
        assert!(reader.block().await.unwrap().starts_with("retry: "));
        reader
    }

    /// The next block; `None` at the end. One that is cut off fails the test.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(block);
            }
            match self.response.chunk().await.unwrap() {
                Some(chunk) => self.text += std::str::from_utf8(&chunk).unwrap(),
                None => {
                    assert_eq!(self.text, "", "the stream ends within a block");
                    return None;
                }
            }
        }
    }

    /// The next message, whatever comments are before it.
    async fn message(&mut self) -> Option<Message> {
        loop {
            let block = self.block().await?;
            if block.starts_with(':') {
                continue;
            }
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
            let (id, event) = (field("id: ").parse().unwrap(), field("event: "));
            return Some(Message { id, event, data: serde_json::from_str(&field("data: ")).unwrap() });
        }
    }

    async fn places(&mut self) -> Vec<i64> {
        let mut places = Vec::new();
        while let Some(message) = self.message().await {
            places.push(message.id);
        }
        places
    }
}

async fn page(server: &Server, path: &str) -> serde_json::Value {
    let request = server.request("GET", path).header("Accept", "application/json");
    let answer = Answer::of(request.send().await.unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.header("content-type"), "application/json");
    serde_json::from_str(&answer.body).unwrap()
}

#[tokio::test]
async fn a_stream_has_the_events_of_its_project_and_goes_on_where_it_was() {
    let home = Home::simulated();
    let (ann, _) = (home.token("ann", "p"), home.token("bob", "q"));
    let server = home.serve().with_token(&ann);
    let begin = settled(&home).await;
    let one = happen(&home, "p", "one");
    happen(&home, "q", "not yours");
    let (two, three) = (happen(&home, "p", "two"), happen(&home, "p", "three"));

    let mut reader = Reader::open(&server, &format!("/events?after={begin}&limit=3"), None).await;
    let first = reader.message().await.unwrap();
    assert_eq!((first.id, first.event.as_str()), (one, "test.happened"));
    let expected = serde_json::json!({
        "at": "1970-01-01T00:00:00Z", "kind": "test.happened", "request_id": "r-1",
        "body": { "message": "one", "usage": { "cores": 2 } },
    });
    assert_eq!(first.data, expected);
    assert_eq!(reader.places().await, [two, three]);
    let mut resumed = Reader::open(&server, &format!("/events?after={begin}&limit=1"), Some(two)).await;
    assert_eq!(resumed.places().await, [three]);
}

#[tokio::test]
async fn what_happens_later_arrives_and_what_was_before_does_not() {
    let home = Home::simulated();
    let token = home.token("ann", "p");
    home.token("bob", "q");
    let server = home.serve().with_token(&token);
    settled(&home).await;
    happen(&home, "p", "before");
    let mut reader = Reader::open(&server, "/events", None).await;
    let (one, _, two) = (happen(&home, "p", "one"), happen(&home, "q", "not yours"), happen(&home, "p", "two"));
    assert_eq!(reader.message().await.unwrap().id, one);
    assert_eq!(reader.message().await.unwrap().id, two);
    let three = happen(&home, "p", "three");
    assert_eq!(reader.message().await.unwrap().id, three);
    // Server and streams end together, and no stream is cut off: that would be an error here.
    let status = tokio::task::spawn_blocking(move || server.interrupt());
    assert_eq!(reader.message().await, None);
    assert!(status.await.unwrap().success());
}

#[tokio::test]
async fn the_life_of_a_machine_is_told_with_its_place() {
    let home = Home::simulated();
    home.publish_blank("blank");
    let server = home.serve().with_token(&home.token("ann", "p"));
    settled(&home).await;
    let mut reader = Reader::open(&server, "/events", None).await;
    let location = server.create("blank", "").await;
    let path = location.strip_prefix(&server.base).unwrap().to_owned();
    let created = reader.message().await.unwrap();
    assert_eq!(created.event, "entity.created");
    assert_eq!(created.data["entity"]["path"], path.as_str());
    assert_eq!(created.data["body"]["usage"]["machines"], 1);
    loop {
        let message = reader.message().await.unwrap();
        assert_eq!(message.data["entity"]["path"], path.as_str(), "{message:?}");
        if message.event == "entity.state" && message.data["body"]["state"] == "active" {
            break;
        }
    }
    server.delete(&path).await;
    loop {
        let message = reader.message().await.unwrap();
        if message.event == "entity.removed" {
            assert_eq!(message.data["entity"]["path"], path.as_str(), "known although it is gone");
            assert_eq!(message.data["body"]["usage"]["machines"], -1);
            break;
        }
    }
}

#[tokio::test]
async fn a_log_longer_than_a_page_comes_whole() {
    let home = Home::simulated();
    let token = home.token("ann", "p");
    let server = home.serve().with_token(&token);
    let begin = settled(&home).await;
    let first = happen(&home, "p", "first");
    let padding = "x".repeat(1000);
    sql(
        &home,
        &format!(
            "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 999) \
             INSERT INTO events (id, at, kind, project_id, body, position, seal) \
             SELECT printf('019e0000-0000-7000-8000-%012d', i), 0, 'test.many', \
             (SELECT id FROM projects WHERE name = 'p'), '{{\"message\":\"{padding}\"}}', {first} + i, 'x' FROM n"
        ),
    );
    let expected: Vec<i64> = (first..first + 1000).collect();
    let mut reader = Reader::open(&server, &format!("/events?after={begin}&limit=1000"), None).await;
    assert_eq!(reader.places().await, expected);

    let (mut after, mut places) = (serde_json::json!(begin), Vec::new());
    loop {
        let page = page(&server, &format!("/events?after={after}")).await;
        let events = page["events"].as_array().unwrap().clone();
        if events.is_empty() {
            assert_eq!(page["next"], after);
            break;
        }
        places.extend(events.iter().map(|event| event["position"].as_i64().unwrap()));
        after = page["next"].clone();
    }
    assert_eq!(places, expected);
    assert_eq!(page(&server, "/events?after=0&limit=2").await["events"].as_array().unwrap().len(), 2);
    assert_eq!(page(&server, "/events").await["next"], after, "without a place, from now on");
}

#[tokio::test]
async fn a_place_behind_the_end_is_void_and_said_to_be() {
    let home = Home::simulated();
    let token = home.token("ann", "p");
    let server = home.serve().with_token(&token);
    settled(&home).await;
    let end = happen(&home, "p", "the last one in the backup");
    let lost = end + 1_000_000;
    let mut reader = Reader::open(&server, &format!("/events?after={lost}&limit=1"), None).await;
    let reset = reader.message().await.unwrap();
    assert_eq!((reset.id, reset.event.as_str(), &reset.data["end"]), (end, "reset", &end.into()));
    let next = happen(&home, "p", "after the restoration");
    assert_eq!(reader.message().await.unwrap().id, next);
    let page = page(&server, &format!("/events?after={lost}")).await;
    assert_eq!((&page["reset"], page["events"].as_array().unwrap().len()), (&true.into(), 0));
}

#[tokio::test]
async fn a_revoked_token_sees_nothing_more() {
    let home = Home::simulated();
    let created = home.must(&["token", "create", "--user", "ann", "--project", "p", "--json"]);
    let created: serde_json::Value = serde_json::from_str(&created).unwrap();
    let server = home.serve().with_token(created["token"].as_str().unwrap());
    settled(&home).await;
    let mut reader = Reader::open(&server, "/events", None).await;
    home.must(&["token", "revoke", created["id"].as_str().unwrap()]);
    happen(&home, "p", "secret");
    assert_eq!(reader.message().await, None);
}

#[tokio::test]
async fn one_project_opens_so_many_streams_and_another_one_still_gets_in() {
    let home = Home::simulated();
    let (ann, bob) = (home.token("ann", "p"), home.token("bob", "q"));
    let server = home.serve().with_token(&ann);
    settled(&home).await;
    let mut readers = Vec::new();
    for _ in 0..64 {
        readers.push(Reader::open(&server, "/events", None).await);
    }
    let refused = server.get("/events").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{}", refused.body);
    assert_eq!(refused.header("retry-after"), "10");
    let open = async || server.get("/metrics").await.body.lines().any(|line| line == "tombolo_event_streams 64");
    assert!(open().await);
    let other = crate::client::client().get(format!("{}/events", server.base)).bearer_auth(&bob).send().await.unwrap();
    assert_eq!(other.status(), StatusCode::OK);
    readers.pop();
    let happened = happen(&home, "p", "all hear it");
    for reader in &mut readers {
        assert_eq!(reader.message().await.unwrap().id, happened);
    }
    // The place of the one who went is free once something could not be written to it.
    for _ in 0..200 {
        happen(&home, "p", "is anybody there");
        let response = server.request("GET", "/events").send().await.unwrap();
        if response.status() == StatusCode::OK {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the place is never free again");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let home = Home::simulated();
    let token = home.token("ann", "p");
    assert_eq!(home.serve().get("/events").await.status, StatusCode::UNAUTHORIZED);
    let server = home.serve().with_token(&token);
    for path in ["/events?after=x", "/events?after=-1", "/events?limit=0", "/events?limit=x"] {
        assert_eq!(server.get(path).await.status, StatusCode::BAD_REQUEST, "{path}");
    }
    let html = server.request("GET", "/events").header("Accept", "text/html").send().await.unwrap();
    assert_eq!(html.status(), StatusCode::NOT_ACCEPTABLE);
    let posted = server.post("/events", "x").await;
    assert_eq!((posted.status, posted.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, "GET".into()));
}
