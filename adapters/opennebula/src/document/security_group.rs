use backend::{IntentTag, Rule};

use super::{Document, Unreadable, id_of, name_of};
use crate::{
    names::{self, Id},
    rules::read_rules,
    xml::Element,
};

/// A security group.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SecurityGroupDocument {
    pub(crate) id: Id,
    pub(crate) name: String,
    pub(crate) tag: Option<IntentTag>,
    pub(crate) rules: Vec<Rule>,
}

impl Document for SecurityGroupDocument {
    const ELEMENT: &'static str = "SECURITY_GROUP";

    fn read(element: &Element) -> Result<Self, Unreadable> {
        let template = element.child("TEMPLATE");
        let rules = template.map(|template| template.all("RULE")).into_iter().flatten();
        Ok(Self {
            id: id_of(element)?,
            name: name_of(element)?,
            tag: template.and_then(|template| template.value_of(names::TAG)),
            rules: read_rules(rules),
        })
    }
}
