//! Events as text: of a stream (WHATWG HTML, section "Server-sent events"), or as JSON.

use serde_json::{Value, json};

use crate::broker::{EventsRead, ToldEvent};

/// Longer than this neither a page nor a piece of a stream grows, but for one last event. What a consumer has not taken
/// is all that is kept for it.
const MOST_BYTES: usize = 256 << 10;

/// Events as a piece of a stream.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece {
    pub text: String,
    /// The place of the last event in it.
    pub read_to: Option<i64>,
    /// How many they are.
    pub count: u64,
}

/// As many of the events as fit, at most `limit`.
pub fn piece(events: &[ToldEvent], limit: u64) -> Piece {
    let mut piece = Piece { text: String::new(), read_to: None, count: 0 };
    for event in events {
        if piece.count >= limit || piece.text.len() >= MOST_BYTES {
            break;
        }
        piece.text += &message(event.position, &event.kind, &data(event));
        piece.read_to = Some(event.position);
        piece.count += 1;
    }
    piece
}

/// The word to a consumer who has seen more than there is: its place is void, and it goes on from the present end.
pub fn reset(end: i64) -> String {
    message(end, "reset", &json!({ "end": end }))
}

/// One page, with the place after which the next one begins.
pub fn page(read: &EventsRead, after: Option<i64>) -> Value {
    let mut told = Vec::new();
    let (mut bytes, mut read_to) = (0, None);
    if let EventsRead::Page(events, _) = read {
        for event in events.iter() {
            if bytes >= MOST_BYTES {
                break;
            }
            let mut value = data(event);
            value["position"] = event.position.into();
            bytes += value.to_string().len();
            told.push(value);
            read_to = Some(event.position);
        }
    }
    let mut page = json!({ "events": told, "next": read.next(after, read_to) });
    if let EventsRead::Reset(_) = read {
        page["reset"] = true.into();
    }
    page
}

fn message(id: i64, kind: &str, data: &Value) -> String {
    // A line break would end the field. JSON has none.
    let kind: String = kind.chars().filter(char::is_ascii_graphic).collect();
    format!("id: {id}\nevent: {kind}\ndata: {data}\n\n")
}

fn data(event: &ToldEvent) -> Value {
    let entity = event.entity.as_ref().map(|entity| {
        let mut value = json!({ "id": format!("urn:uuid:{}", entity.id) });
        if let Some(path) = &entity.path {
            value["path"] = path.as_str().into();
        }
        value
    });
    let mut data = json!({ "at": event.at.to_string(), "kind": event.kind, "body": event.body });
    if let Some(entity) = entity {
        data["entity"] = entity;
    }
    if let Some(request_id) = &event.request_id {
        data["request_id"] = request_id.as_str().into();
    }
    data
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        broker::ToldEntity,
        store::{Timestamp, entity::EntityId},
    };

    fn event(position: i64, text: &str) -> ToldEvent {
        let body = json!({ "message": text });
        ToldEvent {
            position,
            at: Timestamp(0),
            kind: "entity.state".into(),
            entity: Some(ToldEntity { id: EntityId(Uuid::nil()), path: Some(format!("/compute/{}", Uuid::nil())) }),
            request_id: Some("r-1".into()),
            body: body.as_object().unwrap().clone(),
        }
    }

    #[test]
    fn a_message_is_three_lines_whatever_is_in_it() {
        let piece = piece(&[event(7, "two\nlines\r\u{2028}")], 9);
        assert_eq!((piece.read_to, piece.count), (Some(7), 1));
        let lines: Vec<&str> = piece.text.split('\n').collect();
        assert_eq!((lines[0], lines[1], &lines[3..]), ("id: 7", "event: entity.state", &["", ""][..]));
        let data: Value = serde_json::from_str(lines[2].strip_prefix("data: ").unwrap()).unwrap();
        let id = Uuid::nil();
        let expected = json!({
            "at": "1970-01-01T00:00:00Z", "kind": "entity.state", "request_id": "r-1",
            "entity": { "id": format!("urn:uuid:{id}"), "path": format!("/compute/{id}") },
            "body": { "message": "two\nlines\r\u{2028}" },
        });
        assert_eq!(data, expected);
    }

    #[test]
    fn pieces_and_pages_are_bounded_in_bytes_and_in_number() {
        let long = "x".repeat(16 << 10);
        let events: Vec<ToldEvent> = (1..=256).map(|position| event(position, &long)).collect();
        let piece = piece(&events, 256);
        assert!(piece.text.len() < MOST_BYTES + (17 << 10) && piece.count < 256, "{}", piece.count);
        assert_eq!(piece.read_to, i64::try_from(piece.count).ok());
        assert_eq!(super::piece(&events, 3).read_to, Some(3));
        let page = page(&EventsRead::Page(events, 300), Some(0));
        let told = page["events"].as_array().unwrap();
        assert!(page.to_string().len() < MOST_BYTES + (17 << 10));
        assert_eq!(page["next"], told.last().unwrap()["position"]);
    }

    #[test]
    fn the_next_page_begins_where_this_one_ends() {
        let page_of = |read, after| page(&read, after)["next"].clone();
        assert_eq!(page_of(EventsRead::Page(vec![event(5, "")], 9), Some(2)), 5);
        assert_eq!(page_of(EventsRead::Page(Vec::new(), 9), Some(2)), 2);
        assert_eq!(page_of(EventsRead::Page(Vec::new(), 9), None), 9);
        let reset = page(&EventsRead::Reset(4), Some(9));
        assert_eq!(reset, json!({ "events": [], "next": 4, "reset": true }));
        assert_eq!(super::reset(4), "id: 4\nevent: reset\ndata: {\"end\":4}\n\n");
    }
}
