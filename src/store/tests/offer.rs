//! Who sees what an image belongs to.

use disk_image::ContentDigest;
use marketplace::{
    Appliance, ApplianceDraft, ApplianceName, ApplianceVersion, Architecture, PublicationTime, Requirements,
    VersionDraft,
};

use super::{appliance, member, sqlite};
use crate::store::member::ProjectId;

fn version(image: u8) -> ApplianceVersion {
    let draft = VersionDraft {
        label: format!("v{image}"),
        image: ContentDigest::from_bytes([image; 32]),
        image_bytes: 512,
        requirements: Requirements { architecture: Architecture::X86_64, cores: 1, memory_mib: 64, disk_bytes: 512 },
        published_at: PublicationTime(i64::from(image)),
        withdrawn: false,
    };
    draft.try_into().unwrap()
}

fn named(name: &str) -> Appliance {
    let draft = ApplianceDraft {
        name: name.into(),
        title: name.into(),
        description: String::new(),
        publisher: "A school".into(),
    };
    draft.try_into().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_seen_by_whom_an_appliance_of_it_is_offered_to() {
    let directory = tempfile::tempdir().unwrap();
    let db = sqlite(&directory);
    let [ours, theirs]: [ProjectId; 2] = db
        .write(|connection| {
            Ok([member::ensure_project(connection, "ours")?, member::ensure_project(connection, "theirs")?])
        })
        .await
        .unwrap();
    db.write(move |connection| {
        appliance::publish(connection, &named("public"), &version(1))?;
        appliance::publish(connection, &named("public"), &version(2))?;
        appliance::publish_for(connection, &named("private"), &version(3), Some(ours))
    })
    .await
    .unwrap();
    let sees = async |image: u8, project| {
        let image = ContentDigest::from_bytes([image; 32]);
        db.read(move |connection| appliance::has_image(connection, image, project)).await.unwrap()
    };
    assert!(sees(1, theirs).await, "machines of an older version are there still");
    assert!(sees(2, theirs).await);
    assert!(sees(3, ours).await && !sees(3, theirs).await);
    assert!(!sees(4, ours).await);
    let name: ApplianceName = "private".parse().unwrap();
    db.write(move |connection| appliance::withdraw(connection, &name, None)).await.unwrap();
    assert!(!sees(3, ours).await);
}
