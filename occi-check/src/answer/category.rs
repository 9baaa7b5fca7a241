//! A category of the query interface.

use serde_json::Value as Json;

use super::scanner::{parameter, split_parameters};
use crate::check::Stop;

/// A kind, mixin or action as the query interface shows it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Category {
    pub(crate) term: String,
    /// Ends in `#`.
    pub(crate) scheme: String,
    /// `kind`, `mixin` or `action`.
    pub(crate) class: String,
    pub(crate) title: Option<String>,
    /// `rel` of the text renderings; in JSON a kind's parent or a mixin's first `depends`.
    pub(crate) rel: Option<String>,
    pub(crate) location: Option<String>,
    pub(crate) attributes: Vec<AttributeRule>,
    /// Identifiers of actions.
    pub(crate) actions: Vec<String>,
    /// JSON only.
    pub(crate) depends: Vec<String>,
    /// JSON only.
    pub(crate) applies: Vec<String>,
    /// Parameter names in the order of the line, from `scheme`; text only.
    pub(crate) order: Vec<String>,
    /// As it was read.
    pub(crate) raw: String,
}

/// What a category says of one of its attributes.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct AttributeRule {
    pub(crate) name: String,
    pub(crate) is_immutable: bool,
    pub(crate) is_required: bool,
    /// JSON only.
    pub(crate) default: Option<Json>,
}

impl Category {
    /// Scheme and term in one.
    pub(crate) fn identifier(&self) -> String {
        format!("{}{}", self.scheme, self.term)
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<&AttributeRule> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// Reads one value of `Category:`, strictly by the grammar.
    pub(crate) fn parse(value: &str) -> Result<Self, Stop> {
        Self::read(value).map_err(|stop| match stop {
            Stop::Failed(problem) => Stop::Failed(format!("{problem} in the category {value:?}")),
            skipped @ Stop::Skipped(_) => skipped,
        })
    }

    fn read(value: &str) -> Result<Self, Stop> {
        let mut parts = split_parameters(value)?.into_iter();
        let term = parts.next().unwrap_or_default();
        let starts_well = term.starts_with(|first: char| first.is_ascii_alphanumeric());
        let is_term = starts_well && term.chars().all(|each| each.is_ascii_alphanumeric() || "-_.".contains(each));
        hold!(is_term, "{term:?} is no term");
        let mut category = Self { term, raw: value.to_owned(), ..Self::default() };
        for part in parts {
            // The grammar allows `class` to stand bare, and nothing else.
            let bare = part.strip_prefix("class=").filter(|class| !class.starts_with('"'));
            let (name, value) = match bare {
                Some(class) => ("class".to_owned(), class.to_owned()),
                None => parameter(&part)?,
            };
            hold!(!category.order.contains(&name), "{name} stands twice");
            category.take(&name, value)?;
            category.order.push(name);
        }
        hold!(!category.scheme.is_empty(), "there is no scheme");
        hold!(["kind", "mixin", "action"].contains(&category.class.as_str()), "{:?} is no class", category.class);
        Ok(category)
    }

    fn take(&mut self, name: &str, value: String) -> Result<(), Stop> {
        match name {
            "scheme" => self.scheme = value,
            "class" => self.class = value,
            "title" => self.title = Some(value),
            "rel" => self.rel = Some(value),
            "location" => self.location = Some(value),
            "attributes" => self.attributes = attribute_rules(&value)?,
            "actions" => self.actions = value.split_ascii_whitespace().map(str::to_owned).collect(),
            other => fail!("{other:?} is no parameter"),
        }
        Ok(())
    }
}

/// `a b{immutable} c{required immutable}`.
fn attribute_rules(text: &str) -> Result<Vec<AttributeRule>, Stop> {
    let mut rules = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = rest.find([' ', '{']).unwrap_or(rest.len());
        let mut rule = AttributeRule { name: rest[..end].to_owned(), ..AttributeRule::default() };
        let starts_well = rule.name.starts_with(|first: char| first.is_ascii_alphanumeric());
        hold!(starts_well, "{:?} is no attribute name", rule.name);
        rest = &rest[end..];
        if let Some(properties) = rest.strip_prefix('{') {
            let Some((properties, after)) = properties.split_once('}') else { fail!("a brace has no end in {text:?}") };
            for property in properties.split_ascii_whitespace() {
                match property {
                    "immutable" => rule.is_immutable = true,
                    "required" => rule.is_required = true,
                    other => fail!("{other:?} is no property of an attribute"),
                }
            }
            rest = after;
        }
        rules.push(rule);
        rest = rest.trim_start();
    }
    Ok(rules)
}

