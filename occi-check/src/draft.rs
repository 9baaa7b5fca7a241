//! What a check wants a server to make or change, in any rendering.

use serde_json::{Map, Value as Json, json};

/// Categories, links, attributes and locations of a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Draft {
    categories: Vec<(&'static str, String)>,
    links: Vec<String>,
    inline: Vec<Json>,
    attributes: Vec<(String, Json)>,
    locations: Vec<String>,
}

impl Draft {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Starts with the kind of this identifier.
    pub(crate) fn of(kind: &str) -> Self {
        Self::new().kind(kind)
    }

    pub(crate) fn kind(self, identifier: &str) -> Self {
        self.category("kind", identifier)
    }

    pub(crate) fn mixin(self, identifier: &str) -> Self {
        self.category("mixin", identifier)
    }

    pub(crate) fn action(self, identifier: &str) -> Self {
        self.category("action", identifier)
    }

    fn category(mut self, class: &'static str, identifier: &str) -> Self {
        self.categories.push((class, identifier.to_owned()));
        self
    }

    /// An attribute; text is quoted, numbers and booleans stand bare.
    pub(crate) fn attribute(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.attributes.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn has_attribute(&self, name: &str) -> bool {
        self.attributes.iter().any(|(given, _)| given == name)
    }

    /// An inline link of this kind to a target, whose kind is `rel`.
    pub(crate) fn link(self, target: &str, rel: &str, kind: &str) -> Self {
        self.link_with(target, rel, kind, &[])
    }

    /// An inline link with attributes.
    pub(crate) fn link_with(mut self, target: &str, rel: &str, kind: &str, attributes: &[(&str, &str)]) -> Self {
        let mut value = format!("<{target}>; rel=\"{rel}\"; category=\"{kind}\"");
        let mut inline = json!({"kind": kind, "target": {"location": target, "kind": rel}});
        for (name, text) in attributes {
            value.push_str(&format!("; {name}={}", quoted(text)));
            inline["attributes"][*name] = json!(text);
        }
        self.links.push(value);
        self.inline.push(inline);
        self
    }

    pub(crate) fn location(mut self, location: &str) -> Self {
        self.locations.push(location.to_owned());
        self
    }

    /// As lines of text/plain, one value each.
    pub(crate) fn lines(&self) -> String {
        let mut lines = String::new();
        for (name, values) in self.values() {
            for value in values {
                lines.push_str(&format!("{name}: {value}\n"));
            }
        }
        lines
    }

    /// As header fields of text/occi, one field for each value.
    pub(crate) fn repeated_fields(&self) -> Vec<(String, String)> {
        let each = |(name, values): (&str, Vec<String>)| {
            values.into_iter().map(|value| (name.to_owned(), value)).collect::<Vec<_>>()
        };
        self.values().into_iter().flat_map(each).collect()
    }

    /// As header fields of text/occi, one field for each name.
    pub(crate) fn fields(&self) -> Vec<(String, String)> {
        let joined = self.values().into_iter().filter(|(_, values)| !values.is_empty());
        joined.map(|(name, values)| (name.to_owned(), values.join(", "))).collect()
    }

    /// As an object of application/occi+json: an action invocation when it names an action, else an entity.
    pub(crate) fn json(&self) -> Json {
        let mut object = Map::new();
        let mut mixins = Vec::new();
        for (class, identifier) in &self.categories {
            match *class {
                "mixin" => mixins.push(json!(identifier)),
                class => {
                    object.insert(class.to_owned(), json!(identifier));
                }
            }
        }
        if !mixins.is_empty() {
            object.insert("mixins".to_owned(), Json::Array(mixins));
        }
        let mut attributes = Map::new();
        for (name, value) in &self.attributes {
            match name.as_str() {
                "occi.core.title" => object.insert("title".to_owned(), value.clone()),
                "occi.core.summary" => object.insert("summary".to_owned(), value.clone()),
                "occi.core.source" => object.insert("source".to_owned(), json!({ "location": value })),
                "occi.core.target" => object.insert("target".to_owned(), json!({ "location": value })),
                name => attributes.insert(name.to_owned(), value.clone()),
            };
        }
        if !attributes.is_empty() {
            object.insert("attributes".to_owned(), Json::Object(attributes));
        }
        if !self.inline.is_empty() {
            object.insert("links".to_owned(), Json::Array(self.inline.clone()));
        }
        Json::Object(object)
    }

    fn values(&self) -> [(&'static str, Vec<String>); 4] {
        let category = |(class, identifier): &(&str, String)| category_value(identifier, class);
        let attribute = |(name, value): &(String, Json)| format!("{name}={}", written(value));
        [
            ("Category", self.categories.iter().map(category).collect()),
            ("X-OCCI-Attribute", self.attributes.iter().map(attribute).collect()),
            ("Link", self.links.clone()),
            ("X-OCCI-Location", self.locations.clone()),
        ]
    }
}

/// `term; scheme="…"; class="…"` of an identifier.
pub(crate) fn category_value(identifier: &str, class: &str) -> String {
    let (scheme, term) = split_identifier(identifier);
    format!("{term}; scheme=\"{scheme}\"; class=\"{class}\"")
}

/// Scheme with its `#`, and term.
pub(crate) fn split_identifier(identifier: &str) -> (&str, &str) {
    identifier.rfind('#').map_or(("", identifier), |at| identifier.split_at(at + 1))
}

/// As the text renderings write a value.
pub(crate) fn written(value: &Json) -> String {
    match value {
        Json::String(text) => quoted(text),
        other => other.to_string(),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_says_the_same_in_each_rendering() {
        let draft = Draft::of("http://e.x/#k").mixin("http://e.x/#m").attribute("a", "x \"y\"").attribute("b", 2);
        assert_eq!(
            draft.lines(),
            "Category: k; scheme=\"http://e.x/#\"; class=\"kind\"\nCategory: m; scheme=\"http://e.x/#\"; \
             class=\"mixin\"\nX-OCCI-Attribute: a=\"x \\\"y\\\"\"\nX-OCCI-Attribute: b=2\n"
        );
        assert_eq!(draft.fields()[1], ("X-OCCI-Attribute".to_owned(), "a=\"x \\\"y\\\"\", b=2".to_owned()));
        let document = json!({"kind": "http://e.x/#k", "mixins": ["http://e.x/#m"],
            "attributes": {"a": "x \"y\"", "b": 2}});
        assert_eq!(draft.json(), document);
    }
}
