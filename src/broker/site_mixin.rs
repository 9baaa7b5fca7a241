//! What is said of a site, as a mixin that clients of OCCI can read: its facts are the defaults of its attributes.
//!
//! It applies to nothing that a client makes: it is read, not taken. The zone of the same name is what is asked for.

use std::{collections::BTreeMap, fmt::Display};

use backend::{Description, Firmware, Priced};
use occi_schema::{
    AttributeDefinition, AttributeName, CategoryId, Change, Mixin, Presence, Value, ValueType, well_known::RESOURCE,
};

use super::{BrokerError, model::internal};

/// The beginning of all its attributes.
const PREFIX: &str = "org.tombolo.site";
/// Longest value, in characters: lines of the query interface are read by old clients whole.
const LONGEST: usize = 500;
const GIB: f64 = (1_u64 << 30) as f64;
const MIB_IN_GIB: f64 = 1024.0;

/// The mixin of this site.
///
/// # Errors
/// A name is no OCCI name, which must not happen.
pub fn of(scheme: &str, site: &str, description: &Description) -> Result<Mixin, BrokerError> {
    let id = CategoryId::new(scheme, site).map_err(internal)?;
    let mut facts = Facts(Vec::new());
    facts.text("software", &description.software, "What manages the machines there.")?;
    facts.text("hypervisor", &description.hypervisor, "What runs them.")?;
    facts.words("architectures", &description.architectures, "Of guests.")?;
    facts.words("formats", &description.image_formats, "Of images that it takes, the preferred one first.")?;
    facts.number("cores", Value::Integer(description.limits.cores.into()), None, "The most of one machine.")?;
    let memory = Value::Float(description.limits.memory_mib as f64 / MIB_IN_GIB);
    facts.number("memory", memory, Some("GiB"), "The most of one machine.")?;
    let gib = |bytes: u64| Value::Float(bytes as f64 / GIB);
    facts.number("disk", gib(description.limits.disk_bytes), Some("GiB"), "The most of one machine's root disk.")?;
    facts.number("storage", gib(description.limits.volume_bytes), Some("GiB"), "The most of one storage.")?;
    let capabilities: Vec<String> = description.capabilities.iter().filter_map(word).collect();
    facts.words("capabilities", &capabilities, "What it can beyond the least.")?;
    let sizes: Vec<&str> = description.sizes.iter().map(|size| size.name.as_str()).collect();
    facts.words("sizes", &sizes, "The only sizes of machines there.")?;
    let particulars = &description.particulars;
    let models: Vec<&str> = particulars.hosts.iter().filter_map(|host| host.cpu_model.as_deref()).collect();
    facts.words("processors", &models, "Models of its hosts' processors.")?;
    let firmware: Vec<&str> = particulars.firmware.iter().map(|firmware| firmware_word(*firmware)).collect();
    facts.words("firmware", &firmware, "How guests can be started.")?;
    facts.words("buses", &particulars.disk_buses, "Of disks, the preferred one first.")?;
    facts.words("cards", &particulars.network_cards, "Models of network cards, the preferred one first.")?;
    for price in &particulars.prices {
        let text = format!("{:.6} {}", price.millionths_per_hour as f64 / 1e6, price.currency);
        facts.text(&format!("price.{}", priced_word(price.of)), &text, "For one of it and an hour.")?;
    }
    let title = format!("About site {site}: {}", plain(&description.software));
    let location = format!("/mixin/site/{site}/");
    Ok(Mixin {
        title: Some(title),
        // The core model's own kind: nothing that is made here is just that.
        applies: vec![RESOURCE.clone()],
        attributes: facts.0,
        ..Mixin::tag(id, location.as_str())
    })
}

struct Facts(Vec<AttributeDefinition>);

impl Facts {
    /// A fact in words, unless there is none.
    fn text(&mut self, name: &str, text: &str, description: &str) -> Result<(), BrokerError> {
        let text = plain(text);
        if text.is_empty() {
            Ok(())
        } else {
            self.add(name, ValueType::TEXT, Value::from(text.as_str()), None, description)
        }
    }

