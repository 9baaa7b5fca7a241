//! What must hold for every input, whatever rendering it came in.
//!
//! Nothing panics; what is accepted can be rendered; no rendering can end its line or header field early; and what is
//! rendered reads back as the same.

mod entity;

use std::sync::LazyLock;

use occi_schema::well_known::{COMPUTE, NETWORK, NETWORK_INTERFACE, OS_TPL, STORAGE};
use occi_schema::{
    Category, EntityReference, Extension, Limits, MediaType, Mixin, Mode, Model, Rendered, UserMixinDefinition, parse,
    render,
};

/// This server, as the clients of the seeds call it.
pub const BASE: &str = "http://here.example:8080";
/// What a refused input may cost in words.
const MESSAGE_BYTES: usize = 4096;

/// Everything there is, and a template, for deployed clients.
pub static MODEL: LazyLock<Model> = LazyLock::new(|| model(Mode::Interop));
/// The same by the documents.
pub static STRICT: LazyLock<Model> = LazyLock::new(|| model(Mode::Strict));

fn model(mode: Mode) -> Model {
    let mut model = Model::new(Extension::ALL, mode).expect("the extensions fit together");
    let debian = "http://example.com/os_tpl#debian12".parse().expect("an identifier");
    let template = Mixin::template(debian, "Debian 12", OS_TPL.clone(), COMPUTE.clone(), "/os/debian12/");
    model.add_mixin(template).expect("a new mixin");
    model
}

/// Large enough to read back whatever a request within the default limits is rendered to.
static AMPLE: LazyLock<Limits> = LazyLock::new(|| {
    let usual = Limits::default();
    Limits {
        body_bytes: usual.body_bytes * 32,
        line_bytes: usual.body_bytes * 32,
        value_bytes: usual.body_bytes * 16,
        ..usual
    }
});

/// Reads one request in every way there is, and does with it what a server would do.
pub fn request(media: MediaType, fields: &[(&str, &str)], body: &[u8]) {
    let limits = Limits::default();
    match parse::entities(media, fields, body, &limits) {
        Ok(requests) => requests.into_iter().for_each(entity::check),
        Err(error) => message(400, &error.to_string()),
    }
    if let Err(error) = parse::entity(media, fields, body, &limits) {
        message(400, &error.to_string());
    }
    match parse::action(media, fields, body, &limits) {
        Ok(action) => {
            let term = action.action.id.term();
            for kind in [&COMPUTE, &NETWORK, &STORAGE, &NETWORK_INTERFACE] {
                if let Err(refusal) = MODEL.resolve_action(&action, term, kind, &[]) {
                    message(refusal.class().status(), &refusal.to_string());
                }
            }
        }
        Err(error) => message(400, &error.to_string()),
    }
    match parse::filter(fields, body, &limits) {
        Ok(filter) => {
            if let Err(refusal) = MODEL.resolve_filter(&filter) {
                message(refusal.class().status(), &refusal.to_string());
            }
        }
        Err(error) => message(400, &error.to_string()),
    }
    locations(media, fields, body);
    user_mixins(media, fields, body);
}

/// Reads references to entities, and lists those that are of this server.
pub fn locations(media: MediaType, fields: &[(&str, &str)], body: &[u8]) {
    let found = match parse::locations(media, fields, body, &Limits::default()) {
        Ok(found) => found,
        Err(error) => return message(400, &error.to_string()),
    };
    let paths: Vec<&str> = found
        .iter()
        .filter_map(|reference| match reference {
            EntityReference::Location(text) => parse::local_path(text, BASE).ok(),
            EntityReference::Id(_) => None,
        })
        .collect();
    for media in MediaType::ALL {
        let rendered = render::locations(media, paths.iter().copied(), BASE);
        safe(&rendered);
        let again = parse::locations(media, &fields_of(&rendered), &rendered.body, &AMPLE).expect("our own listing");
        let again: Vec<&str> = again
            .iter()
            .map(|reference| match reference {
                EntityReference::Location(text) => parse::local_path(text, BASE).expect("our own location"),
                EntityReference::Id(id) => panic!("a location became the id {id}"),
            })
            .collect();
        assert_eq!(again, paths, "{media:?}");
    }
}

fn user_mixins(media: MediaType, fields: &[(&str, &str)], body: &[u8]) {
    let requests = match parse::mixins(media, fields, body, &Limits::default()) {
        Ok(requests) => requests,
        Err(error) => return message(400, &error.to_string()),
    };
    for (request, base) in requests.iter().flat_map(|request| [(request, &*MODEL), (request, &*STRICT)]) {
        let mixin = match base.resolve_user_mixin(request, BASE) {
            Ok(UserMixinDefinition::New(mixin)) => mixin,
            Ok(UserMixinDefinition::Unchanged(_)) => continue,
            Err(refusal) => {
                message(refusal.class().status(), &refusal.to_string());
                continue;
            }
        };
        let mut model = base.clone();
        model.add_mixin(mixin.clone()).expect("what was resolved as new can be added");
        for media in [MediaType::TextPlain, MediaType::TextOcci, MediaType::Json, MediaType::LegacyJson] {
            let rendered = render::categories(media, &model, [Category::Mixin(&mixin)]);
            safe(&rendered);
            let again = parse::mixins(media, &fields_of(&rendered), &rendered.body, &AMPLE).expect("our own mixin");
            assert_eq!(again.len(), 1, "{media:?}");
            assert_eq!(again[0].id, mixin.id, "{media:?}");
            assert_eq!(again[0].location.as_deref(), Some(mixin.location.as_str()), "{media:?}");
        }
    }
}

/// A refusal is a short line, and its rendering is safe.
pub fn message(status: u16, text: &str) {
    assert!(text.len() <= MESSAGE_BYTES, "{} bytes: {text}", text.len());
    assert!(!text.contains(['\r', '\n', '\0']), "{text:?}");
    for media in MediaType::ALL {
        safe(&render::error(media, status, text));
    }
}

/// No header field of ours holds anything that could end it, and no text body anything that only JSON may hold.
pub fn safe(rendered: &Rendered) {
    for (name, value) in &rendered.headers {
        assert!(value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{name}: {value:?}");
    }
    if rendered.content_type.starts_with("text/") {
        let body = std::str::from_utf8(&rendered.body).expect("text is UTF-8");
        let bad = body.chars().find(|letter| letter.is_control() && !matches!(letter, '\n' | '\t'));
        assert_eq!(bad, None, "{body:?}");
    }
}

fn fields_of(rendered: &Rendered) -> Vec<(&str, &str)> {
    rendered.headers.iter().map(|(name, value)| (*name, value.as_str())).collect()
}
