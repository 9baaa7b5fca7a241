//! The contract, against a real OpenStack: `TOMBOLO_TEST_OPENSTACK` names a file of shell lines `export OS_…=…`.

use std::{collections::BTreeMap, io, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use backend::{
    Backend, ImageOffer, ImageSource,
    suite::{Candidate, verify},
};
use bytes::Bytes;
use disk_image::{ContentHasher, ImageFormat, Piece};
use futures_util::{StreamExt, stream, stream::BoxStream};
use openstack_adapter::{CredentialName, Credentials, Domain, Named, OpenStackBackend, OpenStackOptions, Secret};

/// A disk that no guest boots from: the contract does not need one.
const SIZE: usize = 2 << 20;

struct Disk(Bytes);

#[async_trait]
impl ImageSource for Disk {
    fn local_path(&self) -> Option<&Path> {
        None
    }

    fn stream(&self) -> BoxStream<'static, io::Result<Bytes>> {
        let chunks: Vec<_> = self.0.chunks(1 << 20).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        stream::iter(chunks).boxed()
    }
}

pub fn image() -> ImageOffer {
    let mut bytes = vec![0; SIZE];
    bytes[..8].copy_from_slice(b"tombolo!");
    bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
    let mut hasher = ContentHasher::default();
    hasher.update(Piece::Data(&bytes));
    ImageOffer { digest: hasher.finish(), size: SIZE as u64, source: Arc::new(Disk(bytes.into())) }
}

pub fn environment() -> Option<BTreeMap<String, String>> {
    let path = std::env::var_os("TOMBOLO_TEST_OPENSTACK")?;
    let text = std::fs::read_to_string(path).expect("the file that TOMBOLO_TEST_OPENSTACK names");
    let lines = text.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
    Some(lines.map(|(name, value)| (name.to_owned(), value.trim_matches(['"', '\'']).to_owned())).collect())
}

fn options(environment: &BTreeMap<String, String>, auth: Credentials, project: Option<Named>) -> OpenStackOptions {
    let mut options = OpenStackOptions::new(environment["OS_AUTH_URL"].parse().unwrap(), auth, project);
    options.region = environment.get("OS_REGION_NAME").cloned();
    options.image_formats = vec![ImageFormat::Raw];
    options.patience.look_milliseconds = 200;
    options
}

fn by_password(environment: &BTreeMap<String, String>) -> OpenStackOptions {
    let named = |name: &str| Named::Name {
        name: environment[name].clone(),
        domain: Domain::Name { name: environment["OS_USER_DOMAIN_NAME"].clone() },
    };
    let password = Secret::new(environment["OS_PASSWORD"].clone());
    let auth = Credentials::Password { user: named("OS_USERNAME"), password };
    options(environment, auth, Some(named("OS_PROJECT_NAME")))
}

pub fn by_application_credential(environment: &BTreeMap<String, String>) -> OpenStackOptions {
    let credential = CredentialName::Id { id: environment["OS_APPLICATION_CREDENTIAL_ID"].clone() };
    let secret = Secret::new(environment["OS_APPLICATION_CREDENTIAL_SECRET"].clone());
    options(environment, Credentials::ApplicationCredential { credential, secret }, None)
}

/// There is nothing to test against; the test says so.
macro_rules! real {
    () => {
        match $crate::real::environment() {
            Some(environment) => environment,
            None => {
                eprintln!("left out: TOMBOLO_TEST_OPENSTACK names no OpenStack");
                return;
            }
        }
    };
}

pub(crate) use real;

#[tokio::test]
async fn both_kinds_of_credentials_are_let_in_and_the_site_is_as_it_should_be() {
    let environment = real!();
    for options in [by_password(&environment), by_application_credential(&environment)] {
        let backend = OpenStackBackend::new(options).unwrap();
        let findings = backend.check().await;
        for finding in &findings {
            println!("{:?} {}: {}", finding.verdict, finding.subject, finding.detail);
        }
        assert!(findings.iter().all(|finding| finding.verdict != backend::Verdict::Bad), "{findings:#?}");
        println!("{:#?}", backend.describe().await.unwrap());
    }
}

#[tokio::test]
async fn the_contract_is_kept() {
    let environment = real!();
    let backend = Arc::new(OpenStackBackend::new(by_application_credential(&environment)).unwrap());
    let candidate = Candidate { backend, image: image(), patience: Duration::from_secs(240) };
    match verify(&candidate).await {
        Ok(report) => println!("{report:#?}"),
        Err(violation) => panic!("{violation}"),
    }
}