/// Reads `{"kinds":[…],"mixins":[…],"actions":[…]}`.
pub(super) fn from_model(model: &Json) -> Result<Vec<Category>, Stop> {
    let mut categories = Vec::new();
    for (member, class) in [("kinds", "kind"), ("mixins", "mixin"), ("actions", "action")] {
        let Some(items) = model.get(member) else { continue };
        let Some(items) = items.as_array() else { fail!("{member} is not an array") };
        for item in items {
            categories.push(from_json(item, class)?);
        }
    }
    Ok(categories)
}

fn from_json(item: &Json, class: &str) -> Result<Category, Stop> {
    let text = |member: &str| item.get(member).and_then(Json::as_str).map(str::to_owned);
    let (Some(term), Some(scheme)) = (text("term"), text("scheme")) else {
        fail!("a {class} has no term or no scheme: {item}");
    };
    let list = |member: &str| -> Vec<String> {
        let items = item.get(member).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        items.iter().filter_map(Json::as_str).map(str::to_owned).collect()
    };
    let mut attributes = Vec::new();
    if let Some(described) = item.get("attributes").and_then(Json::as_object) {
        for (name, description) in described {
            let flag = |member: &str| description.get(member).and_then(Json::as_bool);
            attributes.push(AttributeRule {
                name: name.clone(),
                is_immutable: !flag("mutable").unwrap_or(false),
                is_required: flag("required").unwrap_or(false),
                default: description.get("default").cloned(),
            });
        }
    }
    let depends = list("depends");
    let rel = text("parent").or_else(|| depends.first().cloned());
    Ok(Category {
        term,
        scheme,
        class: class.to_owned(),
        title: text("title"),
        rel,
        location: text("location"),
        attributes,
        actions: list("actions"),
        depends,
        applies: list("applies"),
        order: Vec::new(),
        raw: item.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_category_is_read_by_the_grammar() {
        let category = Category::parse(
            "storage; scheme=\"http://e.x/#\"; class=kind; title=\"A \\\"b\\\"; c\"; rel=\"http://e.x/#r\"; \
             location=\"/storage/\"; attributes=\"a{immutable} b c{required immutable}\"; actions=\"x#y x#z\"",
        );
        let category = category.unwrap();
        assert_eq!(category.identifier(), "http://e.x/#storage");
        assert_eq!(category.title.as_deref(), Some("A \"b\"; c"));
        assert_eq!(category.actions, ["x#y", "x#z"]);
        assert!(category.attribute("c").unwrap().is_required && category.attribute("c").unwrap().is_immutable);
        assert!(!category.attribute("b").unwrap().is_immutable);
        assert_eq!(category.order[0], "scheme");
    }

    #[test]
    fn what_the_grammar_does_not_know_is_refused() {
        for wrong in [
            "",
            "a b; scheme=\"s#\"; class=\"kind\"",
            "a; class=\"kind\"",
            "a; scheme=\"s#\"",
            "a; scheme=\"s#\"; class=\"type\"",
            "a; scheme=\"s#\"; class=\"kind\"; class=\"kind\"",
            "a; scheme=\"s#\"; class=\"kind\"; colour=\"red\"",
            "a; scheme=\"s#\"; class=\"kind\"; attributes=\"a{mutable}\"",
        ] {
            assert!(Category::parse(wrong).is_err(), "{wrong}");
        }
    }
}
