//! The regular expressions of real clients, by hand (sections 3.8 and 4.8). Each of these readers is as narrow as the
//! client it stands for; the query interface and an entity must pass all of them.

use std::collections::BTreeMap;

use occi_schema::well_known::{COMPUTE, NETWORK, NETWORK_INTERFACE, START, STOP, attribute};
use occi_schema::{EntityView, LinkView, MediaType, Model, Value, render};

/// `name="value"` parameters separated by `; `, in this order, values without `"` and `\`: rOCCI 4 and 5, jOCCI.
fn ordered_parameters(line: &str) -> Option<Vec<(&str, &str)>> {
    const ORDER: [&str; 7] = ["scheme", "class", "title", "rel", "location", "attributes", "actions"];
    let mut rest = line;
    let mut found = Vec::new();
    for name in ORDER {
        let Some(value) = rest.strip_prefix("; ").and_then(|rest| rest.strip_prefix(name)) else { continue };
        let value = value.strip_prefix("=\"")?;
        let (value, after) = value.split_once('"')?;
        if value.contains('\\') {
            return None;
        }
        found.push((name, value));
        rest = after;
    }
    rest.is_empty().then_some(found)
}

/// A name of lower-case components, as the 1.1 grammar has it.
fn is_name_of_1_1(name: &str) -> bool {
    name.split('.').all(|part| {
        part.bytes().next().is_some_and(|first| first.is_ascii_lowercase())
            && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte))
    })
}

fn query() -> String {
    String::from_utf8(render::model(MediaType::TextPlain, &Model::standard()).body).unwrap()
}

#[test]
fn rocci_and_jocci_read_every_category_line() {
    let mut listed = Vec::new();
    let mut named = Vec::new();
    for line in query().lines() {
        let value = line.strip_prefix("Category: ").unwrap();
        let (term, rest) = value.split_at(value.find(';').unwrap());
        let parameters: BTreeMap<&str, &str> =
            ordered_parameters(rest).unwrap_or_else(|| panic!("{line}")).into_iter().collect();
        listed.push(format!("{}{term}", parameters["scheme"]));
        named.extend(parameters.get("rel").map(|rel| (*rel).to_owned()));
        named.extend(parameters.get("actions").into_iter().flat_map(|list| list.split(' ')).map(str::to_owned));
        for attribute in parameters.get("attributes").into_iter().flat_map(|list| split_outside_braces(list)) {
            let name = attribute.split('{').next().unwrap_or_default();
            assert!(is_name_of_1_1(name), "{name}");
            let flags = attribute.strip_prefix(name).unwrap();
            assert!(["", "{immutable}", "{required}", "{required immutable}"].contains(&flags), "{attribute}");
        }
        if parameters["class"] != "action" {
            let location = parameters["location"];
            assert!(location.starts_with('/') && location.ends_with('/'), "{location}");
        } else {
            assert!(["rel", "location", "actions"].iter().all(|name| !parameters.contains_key(name)), "C-010: {line}");
        }
        assert!(!line.contains(','), "C-271: {line}");
    }
    // jOCCI throws when a category that is referred to is not listed; C-009.
    for id in named {
        assert!(listed.contains(&id), "{id}");
    }
}

/// The working group's tool: `\w+; \bscheme=[a-z:./#"]*; \bclass="(?:action|kind|mixin)"` on the second line.
#[test]
fn c_027_the_working_groups_tool_reads_the_first_lines() {
    let text = query();
    let fields = render::model(MediaType::TextOcci, &Model::standard());
    let first_of_field = fields.headers[0].1.split(", ").next().unwrap();
    let lines = text.lines().take(2).map(|line| line.strip_prefix("Category: ").unwrap());
    for line in lines.chain([first_of_field]) {
        let mut parts = line.split("; ");
        assert!(parts.next().unwrap().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
        let scheme = parts.next().unwrap().strip_prefix("scheme=").unwrap();
        assert!(scheme.bytes().all(|byte| byte.is_ascii_lowercase() || b":./#\"".contains(&byte)), "{scheme}");
        assert!(["class=\"kind\"", "class=\"mixin\"", "class=\"action\""].contains(&parts.next().unwrap()));
    }
}

fn split_outside_braces(list: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut depth = 0;
    for letter in list.chars() {
        match letter {
            ' ' if depth == 0 => found.push(String::new()),
            _ => {
                depth += i32::from(letter == '{') - i32::from(letter == '}');
                found.last_mut().unwrap().push(letter);
            }
        }
    }
    found
}

#[test]
fn c_136_c_146_c_256_entities_suit_every_client() {
    let attributes = BTreeMap::from([
        (attribute::TITLE.clone(), Value::from("vm one")),
        (attribute::CORES.clone(), Value::Integer(2)),
        (attribute::MEMORY.clone(), Value::Float(4.0)),
    ]);
    let none = BTreeMap::new();
    let actions = [START.clone(), STOP.clone()];
    let link = LinkView {
        id: "urn:uuid:2",
        kind: &NETWORK_INTERFACE,
        mixins: &[],
        attributes: &none,
        location: "/networkinterface/2",
        target: "/network/3",
        target_kind: Some(&NETWORK),
    };
    let view = EntityView {
        id: "urn:uuid:1",
        kind: &COMPUTE,
        mixins: &[],
        attributes: &attributes,
        links: vec![link],
        actions: &actions,
        location: "/compute/1",
    };
    let plain = render::entity(MediaType::TextPlain, &view, "http://localhost");
    let text = String::from_utf8(plain.body).unwrap();
    assert!(text.starts_with("Category: compute; scheme="), "jOCCI wants the kind first");
    assert!(text.contains("X-OCCI-Attribute: occi.core.id=\"urn:uuid:1\"\n"), "jOCCI and rOCCI 5 want the id");
    assert!(text.contains("occi.compute.cores=2\n") && text.contains("occi.compute.memory=4.0\n"));
    let link = text.lines().find(|line| line.contains("self=")).unwrap();
    assert!(link.contains("; category=\"") && link.contains("; occi.core.id=\""), "{link}");
    assert!(!text.contains('\r'));
    // The tool takes the first link of the header for the start action, and puts the host before it.
    let fields = render::entity(MediaType::TextOcci, &view, "http://localhost");
    let links = &fields.headers.iter().find(|(name, _)| *name == "Link").unwrap().1;
    assert!(links.starts_with("</compute/1?action=start>; rel=\""), "{links}");
    let names: Vec<&str> = fields.headers.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["Category", "Link", "X-OCCI-Attribute"]);
}
