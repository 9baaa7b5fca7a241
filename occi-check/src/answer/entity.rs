//! A resource or link as a server shows it, the same from each rendering.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::{Answer, Category, JSON, Value, scanner::unquote, split_parameters};
use crate::check::Stop;

/// A resource or a link.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Entity {
    /// The kind's identifier.
    pub(crate) kind: String,
    /// Identifiers of its mixins.
    pub(crate) mixins: Vec<String>,
    /// All attributes, `occi.core.*` included whichever way the rendering has them.
    pub(crate) attributes: BTreeMap<String, Value>,
    /// Links to other resources.
    pub(crate) links: Vec<LinkSeen>,
    /// Actions that are applicable now.
    pub(crate) actions: Vec<ActionSeen>,
}

/// A link as the resource at its source shows it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct LinkSeen {
    pub(crate) target: String,
    /// Kind of the target.
    pub(crate) rel: Vec<String>,
    /// `self`: the link's own path; JSON has its id instead.
    pub(crate) own: Option<String>,
    /// The link's kind, then its mixins.
    pub(crate) categories: Vec<String>,
    pub(crate) attributes: BTreeMap<String, Value>,
}

/// An action as an instance offers it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ActionSeen {
    pub(crate) identifier: String,
    /// `{path}?action={term}`; empty in JSON, which has none.
    pub(crate) uri: String,
}

impl Entity {
    pub(super) fn of(answer: &Answer) -> Result<Self, Stop> {
        if answer.media_type() == JSON {
            return Self::from_json(&answer.json()?);
        }
        let mut entity = Self::default();
        for value in answer.rendered("Category")? {
            let category = Category::parse(&value)?;
            match category.class.as_str() {
                "kind" if entity.kind.is_empty() => entity.kind = category.identifier(),
                "kind" => fail!("the entity has two kinds, {} and {}", entity.kind, category.identifier()),
                "mixin" => entity.mixins.push(category.identifier()),
                other => fail!("an entity has no category of class {other}"),
            }
        }
        hold!(!entity.kind.is_empty(), "the answer holds no kind: {}", answer.first_words());
        for value in answer.rendered("X-OCCI-Attribute")? {
            let (name, value) = attribute(&value)?;
            hold!(entity.attributes.insert(name.clone(), value).is_none(), "the attribute {name} stands twice");
        }
        for value in answer.rendered("Link")? {
            let link = link(&value)?;
            if link.target.contains("?action=") {
                let Some(identifier) = link.rel.first().cloned() else { fail!("an action link has no rel: {value:?}") };
                entity.actions.push(ActionSeen { identifier, uri: link.target });
            } else {
                entity.links.push(link);
            }
        }
        Ok(entity)
    }

    /// Reads a resource or link object.
    pub(crate) fn from_json(object: &Json) -> Result<Self, Stop> {
        let text = |member: &str| object.get(member).and_then(Json::as_str);
        let Some(kind) = text("kind") else { fail!("the object has no kind: {}", brief(object)) };
        let mut entity = Self { kind: kind.to_owned(), ..Self::default() };
        entity.mixins = texts(object, "mixins")?;
        for identifier in texts(object, "actions")? {
            entity.actions.push(ActionSeen { identifier, uri: String::new() });
        }
        entity.attributes = attributes_of(object)?;
        for (member, name) in [("id", "occi.core.id"), ("title", "occi.core.title"), ("summary", "occi.core.summary")] {
            if let Some(value) = text(member) {
                entity.attributes.insert(name.to_owned(), Value::Text(value.to_owned()));
            }
        }
        for (member, name) in [("source", "occi.core.source"), ("target", "occi.core.target")] {
            if let Some(location) = object.get(member).and_then(|end| end.get("location")).and_then(Json::as_str) {
                entity.attributes.insert(name.to_owned(), Value::Text(location.to_owned()));
            }
        }
        if let Some(links) = object.get("links") {
            let Some(links) = links.as_array() else { fail!("links is not an array") };
            for link in links {
                entity.links.push(link_from_json(link)?);
            }
        }
        Ok(entity)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).and_then(Value::as_text)
    }

    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.attributes.get(name).and_then(Value::as_number)
    }

    pub(crate) fn has_mixin(&self, identifier: &str) -> bool {
        self.mixins.iter().any(|mixin| mixin == identifier)
    }

    /// Whether it offers the action of this identifier now.
    pub(crate) fn offers(&self, action: &str) -> bool {
        self.actions.iter().any(|offered| offered.identifier == action)
    }
}

fn attribute(text: &str) -> Result<(String, Value), Stop> {
    let Some((name, value)) = text.split_once('=') else { fail!("{text:?} is no attribute") };
    let is_name = !name.is_empty() && name.chars().all(|each| each.is_ascii_alphanumeric() || "-_.".contains(each));
    hold!(is_name, "{name:?} is no attribute name");
    Ok((name.to_owned(), Value::parse(value)?))
}

