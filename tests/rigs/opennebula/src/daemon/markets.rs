//! Marketplaces and their appliances. They are made by the library, not by calls.

use super::access::{Caller, Right};
use super::documents::{common, listing, whole};
use super::objects::{Kind, Ownership, object, take};
use super::{Daemon, Methods, Outcome};
use crate::form::{Form, identifiers};
use crate::template::Template;
use crate::wire::answer::{Code, Value};
use crate::wire::arguments::Arguments;

/// The table of methods.
pub const METHODS: Methods = &[
    ("one.market.info", market_info),
    ("one.marketpool.info", |daemon, caller, _| {
        Ok(Value::Text(whole(daemon, caller, "MARKETPLACE_POOL", write_market)?))
    }),
    ("one.marketapp.info", app_info),
    ("one.marketapppool.info", |daemon, caller, arguments| {
        Ok(Value::Text(listing(daemon, caller, arguments.bounds()?, "MARKETPLACEAPP_POOL", write_app)?))
    }),
];

const MARKET: Form = Form::new(include_str!("../../forms/marketplace.xml"));
const APP: Form = Form::new(include_str!("../../forms/app.xml"));

/// A marketplace.
#[derive(Clone, Debug)]
pub struct Marketplace {
    /// Its owner.
    pub ownership: Ownership,
    /// Its name.
    pub name: String,
    /// Its attributes, `MARKET_MAD` among them.
    pub template: Template,
}

object!(Marketplace, Kind::Marketplace, marketplaces, template, TAKEN = Code::Allocate);

/// An appliance in a marketplace.
#[derive(Clone, Debug)]
pub struct App {
    /// Its owner.
    pub ownership: Ownership,
    /// Its name.
    pub name: String,
    /// Where it is fetched from.
    pub source: String,
    /// Of its bytes; not checked by the daemon.
    pub md5: String,
    /// For instance `qcow2`.
    pub format: String,
    /// In MiB.
    pub megabytes: i64,
    /// Its marketplace.
    pub marketplace: i32,
    /// When it was published.
    pub registered: i64,
    /// Its attributes.
    pub template: Template,
}

object!(App, Kind::App, apps, template);

fn write_market(daemon: &Daemon, id: i32, market: &Marketplace, out: &mut String) {
    let apps: Vec<i32> = daemon.apps.iter().filter(|(_, a)| a.marketplace == id).map(|(id, _)| id).collect();
    MARKET.fill(out, |hole| match hole {
        "STATE" => "0".into(),
        "MARKET_MAD" => market.template.text("MARKET_MAD").unwrap_or("one").to_owned().into(),
        "MARKETPLACEAPPS" => identifiers(&apps).into(),
        "TEMPLATE" => market.template.written().into(),
        hole => common(daemon, id, market, hole).unwrap_or_default(),
    });
}

fn market_info(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let id = arguments.integer()?;
    let market = take::<Marketplace>(daemon, caller, id, Right::Use)?;
    let mut out = String::new();
    write_market(daemon, id, market, &mut out);
    Ok(Value::Text(out))
}

fn write_app(daemon: &Daemon, id: i32, app: &App, out: &mut String) {
    APP.fill(out, |hole| match hole {
        "REGTIME" => app.registered.to_string().into(),
        "ORIGIN_ID" => "-1".into(),
        "SOURCE" => app.source.clone().into(),
        "MD5" => app.md5.clone().into(),
        "SIZE" => app.megabytes.to_string().into(),
        "DESCRIPTION" | "VERSION" | "APPTEMPLATE64" => app.template.text(hole).unwrap_or_default().to_owned().into(),
        "FORMAT" => app.format.clone().into(),
        "MARKETPLACE_ID" => app.marketplace.to_string().into(),
        "MARKETPLACE" => daemon.marketplaces.get(app.marketplace).map_or(String::new(), |m| m.name.clone()).into(),
        "STATE" | "TYPE" => "1".into(),
        "TEMPLATE" => app.template.written().into(),
        hole => common(daemon, id, app, hole).unwrap_or_default(),
    });
}

fn app_info(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let id = arguments.integer()?;
    let app = take::<App>(daemon, caller, id, Right::Use)?;
    let mut out = String::new();
    write_app(daemon, id, app, &mut out);
    Ok(Value::Text(out))
}