    fn words<T: Display>(&mut self, name: &str, words: &[T], description: &str) -> Result<(), BrokerError> {
        let mut seen: Vec<String> = Vec::new();
        for word in words.iter().map(ToString::to_string) {
            if !seen.contains(&word) {
                seen.push(word);
            }
        }
        self.text(name, &seen.join(", "), description)
    }

    fn number(&mut self, name: &str, value: Value, unit: Option<&str>, about: &str) -> Result<(), BrokerError> {
        let value_type = if matches!(value, Value::Integer(_)) { ValueType::INTEGER } else { ValueType::FLOAT };
        self.add(name, value_type, value, unit, about)
    }

    fn add(
        &mut self,
        name: &str,
        value_type: ValueType,
        value: Value,
        unit: Option<&str>,
        description: &str,
    ) -> Result<(), BrokerError> {
        let name = AttributeName::new(&format!("{PREFIX}.{name}")).map_err(internal)?;
        // A backend that names two prices for one thing is not worth a model.
        if self.0.iter().any(|known| known.name == name) {
            return Ok(());
        }
        self.0.push(AttributeDefinition {
            name,
            value_type,
            change: Change::Never,
            presence: Presence::Optional,
            default: Some(value),
            unit: unit.map(str::to_owned),
            description: Some(description.to_owned()),
            aliases: BTreeMap::new(),
            since: None,
            until: None,
        });
        Ok(())
    }
}

/// A stranger's words as they may stand in a line of the query interface: old clients' patterns end a title at a quote.
fn plain(text: &str) -> String {
    let calm = |c: char| if c.is_control() || matches!(c, '"' | '\\' | ';') { ' ' } else { c };
    text.trim().chars().take(LONGEST).map(calm).collect()
}

/// The capability's name in the contract: `save_hot`.
fn word(capability: backend::Capability) -> Option<String> {
    serde_json::to_value(capability).ok()?.as_str().map(str::to_owned)
}

fn firmware_word(firmware: Firmware) -> &'static str {
    match firmware {
        Firmware::Bios => "bios",
        Firmware::Uefi => "uefi",
        Firmware::UefiSecure => "uefi_secure",
    }
}

fn priced_word(of: Priced) -> &'static str {
    match of {
        Priced::Core => "core",
        Priced::MemoryGib => "memory",
        Priced::DiskGib => "disk",
        Priced::Address => "address",
    }
}

#[cfg(test)]
mod tests {
    use backend::{Price, simulator::Behaviour};

    use super::*;

    #[test]
    fn facts_are_defaults_of_lower_case_attributes() {
        let mut description = Behaviour::default().description;
        description.software = "OpenX \"9\"; \n Y".into();
        let price = |millionths| Price { of: Priced::Core, millionths_per_hour: millionths, currency: "EUR".into() };
        description.particulars.prices = vec![price(12_500), price(1)];
        let mixin = of("http://occi.x.example/occi/site#", "lab", &description).unwrap();
        let fact = |name: &str| {
            let found = mixin.attributes.iter().find(|one| one.name.as_str() == format!("{PREFIX}.{name}"));
            found.and_then(|one| one.default.clone())
        };
        assert_eq!(fact("software"), Some(Value::from("OpenX  9     Y")));
        assert_eq!(fact("cores"), Some(Value::Integer(64)));
        assert_eq!(fact("memory"), Some(Value::Float(256.0)));
        assert_eq!(fact("architectures"), Some(Value::from("x86_64, x86")));
        assert_eq!(fact("price.core"), Some(Value::from("0.012500 EUR")));
        assert!(fact("capabilities").unwrap().as_str().unwrap().contains("save_hot"));
        assert_eq!(fact("sizes"), None, "what there is none of is not said");
        for attribute in &mixin.attributes {
            assert!(!attribute.name.as_str().contains(char::is_uppercase), "{}", attribute.name);
        }
    }
}
