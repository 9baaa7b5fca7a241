use backend::{Listing, Machine, MachineState};
use serde_json::{Value, json};

use crate::tag;

fn machine(name: &str) -> Value {
    json!({
        "id": name, "tag": tag(), "state": "running", "detail": null, "endpoints": [], "console": null,
        "guest_answers": null
    })
}

/// A list of ten thousand machines and, in its midst, this.
fn among_many(odd: &[u8]) -> Vec<u8> {
    let half = |letter: &str| {
        let all: Vec<_> = (0..5000).map(|index| machine(&format!("{letter}-{index}")).to_string()).collect();
        all.join(",").into_bytes()
    };
    [b"[", &half("a")[..], b" , ", odd, b",\n", &half("b"), b"]"].concat()
}

#[test]
fn one_malformed_object_costs_itself_alone() {
    let good = machine("odd").to_string();
    let giant = |length: usize| good.replace("odd", &"x".repeat(length)).into_bytes();
    let named = |name: &str| {
        let mut machine = machine("odd");
        machine["name"] = json!(name);
        machine.to_string().into_bytes()
    };
    for odd in [
        giant(129),
        giant(1 << 20),
        named(&"n".repeat(1025)),
        good.replace("\"running\"", "NaN").into_bytes(),
        good.replace("\"running\"", "7").into_bytes(),
        good.replace("\"running\"", "1e999").into_bytes(),
        good.replace("running", "\u{1b}[31m").into_bytes(),
        [&good.as_bytes()[..8], b"\xff\xfe\x80", &good.as_bytes()[8..]].concat(),
        b"null".to_vec(),
        b"".to_vec(),
        b"{}".to_vec(),
        b"\"],[\\\"{\"".to_vec(),
        [vec![b'['; 20_000], vec![b']'; 20_000]].concat(),
        good.replace("}", ",}").into_bytes(),
    ] {
        let shown = String::from_utf8_lossy(&odd[..odd.len().min(100)]).into_owned();
        let listing: Listing<Machine> = Listing::from_json(&among_many(&odd)).unwrap();
        assert_eq!((listing.objects.len(), listing.unreadable_count()), (10_000, 1), "{shown}");
        let said = &listing.unreadable[0];
        assert!(said.starts_with("object 5000") && said.chars().count() <= 200, "{said}");
        assert!(!said.contains(char::is_control), "{said}");
    }
}

#[test]
fn good_lists_are_read_whole() {
    for (text, objects) in [("[]", vec![]), (" [ ]\n", vec![]), ("[1]", vec![1]), ("[ 1 ,2,\n3 ]", vec![1, 2, 3])] {
        assert_eq!(Listing::<u32>::from_json(text.as_bytes()).unwrap(), Listing::from(objects), "{text}");
    }
    let texts: Listing<String> = Listing::from_json(br#"["],[", "\"]", "\\", "{"]"#).unwrap();
    assert_eq!(texts.objects, ["],[", "\"]", "\\", "{"]);
}

#[test]
fn what_is_no_list_is_no_listing() {
    for text in ["", "{}", "null", "[", "[1", "[1,", "[1]]", "[] x", "[\"]", "[{]", "<html>[]"] {
        assert!(Listing::<u32>::from_json(text.as_bytes()).is_err(), "{text}");
    }
    let many = format!("[{}1]", "1,".repeat(200_000));
    assert!(Listing::<u32>::from_json(many.as_bytes()).is_err());
}

#[test]
fn what_is_said_of_many_is_bounded() {
    let text = format!("[{}7]", "{},".repeat(5000));
    let listing: Listing<u32> = Listing::from_json(text.as_bytes()).unwrap();
    assert_eq!(listing.objects, [7]);
    assert_eq!((listing.unreadable.len(), listing.more_unreadable, listing.unreadable_count()), (20, 4980, 5000));
    let mut listing = Listing::from(vec![1]);
    listing.note_unreadable("a\u{202e}b\0c\u{7f}d é 教\r\n");
    assert_eq!(listing.unreadable, ["a?b?c?d é 教??"]);
}

#[test]
fn a_machine_of_an_older_backend_is_read() {
    let listing: Listing<Machine> = Listing::from_json(format!("[{}]", machine("m-1")).as_bytes()).unwrap();
    let machine = &listing.objects[0];
    assert_eq!((machine.state, &machine.name, machine.size), (MachineState::Running, &None, None));
}
