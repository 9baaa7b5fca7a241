use super::{Bounds, Template, XmlError, read, read_children};

const SMALL: Bounds = Bounds { depth: 4, elements: 5, text: 10, objects: 3 };

#[test]
fn text_is_text_with_cdata_or_without() {
    for document in
        ["<A><B>a&lt;b &#x41;</B></A>", "<A><B><![CDATA[a<b A]]></B></A>", "<A>\n <B>a<![CDATA[<b]]> A</B>\n</A>"]
    {
        assert_eq!(read(document, SMALL).unwrap().text_of("B"), Some("a<b A"), "{document}");
    }
    let empty = read("<A><B/><C></C></A>", SMALL).unwrap();
    assert_eq!((empty.text_of("B"), empty.text_of("C"), empty.children.len()), (None, None, 2));
}

#[test]
fn document_types_and_entities_are_not_read() {
    let bomb = "<!DOCTYPE A [<!ENTITY a \"aaaa\">]><A>&a;</A>";
    assert_eq!(read(bomb, SMALL), Err(XmlError::Forbidden("a document type")));
    assert_eq!(read("<A>&a;</A>", SMALL), Err(XmlError::Forbidden("an entity of its own")));
    let outside = "<!DOCTYPE A SYSTEM \"file:///etc/passwd\"><A/>";
    assert_eq!(read(outside, SMALL), Err(XmlError::Forbidden("a document type")));
}

#[test]
fn everything_is_bounded() {
    let excessive = |document: &str| matches!(read(document, SMALL), Err(XmlError::Excessive(_)));
    assert!(excessive("<A><B><C><D><E/></D></C></B></A>"));
    assert!(excessive("<A><B/><B/><B/><B/><B/></A>"));
    assert!(excessive("<A>01234567890</A>"));
    assert!(excessive(&format!("<A {}/>", "a=\"b\" ".repeat(1000))));
    assert!(excessive(&"<A>".repeat(1_000_000)));
}

#[test]
fn what_is_cut_or_crossed_is_malformed() {
    for document in ["", "a", "<A>", "<A><B></A></B>", "<A/><B/>", "<A", "<A>&", "</A>", "<A>]"] {
        assert!(matches!(read(document, SMALL), Err(XmlError::Malformed(_))), "{document}");
    }
}

#[test]
fn an_object_that_is_too_large_costs_itself() {
    let list = "<O_POOL><O><ID>1</ID></O><O><ID>22222222222</ID></O><O><ID>3</ID></O></O_POOL>";
    let mut seen = Vec::new();
    read_children(list, SMALL, |object| seen.push(object.ok().and_then(|object| object.value_of::<u8>("ID")))).unwrap();
    assert_eq!(seen, [Some(1), None, Some(3)]);
    let deep = format!("<O_POOL><O>{}{}</O><O><ID>3</ID></O></O_POOL>", "<X>".repeat(9), "</X>".repeat(9));
    seen.clear();
    read_children(&deep, SMALL, |object| seen.push(object.ok().and_then(|object| object.value_of("ID")))).unwrap();
    assert_eq!(seen, [None, Some(3)]);
    let endless = format!("<O_POOL>{}</O_POOL>", "<O/>".repeat(4));
    assert_eq!(read_children(&endless, SMALL, |_| {}), Err(XmlError::Excessive("more objects")));
    assert!(matches!(read_children("<O/>", SMALL, |_| {}), Err(XmlError::Malformed(_))));
}

#[test]
fn a_template_says_what_was_put_in() {
    let values = ["a\"b'c<d>&e", "ends in a backslash\\", "two\nlines\twith, [brackets] and $ #", "ünï 漢字", "]]"];
    for value in values {
        let text = Template::write(|template| {
            template.set("NAME", value).set("EMPTY", "");
            template.vector("DISK", |disk| {
                disk.set("IMAGE_ID", 7).set("NOTE", value);
            });
        })
        .unwrap();
        let read = read(&text, Bounds::OBJECT).unwrap();
        assert_eq!(read.child("NAME").unwrap().text, value);
        let disk = read.child("DISK").unwrap();
        assert_eq!((disk.value_of("IMAGE_ID"), disk.child("NOTE").unwrap().text.as_str()), (Some(7), value));
        assert!(read.child("EMPTY").is_none());
    }
}

#[test]
fn what_the_service_would_not_keep_is_refused_before_it_is_sent() {
    for (value, word) in [("a]]>b", "]]>"), ("a\u{7}", "control"), ("😀", "Multilingual"), ("a\rb", "control")] {
        let refused = Template::write(|template| {
            template.vector("CONTEXT", |context| {
                context.set("NOTE", value);
            });
        });
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("NOTE") && refused.contains(word), "{refused}");
    }
    let odd = Template::write(|template| {
        template.set("a-b", 1);
    });
    assert!(odd.is_err());
}