fn link(text: &str) -> Result<LinkSeen, Stop> {
    let mut parts = split_parameters(text)?.into_iter();
    let first = parts.next().unwrap_or_default();
    let target = first.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
    let Some(target) = target else { fail!("{text:?} does not start with <URI>") };
    let mut link = LinkSeen { target: target.to_owned(), ..LinkSeen::default() };
    for part in parts {
        let Some((name, value)) = part.split_once('=') else {
            fail!("{part:?} is not name=value in the link {text:?}")
        };
        let words = || unquote(value).map(|plain| plain.split_ascii_whitespace().map(str::to_owned).collect());
        match name {
            "rel" => link.rel = words()?,
            "self" => link.own = Some(unquote(value)?),
            "category" => link.categories = words()?,
            name => {
                // Here the grammar allows a token, too.
                let value = Value::parse(value).unwrap_or_else(|_| Value::Text(value.to_owned()));
                link.attributes.insert(name.to_owned(), value);
            }
        }
    }
    hold!(!link.rel.is_empty(), "the link {text:?} has no rel");
    Ok(link)
}

fn link_from_json(object: &Json) -> Result<LinkSeen, Stop> {
    let link = Entity::from_json(object)?;
    let Some(target) = link.text("occi.core.target") else { fail!("a link has no target: {}", brief(object)) };
    let rel = object.get("target").and_then(|target| target.get("kind")).and_then(Json::as_str);
    let mut categories = vec![link.kind.clone()];
    categories.extend(link.mixins.iter().cloned());
    Ok(LinkSeen {
        target: target.to_owned(),
        rel: rel.map(str::to_owned).into_iter().collect(),
        own: link.text("occi.core.id").map(str::to_owned),
        categories,
        attributes: link.attributes,
    })
}

fn attributes_of(object: &Json) -> Result<BTreeMap<String, Value>, Stop> {
    match object.get("attributes") {
        None => Ok(BTreeMap::new()),
        Some(Json::Object(members)) => {
            Ok(members.iter().map(|(name, value)| (name.clone(), Value::from_json(value))).collect())
        }
        Some(other) => fail!("attributes is not an object: {}", brief(other)),
    }
}

fn texts(object: &Json, member: &str) -> Result<Vec<String>, Stop> {
    let Some(found) = object.get(member) else { return Ok(Vec::new()) };
    let items = found.as_array().and_then(|items| items.iter().map(|item| item.as_str().map(str::to_owned)).collect());
    let Some(items) = items else { fail!("{member} is not an array of strings: {}", brief(found)) };
    Ok(items)
}

fn brief(json: &Json) -> String {
    json.to_string().chars().take(160).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(body: &str) -> Answer {
        let headers = vec![("content-type".to_owned(), "text/plain; charset=utf-8".to_owned())];
        Answer { status: 200, headers, body: body.as_bytes().to_vec() }
    }

    #[test]
    fn the_text_and_json_of_a_resource_are_the_same_entity() {
        let text = plain(
            "Category: compute; scheme=\"http://i/#\"; class=\"kind\"\n\
             X-OCCI-Attribute: occi.core.id=\"urn:uuid:1\", occi.compute.cores=2\n\
             Link: </network/1>; rel=\"http://i/#network\"; \
             self=\"/nic/1\"; category=\"http://i/#nic m#x\"; a.b=\"c; d\"\n\
             Link: </compute/1?action=start>; rel=\"http://i/a#start\"\n",
        );
        let seen = text.entity().unwrap();
        assert_eq!(seen.links[0].own.as_deref(), Some("/nic/1"));
        assert_eq!(seen.links[0].categories, ["http://i/#nic", "m#x"]);
        assert_eq!(seen.links[0].attributes["a.b"], Value::Text("c; d".to_owned()));
        assert!(seen.offers("http://i/a#start"));
        let json = serde_json::json!({"kind": "http://i/#compute", "id": "urn:uuid:1",
            "attributes": {"occi.compute.cores": 2}, "actions": ["http://i/a#start"]});
        let json = Entity::from_json(&json).unwrap();
        assert_eq!((json.kind, json.attributes), (seen.kind, seen.attributes));
    }

    #[test]
    fn two_kinds_or_unquoted_words_are_refused() {
        let kind = "Category: a; scheme=\"s#\"; class=\"kind\"\n";
        assert!(plain(&format!("{kind}{kind}")).entity().is_err());
        assert!(plain(&format!("{kind}X-OCCI-Attribute: a=word\n")).entity().is_err());
        assert!(plain("X-OCCI-Attribute: a=1\n").entity().is_err());
    }
}
