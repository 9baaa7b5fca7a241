//! The simulator's documents against OpenNebula's own XML Schemas, where these lie beside the checkout and `xmllint`
//! (Debian: libxml2-utils) is there. Otherwise the test says that it was left out.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::path::Path;
use std::process::{Command, Output};

use opennebula_simulator::{NewApp, Settings, Simulator};
use support::{call, int, text, yes_or_no};

const SESSION: &str = "oneadmin:opennebula";

/// Where a schema does not say what a real daemon writes: the schema, a part of xmllint's complaint, and why.
const KNOWN: &[(&str, &str, &str)] = &[(
    "security_group.xsd",
    "RANGE",
    "the daemon sorts attributes by name, and the schema wants RULE_TYPE before RANGE",
)];

fn xmllint(schema: &Path, document: &Path) -> std::io::Result<Output> {
    Command::new("xmllint").args(["--noout", "--nonet", "--schema"]).arg(schema).arg(document).output()
}

#[tokio::test]
async fn documents_are_as_the_schemas_say() {
    let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/fixtures/opennebula/xsd");
    if !schemas.is_dir() || Command::new("xmllint").arg("--version").output().is_err() {
        eprintln!("left out: the schemas do not lie beside the checkout, or there is no xmllint");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let simulator = Simulator::with_hosts(Settings::default(), directory.path()).await.unwrap();
    let address = simulator.address();
    let say = async |method: &str, values: Vec<String>| {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        call(address, SESSION, method, &values).await.ok().clone()
    };
    let network = "NAME=\"n\"\nVN_MAD=\"dummy\"\nAR=[TYPE=\"IP4\",IP=\"10.0.0.2\",SIZE=\"20\"]";
    say("one.vn.allocate", vec![text(network), int(-1)]).await;
    let image = "NAME=\"i\"\nSIZE=\"1\"\nPATH=\"/srv/one/images/i.raw\"";
    say("one.image.allocate", vec![text(image), int(1)]).await;
    let group = "NAME=\"g\"\nRULE=[PROTOCOL=\"TCP\",RULE_TYPE=\"inbound\",RANGE=\"22,80\"]";
    say("one.secgroup.allocate", vec![text(group)]).await;
    simulator.settle();
    let template = "NAME=\"m\"\nCPU=\"0.1\"\nMEMORY=\"64\"\nVCPU=\"1\"\nDISK=[IMAGE_ID=\"0\"]\nNIC=[NETWORK_ID=\"0\"]\n\
                    CONTEXT=[NETWORK=\"YES\"]\nGRAPHICS=[TYPE=\"VNC\"]";
    say("one.template.allocate", vec![text(template)]).await;
    say("one.template.instantiate", vec![int(0), text("m"), yes_or_no(false)]).await;
    let app =
        NewApp { name: "a".into(), source: "http://x/".into(), md5: "0".into(), format: "raw".into(), megabytes: 1 };
    simulator.add_marketplace("market", &[app]);
    simulator.settle();
    let all = || vec![int(-2), int(-1), int(-1)];
    let machines = || vec![int(-2), int(-1), int(-1), int(-2)];
    let documents: Vec<(&str, Vec<String>, &str)> = vec![
        ("one.vm.info", vec![int(0)], "vm.xsd"),
        ("one.vmpool.info", machines(), "vm_pool.xsd"),
        ("one.image.info", vec![int(0)], "image.xsd"),
        ("one.imagepool.info", all(), "image_pool.xsd"),
        ("one.template.info", vec![int(0)], "vmtemplate.xsd"),
        ("one.templatepool.info", all(), "vmtemplate_pool.xsd"),
        ("one.vn.info", vec![int(0)], "vnet.xsd"),
        ("one.vnpool.info", all(), "vnet_pool.xsd"),
        ("one.secgroup.info", vec![int(0)], "security_group.xsd"),
        ("one.secgroup.info", vec![int(100)], "security_group.xsd"),
        ("one.host.info", vec![int(0)], "host.xsd"),
        ("one.hostpool.info", vec![], "host_pool.xsd"),
        ("one.cluster.info", vec![int(0)], "cluster.xsd"),
        ("one.clusterpool.info", vec![], "cluster_pool.xsd"),
        ("one.datastore.info", vec![int(1)], "datastore.xsd"),
        ("one.datastorepool.info", vec![], "datastore_pool.xsd"),
        ("one.user.info", vec![int(0)], "user.xsd"),
        ("one.userpool.info", vec![], "user_pool.xsd"),
        ("one.group.info", vec![int(1)], "group.xsd"),
        ("one.grouppool.info", vec![], "group_pool.xsd"),
        ("one.acl.info", vec![], "acl_pool.xsd"),
        ("one.marketpool.info", vec![], "marketplace_pool.xsd"),
        ("one.marketapp.info", vec![int(0)], "marketplaceapp.xsd"),
        ("one.marketapppool.info", all(), "marketplaceapp_pool.xsd"),
    ];
    let mut complaints = Vec::new();
    for (method, values, schema) in documents {
        let document = say(method, values).await.text().to_owned();
        // The daemon writes no name space, and the schemas want one.
        let document = document.replacen('>', " xmlns=\"http://opennebula.org/XMLSchema\">", 1);
        let path = directory.path().join(format!("{method}.xml"));
        std::fs::write(&path, document).unwrap();
        let output = xmllint(&schemas.join(schema), &path).unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let known = |line: &str| KNOWN.iter().any(|(s, part, _)| *s == schema && line.contains(part));
        let errors: Vec<&str> = said
            .lines()
            .filter(|l| l.contains("Schemas validity error") || l.contains("Schemas parser error"))
            .collect();
        assert!(said.contains(" validates") || !errors.is_empty(), "{method}: xmllint said neither: {said}");
        complaints.extend(errors.iter().filter(|l| !known(l)).map(|l| format!("{method} ({schema}): {l}")));
        let wrong = std::fs::read_to_string(&path).unwrap().replacen("<ID>", "<ID>x", 1);
        std::fs::write(&path, wrong).unwrap();
        assert!(!xmllint(&schemas.join(schema), &path).unwrap().status.success(), "{schema} complains of nothing");
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
