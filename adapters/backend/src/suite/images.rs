//! The backend's copies of images.

use disk_image::ContentDigest;

use super::{
    Violation,
    inspection::{Failure, Inspection, ensure},
};
use crate::{BackendError, MachineId, MachineState, SiteImage, SiteImageState};

/// An image that nobody has.
pub(super) fn absent() -> ContentDigest {
    ContentDigest::from_bytes([0x5a; 32])
}

pub(super) async fn provided_twice(inspection: &Inspection<'_>) -> Result<(), Violation> {
    inspection.begin("image");
    let quiet = |_: u64| {};
    for check in ["image", "the same image again"] {
        inspection.ask(check, inspection.backend().provide_image(&inspection.candidate.image, &quiet)).await?;
    }
    Ok(())
}

/// Where the backend can tell which images it has, it tells of the one that was provided and of no other.
pub(super) async fn found(inspection: &Inspection<'_>) -> Result<(), Violation> {
    const CHECK: &str = "find an image";
    inspection.begin("image found");
    let nobody = inspection.ask_if_supported(CHECK, inspection.backend().find_image(&absent())).await?;
    let Some(nobody) = nobody else { return Ok(()) };
    ensure(CHECK, nobody.is_none(), format!("an unknown digest finds {nobody:?}"))?;
    is_ready(inspection, CHECK).await
}

async fn is_ready(inspection: &Inspection<'_>, check: &'static str) -> Result<(), Violation> {
    let digest = inspection.candidate.image.digest;
    if let Err(BackendError::Unsupported(_)) =
        inspection.answer(check, inspection.backend().find_image(&digest)).await?
    {
        return Ok(());
    }
    let look = || async {
        let unknown = || BackendError::NotFound(format!("the image {digest} that was provided"));
        inspection.backend().find_image(&digest).await?.ok_or_else(unknown)
    };
    let state = |image: &SiteImage| image.state;
    let image = inspection.arrive(check, SiteImageState::Ready, SiteImageState::Failed, look, state).await?;
    ensure(check, image.digest == digest, format!("it is the image {}", image.digest))?;
    let formats = &inspection.description.image_formats;
    let taken = image.format.is_none_or(|format| formats.contains(&format));
    ensure(check, taken, format!("it lies there as {:?}, which is not among {formats:?}", image.format))
}

/// A machine of it is there. A backend may need its image still, and says so; or it does not, and the machine goes on
/// without it.
pub(super) async fn kept_while_needed(
    inspection: &Inspection<'_>,
    machine: &MachineId,
    state: MachineState,
) -> Result<(), Violation> {
    const CHECK: &str = "delete of an image that a machine was made from";
    inspection.begin("image kept while needed");
    let backend = inspection.backend();
    let nobody = absent();
    let unknown = backend.delete_image(&nobody);
    if inspection.ask_if_supported("delete of an unknown image", unknown).await?.is_none() {
        return Ok(());
    }
    let digest = inspection.candidate.image.digest;
    match inspection.answer(CHECK, backend.delete_image(&digest)).await? {
        Err(BackendError::Conflict(_)) => is_ready(inspection, CHECK).await,
        Ok(()) => {
            let seen = inspection.ask(CHECK, backend.machine(machine)).await?.state;
            ensure(CHECK, seen == state, format!("the machine is {seen:?} then"))?;
            is_gone(inspection, CHECK, &digest).await?;
            inspection.ask(CHECK, backend.provide_image(&inspection.candidate.image, &|_| {})).await
        }
        Err(error) => Err(Violation::Call { check: CHECK, error }),
    }
}

async fn is_gone(inspection: &Inspection<'_>, check: &'static str, digest: &ContentDigest) -> Result<(), Violation> {
    let look = || inspection.backend().find_image(digest);
    match inspection.answer(check, look()).await? {
        Err(BackendError::Unsupported(_)) => Ok(()),
        _ => inspection.becomes(check, look, Option::is_none, "the image is still found").await.map(drop),
    }
}

/// No machine is left: the image goes, and can come back.
pub(super) async fn verify(inspection: &mut Inspection<'_>) -> Result<(), Violation> {
    inspection.begin("image deleted");
    let backend = inspection.backend();
    let nobody = absent();
    let unknown = backend.delete_image(&nobody);
    if inspection.ask_if_supported("delete of an unknown image", unknown).await?.is_none() {
        return Ok(());
    }
    let digest = inspection.candidate.image.digest;
    let quiet = |_: u64| {};
    goes(inspection, &digest).await?;
    inspection.ask("image that comes back", backend.provide_image(&inspection.candidate.image, &quiet)).await?;
    goes(inspection, &digest).await
}

async fn goes(inspection: &mut Inspection<'_>, digest: &ContentDigest) -> Result<(), Violation> {
    const CHECK: &str = "delete of an image";
    let backend = inspection.backend();
    inspection.ask_once_free(CHECK, || backend.delete_image(digest)).await?;
    is_gone(inspection, CHECK, digest).await?;
    inspection.ask("second delete of an image", backend.delete_image(digest)).await?;
    let wanted = inspection.machine_spec();
    let outcome = inspection.fails(CHECK, Failure::NotFound, backend.create(&wanted)).await;
    inspection.leaves_no_machine(CHECK, &wanted, outcome).await
}
