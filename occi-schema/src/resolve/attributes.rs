//! Values of an entity: what the client gives, defaults, and what templates impose.

use std::collections::BTreeMap;

use crate::attribute::{AttributeDefinition, AttributeName, Change, Presence};
use crate::contextualization;
use crate::identifier::CategoryId;
use crate::model::{Mode, Model};
use crate::resolve::Refusal;
use crate::value::{RawValue, Value};
use crate::well_known::{RES_TPL, RESOURCE_TPL, attribute};

/// Attributes that clients send out of habit and that are never taken from them.
const IGNORED: [&AttributeName; 2] = [&attribute::ID, &attribute::SOURCE_KIND];

/// What is known about one attribute of an entity.
#[derive(Debug)]
pub(super) struct Known<'m> {
    pub definition: &'m AttributeDefinition,
    /// The category that defines it first.
    pub owner: &'m CategoryId,
    /// A mixin's default, or else the kind's, and whose it is.
    pub default: Option<(&'m CategoryId, &'m Value)>,
    /// The size template that sets it, and the value.
    pub governed: Option<(&'m CategoryId, &'m Value)>,
}

impl Known<'_> {
    fn must_be_given(&self, mode: Mode) -> bool {
        match self.definition.presence {
            Presence::Optional => false,
            Presence::Required => true,
            Presence::ServerFills => mode == Mode::Strict,
        }
    }
}

/// All attributes that an entity of a kind with some mixins has.
pub(super) type Definitions<'m> = BTreeMap<&'m AttributeName, Known<'m>>;

impl Model {
    /// The attributes of an entity, from its kind, its mixins and what these depend on.
    pub(super) fn definitions<'m>(&'m self, kind: &CategoryId, mixins: &[CategoryId]) -> Definitions<'m> {
        let mut known = Definitions::new();
        for kind in self.ancestry(kind) {
            for definition in &kind.attributes {
                // The server sets what only it may write, such as states, when the time comes.
                let default = definition.default.as_ref().filter(|_| definition.change != Change::Never);
                let default = default.map(|value| (&kind.id, value));
                let entry = Known { definition, owner: &kind.id, default, governed: None };
                known.entry(&definition.name).or_insert(entry);
            }
        }
        let mut has_mixin_default: Vec<&AttributeName> = Vec::new();
        let chain = mixins.iter().flat_map(|id| self.with_dependencies(id));
        for mixin in chain.filter(|mixin| !mixin.attributes.is_empty()) {
            let is_size = [&RESOURCE_TPL, &RES_TPL].iter().any(|family| self.is_template_of(&mixin.id, family));
            for definition in &mixin.attributes {
                let entry = Known { definition, owner: &mixin.id, default: None, governed: None };
                let entry = known.entry(&definition.name).or_insert(entry);
                let Some(default) = &definition.default else { continue };
                if is_size && entry.governed.is_none() {
                    entry.governed = Some((&mixin.id, default));
                }
                if !has_mixin_default.contains(&&definition.name) {
                    has_mixin_default.push(&definition.name);
                    entry.default = Some((&mixin.id, default));
                }
            }
        }
        known
    }

    /// The values of a new entity: client, then mixin, then kind (core section 5.3.7); templates of sizes override all.
    pub(super) fn new_values(
        &self,
        kind: &CategoryId,
        definitions: &Definitions<'_>,
        given: &[(AttributeName, RawValue)],
        mode: Mode,
    ) -> Result<BTreeMap<AttributeName, Value>, Refusal> {
        let mut values = BTreeMap::new();
        for (name, raw) in given {
            let Some((known, value)) = read(kind, definitions, name, raw, mode)? else { continue };
            if known.governed.is_some() {
                continue;
            }
            match known.definition.change {
                Change::Never if mode == Mode::Interop => {}
                Change::Never => return Err(Refusal::ImmutableAttribute(name.clone())),
                Change::Always | Change::AtCreation => insert(&mut values, name, value)?,
            }
        }
        for (name, known) in definitions {
            let default = known.default.filter(|_| !values.contains_key(*name));
            if let Some((_, value)) = known.governed.or(default) {
                values.insert((*name).clone(), value.clone());
            } else if known.must_be_given(mode) && !values.contains_key(*name) {
                return Err(Refusal::MissingAttribute { attribute: (*name).clone(), category: known.owner.clone() });
            }
        }
        check_meanings(&values)?;
        Ok(values)
    }
}

/// Finds and types one attribute; `None` for those that are never taken from clients.
pub(super) fn read<'d, 'm>(
    kind: &CategoryId,
    definitions: &'d Definitions<'m>,
    name: &AttributeName,
    raw: &RawValue,
    mode: Mode,
) -> Result<Option<(&'d Known<'m>, Value)>, Refusal> {
    if IGNORED.contains(&name) {
        return Ok(None);
    }
    let known = definitions
        .get(name)
        .ok_or_else(|| Refusal::UnknownAttribute { attribute: name.clone(), owner: kind.clone() })?;
    Ok(Some((known, known.definition.coerce(raw, mode)?)))
}

/// Puts a value in, unless it contradicts one that is there.
pub(super) fn insert(
    values: &mut BTreeMap<AttributeName, Value>,
    name: &AttributeName,
    value: Value,
) -> Result<(), Refusal> {
    match values.get(name) {
        Some(present) if *present != value => Err(Refusal::AttributeTwice(name.clone())),
        _ => {
            values.insert(name.clone(), value);
            Ok(())
        }
    }
}

/// Refuses two families of contextualization that contradict each other (section 7.1).
fn check_meanings(values: &BTreeMap<AttributeName, Value>) -> Result<(), Refusal> {
    for (first, second) in contextualization::families() {
        if let (Some(one), Some(other)) = (values.get(first), values.get(second))
            && one != other
        {
            return Err(Refusal::SameMeaning { first: first.clone(), second: second.clone() });
        }
    }
    Ok(())
}
