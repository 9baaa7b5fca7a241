//! Options as they stand in a file.

use openstack_adapter::{CredentialName, Credentials, Named, OpenStackOptions, Service};

const TEXT: &str = r#"
auth_url = "https://cloud.example:5000/v3"
region = "north"
interface = "internal"
image_formats = ["raw"]
[auth]
method = "application-credential"
credential = { name = "broker", user = { name = "demo", domain = { name = "Default" } } }
secret = "canary-secret"
[endpoints]
block-storage = "https://volumes.example/v3"
[patience]
answer_seconds = 5
"#;

#[test]
fn options_are_read_and_hide_their_secrets() {
    let options: OpenStackOptions = toml::from_str(TEXT).unwrap();
    let Credentials::ApplicationCredential { credential: CredentialName::Name { name, user }, .. } = &options.auth
    else {
        panic!("{options:?}")
    };
    assert!(name == "broker" && matches!(user, Named::Name { name, .. } if name == "demo"));
    assert!(options.endpoints.contains_key(&Service::BlockStorage));
    assert_eq!((options.patience.answer_seconds, options.patience.effect_seconds), (5, 300));
    assert!(!format!("{options:?}").contains("canary"));
}

#[test]
fn unknown_options_are_refused() {
    for extra in ["surprise = 1\n", "[patience]\nsurprise = 1\n"] {
        let text = if extra.starts_with('[') { TEXT.replace("[patience]\n", extra) } else { format!("{extra}{TEXT}") };
        assert!(toml::from_str::<OpenStackOptions>(&text).is_err(), "{extra}");
    }
}
